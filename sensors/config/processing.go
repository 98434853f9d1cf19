package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// inputSettings are what is said of the readings of one input, or of them all,
// by key.
type inputSettings map[string]setting

// processing reads what is said of the readings: of all (""), of a channel or
// of a quantity.
func (d *sensorDraft) processing(c *Sensor) {
	for _, input := range slices.Sorted(maps.Keys(d.inputs)) {
		p := d.inputProcessing(input)
		if input == "" {
			c.All = p
		} else if !p.isZero() {
			c.Channels[input] = p
		}
	}
	d.checkChannelNames(c)
}

// checkChannelNames reports two channels of one name: they would be one series
// with two values.
func (d *sensorDraft) checkChannelNames(c *Sensor) {
	all := !slices.ContainsFunc(d.driver.Channels, func(c string) bool { return d.inputs[c] != nil })
	first := map[string]string{}
	for _, channel := range d.driver.Channels {
		if d.inputs[channel] == nil && !all {
			continue
		}
		name := channel
		if p, ok := c.Channels[channel]; ok && p.Name != "" {
			name = p.Name
		}
		if other, ok := first[name]; ok {
			set, ok := d.inputs[channel]["name"]
			if !ok {
				set = d.inputs[other]["name"]
			}
			d.reject(d.stanza, set, fmt.Errorf("%q is the name of channel %s and of channel %s: rename one", name, other, channel))
		}
		first[name] = channel
	}
}

func (p Processing) isZero() bool {
	return p.Name == "" && p.Quantity == nil && p.Calibrate.IsZero() && p.Drop == nil && p.Filter == Filter{} && p.Clamp == nil
}

// An inputReader reads what is said of one input. It has to know what the
// driver measures there, for the units.
type inputReader struct {
	*sensorDraft
	input    string
	settings inputSettings
	from     []*sensors.Quantity // that the input stands for; none: it depends on the hardware
	fromUnit *units.Unit
	toUnit   *units.Unit
	single   bool // all of from have one unit
	p        Processing
}

func (d *sensorDraft) inputProcessing(input string) Processing {
	r := &inputReader{sensorDraft: d, input: input, settings: d.inputs[input], from: inputQuantities(d.driver, input)}
	r.fromUnit, r.single = oneUnit(r.from)
	r.toUnit = r.fromUnit
	r.read("name", r.name)
	r.read("quantity", r.quantity)
	r.read("calibrate.scale", r.scale)
	r.read("calibrate.offset", r.offset)
	r.read("calibrate.points", r.points)
	r.read("calibrate.beyond", r.beyond)
	r.read("drop", r.drop)
	r.read("filter.median", r.median)
	r.read("filter.average", r.average)
	r.read("clamp", r.clamp)
	return r.p
}

// read parses the setting of a key, if it is given, and reports the error.
func (r *inputReader) read(key string, parse func(setting) error) {
	set, ok := r.settings[key]
	if !ok {
		return
	}
	if err := parse(set); err != nil {
		r.reject(r.stanza, set, err)
	}
}

func (r *inputReader) name(set setting) error {
	text, err := set.Plain()
	switch {
	case err != nil:
		return err
	case slices.Contains(measured(r.driver), r.input) && !slices.Contains(r.driver.Channels, r.input):
		return fmt.Errorf("renames a channel, and %s is a quantity", r.input)
	case text == "":
		return errors.New("has no value")
	}
	r.p.Name = text
	return nil
}

func (r *inputReader) quantity(set setting) error {
	set.Key = "quantity"
	if _, err := parseCommon(set); err != nil {
		return err
	}
	q, _ := sensors.QuantityByName(set.Text)
	r.p.Quantity, r.toUnit = q, q.BaseUnit()
	_, scaled := r.settings["calibrate.scale"]
	_, points := r.settings["calibrate.points"]
	return mayBecome(r.driver, q, r.from, scaled || points)
}

