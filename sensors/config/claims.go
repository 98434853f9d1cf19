package config

import (
	"fmt"
	"slices"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// An Identifier is what a board calls a wire, equal for two names of one; ok is
// false where it can't tell.
type Identifier func(c sensors.Claim) (id string, ok bool)

// key tells a wire from others: by the board where it can tell, else by how it
// is written.
func (i Identifier) key(c sensors.Claim) string {
	if i != nil {
		if id, ok := i(c); ok {
			return string(c.Kind) + " " + id
		}
	}
	return c.Key()
}

// checkChips checks that sensors of one address, or one chip select, agree about the
// chip there: several may read its channels, but it has one driver, one supply and
// one set of options.
func (f *conflicts) checkChips() {
	first := map[string]*Sensor{}
	for _, c := range f.sensors {
		claim, ok := c.Chip()
		if !ok {
			continue
		}
		if o := first[claim.Key()]; o != nil {
			f.checkSameChip(c, o, claim)
		} else {
			first[claim.Key()] = c
		}
	}
}

// checkSameChip checks that two sensors say the same of one chip.
func (f *conflicts) checkSameChip(c, first *Sensor, claim sensors.Claim) {
	other := fmt.Sprintf("sensor %s (%s)", first.Name, first.Origin)
	if c.Driver.Name != first.Driver.Name {
		f.reject(c, claim.Option, fmt.Errorf("%s is taken by the %s of %s: give the %s of this %s", claim, first.Driver.Name, other, claim.Option, c.Driver.Name))
		return
	}
	differs := fmt.Errorf("differs from %s, which reads the same chip, %s: give the same value in both", other, claim)
	for _, o := range c.Driver.Options {
		if !o.Channel && !o.OverridesCommon() && !c.Options.EqualValue(first.Options, o.Name) {
			f.reject(c, o.Name, differs)
		}
	}
	if c.Rail != first.Rail {
		f.reject(c, "power", differs)
	}
}

// A claimant is who claims a wire that has one user.
type claimant struct {
	who   string // "sensor door (dormouse.yml:5)"
	group string // claimants of an equal, non-empty group share the wire
	// Where, and of what, the error is reported.
	where        Origin
	subject, key string
}

// checkWires checks that each line and each serial port has one user, and that no
// line is a pin that a bus or a port in use has.
func (f *conflicts) checkWires() {
	first := map[string]claimant{}
	claim := func(c sensors.Claim, by claimant) {
		key := f.identify.key(c)
		o, taken := first[key]
		switch {
		case !taken:
			first[key] = by
		case o.group == "" || o.group != by.group:
			f.add(by.where, by.subject, by.key, fmt.Errorf("%s is taken by %s: %s has one use", c, o.who, c.Noun()))
		}
	}
	for _, c := range f.sensors {
		f.claimPins(c, claim)
	}
	for _, r := range f.rails.list {
		by := claimant{who: fmt.Sprintf("rail %s (%s)", r.Name, r.Origin), where: r.Origin, subject: "rail " + r.Name, key: "line"}
		if r.Implicit {
			by.who = fmt.Sprintf("power of a sensor (%s)", r.Origin)
			by.subject, by.key = f.firstOn(r), "power"
		}
		claim(r.Claim(), by)
	}
	for _, c := range f.sensors {
		by := claimant{who: fmt.Sprintf("sensor %s (%s)", c.Name, c.Origin), subject: "sensor " + c.Name}
		if chip, ok := c.Chip(); ok {
			by.group = fmt.Sprintf("%s, %s", c.Driver.Name, chip)
		}
		for _, wire := range c.Options.Claims() {
			if wire.Use() == sensors.Exclusive {
				by.where, by.key = f.origin(c, wire.Option), wire.Option
				claim(wire, by)
			}
		}
	}
}

// claimPins claims the header's pins of the buses and ports that a sensor is on.
func (f *conflicts) claimPins(c *Sensor, claim func(sensors.Claim, claimant)) {
	for _, wire := range c.Options.Claims() {
		medium := wire.Medium()
		for _, pin := range wire.Pins() {
			claim(sensors.Claim{Kind: sensors.LineWire, Line: sensors.LineRef{BCM: pin.BCM}}, claimant{
				who:   fmt.Sprintf("%s, on which sensor %s is (%s)", medium, c.Name, c.Origin),
				group: medium, where: f.origin(c, wire.Option), subject: "sensor " + c.Name, key: wire.Option,
			})
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

// checkHeldLines checks that no rail with max-on supplies a line that is held between
// reads: the rail stays on for it.
func (f *conflicts) checkHeldLines() {
	for _, c := range f.sensors {
		claims := c.Options.Claims()
		i := slices.IndexFunc(claims, func(c sensors.Claim) bool { return c.Held })
		if c.Rail == nil || i < 0 {
			continue
		}
		if r := f.limited(c.Rail, map[*Rail]bool{}); r != nil {
			f.reject(c, "power", fmt.Errorf("%s is held between reads, for which rail %s stays on, and max-on (%s) would switch it off after %s for good: leave max-on out, or supply this sensor otherwise",
				claims[i], r.Name, f.rails.origin(r, "max-on"), duration.Format(r.MaxOn)))
		}
	}
}

// limited is the first of a rail and those that it comes after that has a
// max-on; nil: none.
func (f *conflicts) limited(r *Rail, seen map[*Rail]bool) *Rail {
	if seen[r] {
		return nil
	}
	seen[r] = true
	if r.MaxOn > 0 {
		return r
	}
	for _, other := range f.rails.after(r) {
		if found := f.limited(other, seen); found != nil {
			return found
		}
	}
	return nil
}
