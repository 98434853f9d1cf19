package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// processing reads what is said of the readings: of all (""), of a channel or
// of a quantity. It needs to know what the driver measures, for the units.
func (l *loader) processing(c *Sensor, s *stanza, channels map[string]raw) {
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		p := l.oneProcessing(c.Driver, s, name, channels[name])
		if name == "" {
			c.All = p
		} else if !p.isZero() {
			c.Channels[name] = p
		}
	}
	// Two channels under one name would be one series with two values.
	names := map[string]string{}
	for _, channel := range c.Driver.Channels {
		if _, used := channels[channel]; !used && len(channels) > 0 && namesChannel(c.Driver, channels) {
			continue
		}
		name := channel
		if p, ok := c.Channels[channel]; ok && p.Name != "" {
			name = p.Name
		}
		if other, ok := names[name]; ok {
			set := channels[channel]["name"]
			if set.origin == (Origin{}) {
				set = channels[other]["name"]
			}
			l.complain(set.origin, s.subject(), set.key, fmt.Errorf("%q is the name of channel %s and of channel %s: rename one", name, other, channel))
		}
		names[name] = channel
	}
}

func (p Processing) isZero() bool {
	return p.Name == "" && p.Quantity == nil && p.Calibrate.IsZero() && p.Filter == Filter{}
}

// names tells whether any of the driver's channels is among those named.
func namesChannel(d *sensors.Driver, channels map[string]raw) bool {
	return slices.ContainsFunc(d.Channels, func(c string) bool { _, ok := channels[c]; return ok })
}

// source are the quantities that a channel's name stands for; nil where only
// the hardware can tell.
func sourceQuantities(d *sensors.Driver, channel string) []*sensors.Quantity {
	var qs []*sensors.Quantity
	byName := !slices.Contains(d.Channels, channel) && channel != ""
	for _, q := range d.Measures {
		if q.Metric == "" && (!byName || q.Name == channel) {
			qs = append(qs, q)
		}
	}
	return qs
}

func (l *loader) oneProcessing(d *sensors.Driver, s *stanza, channel string, r raw) Processing {
	var p Processing
	from := sourceQuantities(d, channel)
	fromUnit, single := oneUnit(from)
	toUnit := fromUnit
	read := func(key string, f func(text string) error) {
		set, ok := r[key]
		if !ok {
			return
		}
		text, err := plain(set)
		if err == nil {
			err = f(text)
		}
		if err != nil {
			l.complain(set.origin, s.subject(), set.key, err)
		}
	}
	read("name", func(text string) error {
		if slices.Contains(measured(d), channel) && !slices.Contains(d.Channels, channel) {
			return fmt.Errorf("renames a channel, and %s is a quantity", channel)
		}
		if text == "" {
			return errors.New("has no value")
		}
		p.Name = text
		return nil
	})
	read("quantity", func(text string) error {
		opt, _ := sensors.CommonOption("quantity")
		if _, err := opt.Parse(text); err != nil {
			return err
		}
		q, _ := sensors.QuantityByName(text)
		p.Quantity, toUnit = q, q.BaseUnit()
		_, scale := r["calibrate.scale"]
		_, points := r["calibrate.points"]
		return mayBecome(d, q, from, scale || points)
	})
	calibrate := func(key string, f func(text string) error) {
		read(key, func(text string) error {
			if !single {
				return severalError(d, from, key)
			}
			return f(text)
		})
	}
	calibrate("calibrate.scale", func(text string) (err error) {
		p.Calibrate.Scale, err = sensors.None.Parse(text)
		switch {
		case err != nil:
			return err
		case p.Calibrate.Scale == 0:
			return errors.New("0 would make every reading the same")
		case p.Calibrate.Scale < 0 && anyCounter(from, p.Quantity):
			return fmt.Errorf("%q would make a counter fall", text)
		}
		return nil
	})
	calibrate("calibrate.offset", func(text string) (err error) {
		p.Calibrate.Offset, err = toUnit.ParseDifference(text)
		return err
	})
	if set, ok := r["calibrate.points"]; ok {
		var err error
		switch {
		case !single:
			err = severalError(d, from, "calibrate.points")
		case anyCounter(from, p.Quantity):
			err = errors.New("a counter isn't calibrated by points: give a scale")
		default:
			p.Calibrate.Points, err = parsePoints(set, fromUnit, toUnit)
		}
		if err != nil {
			l.complain(set.origin, s.subject(), set.key, err)
		}
	}
	filter := func(key string, n *int) {
		read(key, func(text string) error {
			opt, _ := sensors.CommonOption(key)
			v, err := opt.Parse(text)
			switch {
			case err != nil:
				return err
			case anyCounter(from, p.Quantity):
				return fmt.Errorf("a counter can't be smoothed%s", advise(d, from, key))
			}
			*n = v.(int)
			return nil
		})
	}
	filter("filter.median", &p.Filter.Median)
	filter("filter.average", &p.Filter.Average)
	if n := p.Filter.Median; n > 0 && n%2 == 0 {
		set := r["filter.median"]
		l.complain(set.origin, s.subject(), set.key, fmt.Errorf("%d is even, and a median has to be one of the reads: write %d or %d", n, n-1, n+1))
	}
	return p
}

