package sensors

import (
	"fmt"
	"sort"
)

var drivers = map[string]*Driver{}

// Register adds a driver; drivers call it from init, so that adding one
// touches one file. A mistake in the table stops the program at once.
func Register(d *Driver) {
	switch {
	case drivers[d.Name] != nil:
		panic(fmt.Sprintf("sensors: driver %s is registered twice", d.Name))
	case !validName(d.Name) || d.Summary == "" || d.Datasheet == "" || d.New == nil:
		panic(fmt.Sprintf("sensors: driver %q lacks a name, summary, data sheet or New", d.Name))
	}
	for _, o := range d.Options {
		if err := o.check(); err != nil {
			panic(fmt.Sprintf("sensors: driver %s: %v", d.Name, err))
		}
	}
	drivers[d.Name] = d
}

// DriverByName returns a registered driver.
func DriverByName(name string) (*Driver, bool) {
	d, ok := drivers[name]
	return d, ok
}

// Drivers lists the registered drivers by name.
func Drivers() []*Driver {
	all := make([]*Driver, 0, len(drivers))
	for _, d := range drivers {
		all = append(all, d)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}