func (r *inputReader) scale(set setting) error {
	text, err := r.calibration(set, "calibrate.scale")
	if err != nil {
		return err
	}
	v, err := units.None.Parse(text)
	r.p.Calibrate.Scale = v
	switch {
	case err != nil:
		return err
	case v == 0:
		return errors.New("0 would make every reading the same")
	case v < 0 && r.counts():
		return fmt.Errorf("%q would make a counter fall", text)
	}
	return nil
}

func (r *inputReader) offset(set setting) error {
	text, err := r.calibration(set, "calibrate.offset")
	if err != nil {
		return err
	}
	r.p.Calibrate.Offset, err = r.toUnit.ParseDifference(text)
	if err == nil && r.p.Calibrate.Offset < 0 && r.counts() {
		return fmt.Errorf("%q would have a counter begin below 0", text)
	}
	return err
}

// calibration is the text of a setting that needs one unit.
func (r *inputReader) calibration(set setting, key string) (string, error) {
	text, err := set.Plain()
	if err == nil && !r.single {
		err = severalError(r.driver, r.from, key)
	}
	return text, err
}

func (r *inputReader) points(set setting) (err error) {
	switch {
	case !r.single:
		return severalError(r.driver, r.from, "calibrate.points")
	case r.counts():
		return errors.New("a counter isn't calibrated by points: give a scale")
	}
	r.p.Calibrate.Points, err = parsePoints(set, r.fromUnit, r.toUnit)
	return err
}

func (r *inputReader) beyond(set setting) error {
	set.Key = "calibrate.beyond"
	v, err := parseCommon(set)
	if err != nil {
		return err
	}
	if _, ok := r.settings["calibrate.points"]; !ok {
		return errors.New("says what calibrate.points do beyond their ends, and there are none")
	}
	r.p.Calibrate.Beyond = Beyond(v.(string))
	return nil
}

func (r *inputReader) drop(set setting) (err error) {
	r.p.Drop, err = r.bounds(set, "drop")
	return err
}

func (r *inputReader) clamp(set setting) (err error) {
	r.p.Clamp, err = r.bounds(set, "clamp")
	return err
}

// bounds reads LOW:HIGH, one of which may be left out, in the unit of what is
// published.
func (r *inputReader) bounds(set setting, key string) (*sensors.Range, error) {
	switch {
	case !r.single:
		return nil, severalError(r.driver, r.from, key)
	case r.counts():
		return nil, errors.New("a counter has no range")
	}
	return parseBounds(set, r.toUnit)
}

func (r *inputReader) median(set setting) (err error) {
	if r.p.Filter.Median, err = r.window(set, "filter.median"); err != nil {
		return err
	}
	if n := r.p.Filter.Median; n%2 == 0 {
		return fmt.Errorf("%d is even, and a median has to be one of the reads: write %d or %d", n, n-1, n+1)
	}
	return nil
}

func (r *inputReader) average(set setting) (err error) {
	r.p.Filter.Average, err = r.window(set, "filter.average")
	return err
}

// window is the number of reads that a filter takes.
func (r *inputReader) window(set setting, key string) (int, error) {
	set.Key = key
	v, err := parseCommon(set)
	switch {
	case err != nil:
		return 0, err
	case r.counts():
		return 0, fmt.Errorf("a counter can't be smoothed: %s", r.whatSmooths(key))
	}
	return v.(int), nil
}

// whatSmooths advises to name a quantity that is no counter, where the key stands
// for several.
func (r *inputReader) whatSmooths(key string) string {
	var names []string
	for _, q := range r.from {
		if q.Kind != sensors.Counter && !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	if len(names) == 0 || r.p.Quantity != nil && r.p.Quantity.Kind == sensors.Counter {
		return "leave this key out"
	}
	return fmt.Sprintf("name the quantity (%s), as in %s.%s", strings.Join(names, ", "), names[0], key)
}

// counts tells whether a counter is among the readings, or they become one.
func (r *inputReader) counts() bool {
	to := r.p.Quantity
	return to != nil && to.Kind == sensors.Counter ||
		slices.ContainsFunc(r.from, func(q *sensors.Quantity) bool { return q.Kind == sensors.Counter })
}
