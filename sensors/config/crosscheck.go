package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// crossCheck finds what is wrong between sensors: each alone may be right.
func (l *loader) crossCheck() {
	l.checkChips()
	l.checkLines()
	l.checkReferences()
	l.checkOnTimes()
	for _, r := range l.cfg.Rails {
		if !l.railUsed[r] {
			l.cfg.Warnings = append(l.cfg.Warnings, &Problem{r.Origin, "rail " + r.Name, "", fmt.Errorf("no sensor uses it: give one power=%s", r.Name)})
		}
	}
	l.cfg.Warnings.sort()
}

// originOf is where a sensor's key was written; of a default, the sensor.
func (l *loader) originOf(c *Sensor, key string) Origin {
	if o, ok := l.origins[c][key]; ok {
		return o
	}
	return c.Origin
}

// checkChips: one address is one chip. Several sensors may read channels of
// it, but it has one driver, one supply and one set of options.
func (l *loader) checkChips() {
	type place struct {
		bus  sensors.Bus
		addr sensors.Address
	}
	first := map[place]*Sensor{}
	for _, c := range l.cfg.Sensors {
		bus, addr, ok := c.I2C()
		if !ok {
			continue
		}
		f := first[place{bus, addr}]
		if f == nil {
			first[place{bus, addr}] = c
			continue
		}
		subject := "sensor " + c.Name
		other := fmt.Sprintf("sensor %s (%s)", f.Name, f.Origin)
		if c.Driver.Name != f.Driver.Name {
			l.complain(l.originOf(c, "addr"), subject, "addr", fmt.Errorf("%s on %s is taken by the %s of %s: give the address of this %s", addr, bus, f.Driver.Name, other, c.Driver.Name))
			continue
		}
		for _, o := range c.Driver.Options {
			if !o.Channel && !o.OverridesCommon() && !c.Options.EqualValue(f.Options, o.Name) {
				l.complain(l.originOf(c, o.Name), subject, o.Name, fmt.Errorf("isn't what %s says of the same chip, %s on %s: say the same in both", other, addr, bus))
			}
		}
		if c.Rail != f.Rail {
			l.complain(l.originOf(c, "power"), subject, "power", fmt.Errorf("isn't what %s says of the same chip, %s on %s: say the same in both", other, addr, bus))
		}
	}
}

// checkLines: a line has one user.
func (l *loader) checkLines() {
	type use struct {
		who   string // "sensor door (dormouse.yml:5)"
		chip  string // the same for sensors of one chip
		where Origin
	}
	first := map[string]use{}
	claim := func(ref sensors.LineRef, u use, subject, key string) {
		f, taken := first[ref.Key()]
		switch {
		case !taken:
			first[ref.Key()] = u
		case f.chip == "" || f.chip != u.chip:
			l.complain(u.where, subject, key, fmt.Errorf("%s is taken by %s: a line has one use", ref, f.who))
		}
	}
	for _, c := range l.cfg.Sensors {
		// The header's I2C pins; other buses are on other pins on other models.
		if bus, ok := c.bus(); ok && bus == 1 {
			u := use{fmt.Sprintf("I2C bus 1, on which sensor %s is (%s)", c.Name, c.Origin), "bus 1", c.Origin}
			claim(sensors.LineRef{BCM: 2}, u, "", "")
			claim(sensors.LineRef{BCM: 3}, u, "", "")
		}
	}
	for _, r := range l.cfg.Rails {
		u := use{who: fmt.Sprintf("rail %s (%s)", r.Name, r.Origin), where: r.Origin}
		subject, key := "rail "+r.Name, "line"
		if r.Implicit {
			u.who = fmt.Sprintf("power of a sensor (%s)", r.Origin)
			subject, key = l.firstOn(r), "power"
		}
		claim(r.Line, u, subject, key)
	}
	for _, c := range l.cfg.Sensors {
		for _, line := range c.Lines() {
			u := use{who: fmt.Sprintf("sensor %s (%s)", c.Name, c.Origin), where: l.originOf(c, line.Option)}
			if bus, addr, ok := c.I2C(); ok {
				u.chip = fmt.Sprintf("%s at %s on %s", c.Driver.Name, addr, bus)
			}
			claim(line.Line, u, "sensor "+c.Name, line.Option)
		}
	}
}

// firstOn is the first sensor that the rail supplies.
func (l *loader) firstOn(r *Rail) string {
	for _, c := range l.cfg.Sensors {
		if c.Rail == r {
			return "sensor " + c.Name
		}
	}
	return ""
}

func (c *Sensor) bus() (sensors.Bus, bool) {
	for _, o := range c.Driver.Options {
		if b, ok := c.Options.Value(o.Name).(sensors.Bus); ok {
			return b, true
		}
	}
	return 0, false
}

// checkReferences: a sensor that another refers to exists, and none refers,
// through others, to itself: each is read after those it refers to.
func (l *loader) checkReferences() {
	byName := map[string]*Sensor{}
	for _, c := range l.cfg.Sensors {
		byName[c.Name] = c
	}
	var names []string
	for n := range l.names {
		names = append(names, n)
	}
	slices.Sort(names)
	done := map[string]bool{}
	var path []string
	var visit func(c *Sensor)
	visit = func(c *Sensor) {
		path = append(path, c.Name)
		for _, o := range c.Driver.Options {
			if o.Type == sensors.SensorsOption {
				l.checkNames(c, o.Name, names)
				continue
			}
			ref, ok := c.Options.Value(o.Name).(string)
			if o.Type != sensors.SensorRefOption || !ok {
				continue
			}
			next := byName[ref]
			if _, known := l.names[ref]; !known {
				l.complain(l.originOf(c, o.Name), "sensor "+c.Name, o.Name, fmt.Errorf("there is no sensor %q%s", ref, sensors.DidYouMean(ref, names)))
			} else if i := slices.Index(path, ref); i >= 0 {
				err := errors.New("is the sensor itself")
				if i < len(path)-1 {
					err = fmt.Errorf("the sensors need each other's readings in a circle, %s: one of them must do without", strings.Join(append(slices.Clone(path[i:]), ref), ", "))
				}
				l.complain(l.originOf(c, o.Name), "sensor "+c.Name, o.Name, err)
			} else if next != nil && !done[ref] {
				visit(next)
			}
		}
		path = path[:len(path)-1]
		done[c.Name] = true
	}
	for _, c := range l.cfg.Sensors {
		if !done[c.Name] {
			visit(c)
		}
	}
}

// checkNames: the sensors that an option names exist.
func (l *loader) checkNames(c *Sensor, option string, known []string) {
	list, _ := c.Options.Value(option).([]string)
	for _, name := range list {
		if _, ok := l.names[name]; !ok {
			l.complain(l.originOf(c, option), "sensor "+c.Name, option, fmt.Errorf("there is no sensor %q%s", name, sensors.DidYouMean(name, known)))
		}
	}
}

// checkOnTimes: a rail is on for long enough to warm its sensors up.
func (l *loader) checkOnTimes() {
	for _, c := range l.cfg.Sensors {
		if r := c.Rail; r != nil && r.MaxOn > 0 && c.Warmup >= r.MaxOn {
			l.complain(l.originOf(c, "warmup"), "sensor "+c.Name, "warmup", fmt.Errorf("%s is no shorter than max-on of rail %s (%s), %s: the rail would be switched off before the sensor is read",
				sensors.FormatDuration(c.Warmup), r.Name, l.railOrigin(r, "max-on"), sensors.FormatDuration(r.MaxOn)))
		}
	}
}
