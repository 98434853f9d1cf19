package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/order"
)

// conflicts finds what is wrong between sensors: each alone may be right.
type conflicts struct {
	*report
	sensors []*Sensor
	rails   *rails
	names   map[string]Origin // of the sensors, broken ones too
	origins map[*Sensor]map[string]Origin
}

func (f *conflicts) find() {
	f.chips()
	f.lines()
	f.references()
	f.onTimes()
}

// reject reports what is wrong with one of a sensor's keys.
func (f *conflicts) reject(c *Sensor, key string, err error) {
	f.add(f.origin(c, key), "sensor "+c.Name, key, err)
}

// origin is where a sensor's key was given; of a default, the sensor.
func (f *conflicts) origin(c *Sensor, key string) Origin {
	if o, ok := f.origins[c][key]; ok {
		return o
	}
	return c.Origin
}

// chips: one address is one chip. Several sensors may read channels of it, but
// it has one driver, one supply and one set of options.
func (f *conflicts) chips() {
	type place struct {
		bus  sensors.Bus
		addr sensors.Address
	}
	first := map[place]*Sensor{}
	for _, c := range f.sensors {
		bus, addr, ok := c.I2C()
		if !ok {
			continue
		}
		if o := first[place{bus, addr}]; o != nil {
			f.sameChip(c, o, fmt.Sprintf("%s on %s", addr, bus))
		} else {
			first[place{bus, addr}] = c
		}
	}
}

// sameChip checks that two sensors say the same of one chip.
func (f *conflicts) sameChip(c, first *Sensor, where string) {
	other := fmt.Sprintf("sensor %s (%s)", first.Name, first.Origin)
	if c.Driver.Name != first.Driver.Name {
		f.reject(c, "addr", fmt.Errorf("%s is taken by the %s of %s: give the address of this %s", where, first.Driver.Name, other, c.Driver.Name))
		return
	}
	differs := fmt.Errorf("isn't what %s says of the same chip, %s: say the same in both", other, where)
	for _, o := range c.Driver.Options {
		if !o.Channel && !o.OverridesCommon() && !c.Options.EqualValue(first.Options, o.Name) {
			f.reject(c, o.Name, differs)
		}
	}
	if c.Rail != first.Rail {
		f.reject(c, "power", differs)
	}
}

// A lineUse is the first use of a GPIO line.
type lineUse struct {
	who   string // "sensor door (dormouse.yml:5)"
	chip  string // the same for sensors of one chip, which share its lines
	where Origin
}

// lines: a line has one user.
func (f *conflicts) lines() {
	first := map[string]lineUse{}
	claim := func(ref sensors.LineRef, u lineUse, subject, key string) {
		o, taken := first[ref.Key()]
		switch {
		case !taken:
			first[ref.Key()] = u
		case o.chip == "" || o.chip != u.chip:
			f.add(u.where, subject, key, fmt.Errorf("%s is taken by %s: a line has one use", ref, o.who))
		}
	}
	for _, c := range f.sensors {
		// The header's I2C pins; other buses are on other pins on other models.
		if bus, ok := c.bus(); ok && bus == 1 {
			u := lineUse{fmt.Sprintf("I2C bus 1, on which sensor %s is (%s)", c.Name, c.Origin), "bus 1", c.Origin}
			claim(sensors.LineRef{BCM: 2}, u, "", "")
			claim(sensors.LineRef{BCM: 3}, u, "", "")
		}
	}
	for _, r := range f.rails.list {
		u := lineUse{who: fmt.Sprintf("rail %s (%s)", r.Name, r.Origin), where: r.Origin}
		subject, key := "rail "+r.Name, "line"
		if r.Implicit {
			u.who = fmt.Sprintf("power of a sensor (%s)", r.Origin)
			subject, key = f.firstOn(r), "power"
		}
		claim(r.Line, u, subject, key)
	}
	for _, c := range f.sensors {
		for _, line := range c.Lines() {
			u := lineUse{who: fmt.Sprintf("sensor %s (%s)", c.Name, c.Origin), where: f.origin(c, line.Option)}
			if bus, addr, ok := c.I2C(); ok {
				u.chip = fmt.Sprintf("%s at %s on %s", c.Driver.Name, addr, bus)
			}
			claim(line.Line, u, "sensor "+c.Name, line.Option)
		}
	}
}

// firstOn is the first sensor that the rail supplies.
func (f *conflicts) firstOn(r *Rail) string {
	for _, c := range f.sensors {
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

// references: a sensor that another refers to exists, and none refers, through
// others, to itself: each is read after those it refers to.
func (f *conflicts) references() {
	byName := map[string]*Sensor{}
	for _, c := range f.sensors {
		byName[c.Name] = c
	}
	for _, c := range f.sensors {
		f.missing(c)
	}
	order.Of(f.sensors, func(c *Sensor) []*Sensor {
		var list []*Sensor
		for _, r := range references(c) {
			if other := byName[r.name]; other != nil && r.reading {
				list = append(list, other)
			}
		}
		return list
	}, f.circle)
}

// A reference is the name of another sensor in one of a sensor's options.
type reference struct {
	option, name string
	reading      bool // its readings are needed
}

func references(c *Sensor) []reference {
	var list []reference
	for _, o := range c.Driver.Options {
		switch v := c.Options.Value(o.Name).(type) {
		case string:
			if o.Type == sensors.SensorRefOption {
				list = append(list, reference{o.Name, v, true})
			}
		case []string:
			if o.Type == sensors.SensorsOption {
				for _, name := range v {
					list = append(list, reference{o.Name, name, false})
				}
			}
		}
	}
	return list
}

// missing reports the sensors that c refers to and that don't exist.
func (f *conflicts) missing(c *Sensor) {
	for _, r := range references(c) {
		if _, ok := f.names[r.name]; !ok {
			f.reject(c, r.option, fmt.Errorf("there is no sensor %q%s", r.name, sensors.DidYouMean(r.name, slices.Sorted(maps.Keys(f.names)))))
		}
	}
}

// circle reports sensors each of which needs the next one's reading.
func (f *conflicts) circle(circle []*Sensor) {
	last := circle[len(circle)-1]
	err := errors.New("is the sensor itself")
	if len(circle) > 1 {
		var names []string
		for _, c := range circle {
			names = append(names, c.Name)
		}
		err = fmt.Errorf("the sensors need each other's readings in a circle, %s: one of them must do without", strings.Join(append(names, circle[0].Name), ", "))
	}
	for _, r := range references(last) {
		if r.name == circle[0].Name && r.reading {
			f.reject(last, r.option, err)
			return
		}
	}
}

// onTimes: a rail is on for long enough to warm its sensors up.
func (f *conflicts) onTimes() {
	for _, c := range f.sensors {
		if r := c.Rail; r != nil && r.MaxOn > 0 && c.Warmup >= r.MaxOn {
			f.reject(c, "warmup", fmt.Errorf("%s is no shorter than max-on of rail %s (%s), %s: the rail would be switched off before the sensor is read",
				sensors.FormatDuration(c.Warmup), r.Name, f.rails.origin(r, "max-on"), sensors.FormatDuration(r.MaxOn)))
		}
	}
}
