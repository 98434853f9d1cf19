package config

import (
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// ofReadings are the keys that an input takes. An input is a channel of a driver, or
// one of the quantities that it measures: what the configuration may treat apart
// from the sensor's other readings.
var ofReadings = slices.Concat([]string{"name", "quantity"}, ofAllReadings, shortCalibration)

// shortCalibration are the calibration's keys without its name.
var shortCalibration = []string{"offset", "scale", "points", "beyond"}

// ofAllReadings are those that may be given for all readings at once, besides
// quantity.
var ofAllReadings = []string{"calibrate.offset", "calibrate.scale", "calibrate.points", "calibrate.beyond", "drop", "filter.median", "filter.average", "clamp"}

// isInput tells whether name is one of the driver's channels or quantities.
// Where those depend on the hardware, any name may be one.
func isInput(d *sensors.Driver, name string) bool {
	if d == nil {
		return false
	}
	if slices.Contains(d.Channels, name) || slices.Contains(measured(d), name) {
		return true
	}
	_, common := sensors.CommonOption(name)
	_, err := d.Option(name)
	return d.Measures == nil && d.Channels == nil && !common && err != nil && sensors.ValidName(name) &&
		!slices.Contains([]string{"label", "calibrate", "filter"}, name)
}

// measured are the names of the quantities that the driver is known to measure.
func measured(d *sensors.Driver) []string {
	var names []string
	for _, q := range d.Measures {
		if !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	return names
}

// inputQuantities are the quantities that an input stands for; nil where they
// depend on the hardware.
func inputQuantities(d *sensors.Driver, input string) []*sensors.Quantity {
	var qs []*sensors.Quantity
	byName := !slices.Contains(d.Channels, input) && input != ""
	for _, q := range d.Measures {
		if q.Metric == "" && (!byName || q.Name == input) {
			qs = append(qs, q)
		}
	}
	return qs
}

// oneUnit is the unit that all of these have; None where nothing is known.
func oneUnit(qs []*sensors.Quantity) (*units.Unit, bool) {
	u := units.None
	for i, q := range qs {
		if i > 0 && q.BaseUnit() != u {
			return u, false
		}
		u = q.BaseUnit()
	}
	return u, true
}

func severalError(d *sensors.Driver, from []*sensors.Quantity, key string) error {
	return fmt.Errorf("driver %s measures more than one thing%s", d.Name, whichQuantity(d, from, key))
}

// whichQuantity advises to name the quantity, where there are several.
func whichQuantity(d *sensors.Driver, from []*sensors.Quantity, key string) string {
	if len(measured(d)) < 2 {
		return ""
	}
	return fmt.Sprintf(": name the quantity (%s), as in %s.%s", strings.Join(measured(d), ", "), from[0].Name, key)
}

// mayBecome tells whether readings of from may be exported as q. Where the
// unit is another, something has to convert them.
func mayBecome(d *sensors.Driver, q *sensors.Quantity, from []*sensors.Quantity, converted bool) error {
	if len(from) == 0 {
		if len(q.Labels) > 0 {
			return fmt.Errorf("%s needs the label %s, which this driver does not give", q.Name, strings.Join(q.Labels, ", "))
		}
		return nil
	}
	for _, f := range from {
		switch {
		case f.Name != from[0].Name:
			return severalError(d, from, "quantity")
		case f.Kind != q.Kind:
			return fmt.Errorf("%s is a %s, but driver %s measures %s, a %s", q.Name, q.Kind, d.Name, f.Name, f.Kind)
		case f.BaseUnit() != q.BaseUnit() && !converted:
			return fmt.Errorf("%s is %s, but driver %s measures %s in %s: give scale or points to convert it", q.Name, unitWord(q.BaseUnit()), d.Name, f.Name, unitWord(f.BaseUnit()))
		}
		for _, label := range q.Labels {
			if !slices.Contains(f.Labels, label) {
				return fmt.Errorf("%s needs the label %s, which driver %s doesn't give", q.Name, label, d.Name)
			}
		}
	}
	return nil
}

// unitWord names the unit in a sentence.
func unitWord(u *units.Unit) string {
	switch u {
	case units.None:
		return "plain numbers"
	case units.Ratio:
		return "a ratio"
	}
	return strings.ReplaceAll(u.Suffix, "_", " ")
}