// oneUnit is the unit that all of these have; None where nothing is known.
func oneUnit(qs []*sensors.Quantity) (*sensors.Unit, bool) {
	u := sensors.None
	for i, q := range qs {
		if i > 0 && q.BaseUnit() != u {
			return u, false
		}
		u = q.BaseUnit()
	}
	return u, true
}

func anyCounter(from []*sensors.Quantity, to *sensors.Quantity) bool {
	return to != nil && to.Kind == sensors.Counter ||
		slices.ContainsFunc(from, func(q *sensors.Quantity) bool { return q.Kind == sensors.Counter })
}

func severalError(d *sensors.Driver, from []*sensors.Quantity, key string) error {
	return fmt.Errorf("driver %s measures more than one thing%s", d.Name, advise(d, from, key))
}

// which advises to name the quantity, where there are several.
func advise(d *sensors.Driver, from []*sensors.Quantity, key string) string {
	if len(measured(d)) < 2 {
		return ""
	}
	return fmt.Sprintf(": say of which (%s), as in %s.%s", strings.Join(measured(d), ", "), from[0].Name, key)
}

// mayBecome tells whether readings of from may be exported as q. Where the
// unit is another, something has to convert them.
func mayBecome(d *sensors.Driver, q *sensors.Quantity, from []*sensors.Quantity, converted bool) error {
	if len(from) == 0 {
		if len(q.Labels) > 0 {
			return fmt.Errorf("%s needs the label %s, which only drivers of its kind give", q.Name, strings.Join(q.Labels, ", "))
		}
		return nil
	}
	for _, f := range from {
		switch {
		case f.Name != from[0].Name:
			return severalError(d, from, "quantity")
		case f.Kind != q.Kind:
			return fmt.Errorf("%s is a %s, and what driver %s measures, %s, a %s", q.Name, q.Kind, d.Name, f.Name, f.Kind)
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

// word names the unit in a sentence.
func unitWord(u *sensors.Unit) string {
	switch u {
	case sensors.None:
		return "plain numbers"
	case sensors.Ratio:
		return "a ratio"
	}
	return strings.ReplaceAll(u.Suffix, "_", " ")
}

// parsePoints reads X:Y X:Y …, each with or without a unit.
func parsePoints(set setting, x, y *sensors.Unit) ([][2]float64, error) {
	list, err := words(set)
	if err != nil {
		return nil, err
	}
	points := make([][2]float64, 0, len(list))
	for _, w := range list {
		left, right, ok := strings.Cut(w, ":")
		if !ok {
			return nil, fmt.Errorf(`%q is no point: write READ:TRUE, as in points="2.8:0 1.2:1", or in the file points: [[2.8, 0], [1.2, 1]]`, w)
		}
		a, err := x.Parse(left)
		if err != nil {
			return nil, fmt.Errorf("point %s: %w", w, err)
		}
		b, err := y.Parse(right)
		if err != nil {
			return nil, fmt.Errorf("point %s: %w", w, err)
		}
		points = append(points, [2]float64{a, b})
	}
	if len(points) < 2 {
		return nil, errors.New("one point makes no line: two are needed; to shift by a constant give offset")
	}
	slices.SortFunc(points, func(a, b [2]float64) int {
		switch {
		case a[0] < b[0]:
			return -1
		case a[0] > b[0]:
			return 1
		}
		return 0
	})
	for i, p := range points[1:] {
		dx, dy := p[0]-points[i][0], p[1]-points[i][1]
		if dx == 0 {
			return nil, fmt.Errorf("two points have the read value %v", p[0])
		}
		if math.IsInf(dx, 0) || math.IsInf(dy/dx, 0) {
			return nil, fmt.Errorf("the points at %v and %v make no line that can be computed", points[i][0], p[0])
		}
	}
	return points, nil
}
