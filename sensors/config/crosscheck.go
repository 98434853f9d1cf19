package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/order"
)

// conflicts finds what is wrong between sensors: each alone may be right.
type conflicts struct {
	*report
	sensors  []*Sensor
	rails    *rails
	names    map[string]Origin // of the sensors, broken ones too
	origins  map[*Sensor]map[string]Origin
	identify Identifier
}

func (f *conflicts) find() {
	f.checkChips()
	f.checkWires()
	f.checkReferences()
	f.checkOnTimes()
	f.checkHeldLines()
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

// checkReferences checks that each sensor that another refers to exists, and that
// none needs its own reading, through others: each is read after those whose
// readings it needs.
func (f *conflicts) checkReferences() {
	byName := map[string]*Sensor{}
	for _, c := range f.sensors {
		byName[c.Name] = c
	}
	for _, c := range f.sensors {
		f.rejectMissing(c)
	}
	order.Of(f.sensors, func(c *Sensor) []*Sensor {
		var list []*Sensor
		for _, r := range references(c) {
			if other := byName[r.name]; other != nil && r.reading {
				list = append(list, other)
			}
		}
		return list
	}, f.rejectCycle)
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

// rejectMissing reports the sensors that c refers to and that don't exist.
func (f *conflicts) rejectMissing(c *Sensor) {
	for _, r := range references(c) {
		if _, ok := f.names[r.name]; !ok {
			f.reject(c, r.option, fmt.Errorf("there is no sensor %q%s", r.name, sensors.DidYouMean(r.name, slices.Sorted(maps.Keys(f.names)))))
		}
	}
}

// rejectCycle reports sensors each of which needs the next one's reading.
func (f *conflicts) rejectCycle(cycle []*Sensor) {
	last := cycle[len(cycle)-1]
	err := errors.New("is the sensor itself")
	if len(cycle) > 1 {
		var names []string
		for _, c := range cycle {
			names = append(names, c.Name)
		}
		err = fmt.Errorf("the sensors need each other's readings in a cycle, %s: one of them must do without", strings.Join(append(names, cycle[0].Name), ", "))
	}
	for _, r := range references(last) {
		if r.name == cycle[0].Name && r.reading {
			f.reject(last, r.option, err)
			return
		}
	}
}

// checkOnTimes checks that each rail may be on for long enough to warm its sensors
// up.
func (f *conflicts) checkOnTimes() {
	for _, c := range f.sensors {
		if r := c.Rail; r != nil && r.MaxOn > 0 && c.Warmup >= r.MaxOn {
			f.reject(c, "warmup", fmt.Errorf("%s is not shorter than max-on of rail %s (%s), %s: the rail would be switched off before the sensor is read",
				duration.Format(c.Warmup), r.Name, f.rails.origin(r, "max-on"), duration.Format(r.MaxOn)))
		}
	}
}
