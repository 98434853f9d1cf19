// Package series makes what is published of what the reads of a sensor report:
// it finds each reading's series again, calibrates, checks, smooths and renames
// it, and refuses what contradicts other series. All look-ups are by hash or by
// place, so that a program with many series costs time in proportion to them.
package series

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// A series is one reading of a sensor through time: what the driver calls it
// and what it is published as.
type series struct {
	quantity *sensors.Quantity // the driver's
	labels   []string

	out       *sensors.Quantity
	outLabels []string
	family    string
	calibrate config.Calibration
	drop      *sensors.Range
	clamp     *sensors.Range
	limits    *sensors.Quantity // what out can be at all, whatever the driver's own range
	keys      string            // of the configuration that made the value
	smoother  *smoother
	checked   bool   // by families
	conflict  error  // why it can't be published
	read      uint64 // the number of the read that it was last in
	place     int    // in the table's list
	key       string // in the table's byKey
	outKey    string // in its byOut, once it was to be published
}

// is tells whether r is a reading of e. What a program prints is of a new
// Quantity each time; its HELP may change, and the first stands.
func (e *series) is(r *sensors.Reading) bool {
	if !slices.Equal(e.labels, r.Labels) {
		return false
	}
	a, b := e.quantity, r.Quantity
	if a == b {
		return true
	}
	return a.Name == b.Name && a.Metric == b.Metric && a.Kind == b.Kind && slices.Equal(a.Labels, b.Labels)
}

// refused says why a reading of the series at the read of that number contradicts
// others; nil: it doesn't.
func (e *series) refused(read uint64) error {
	if e.read == read {
		return fmt.Errorf("%s is reported twice", e)
	}
	e.read = read
	return e.conflict
}

// value is what is published of a reading.
func (e *series) value(r *sensors.Reading) (float64, error) {
	if !r.Plain() {
		return r.Value, nil
	}
	v, err := e.calibrate.Apply(r.Value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", e, err)
	}
	if d := e.drop; d != nil && !(v >= d.Min && v <= d.Max) {
		return 0, sensors.Errorf(sensors.OutOfRange, "%s: %s is outside the range that drop leaves", e, e.out.Format(v))
	}
	// What can't be a value in the end isn't averaged into one.
	if err := e.possible(e.clamped(v)); err != nil {
		return 0, err
	}
	if e.smoother != nil {
		e.smoother.fed = e.read
		if v, err = e.smoother.add(v); err != nil {
			return 0, err
		}
	}
	v = e.clamped(v)
	return v, e.possible(v)
}

// clamped is v within the range that clamp gives. What is no finite number
// stays none.
func (e *series) clamped(v float64) float64 {
	if e.clamp == nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	return max(e.clamp.Min, min(v, e.clamp.Max))
}

// appendKey appends to a key what distinguishes a series from others: what the
// method is compares. No text that is UTF-8 has the byte between the parts.
func appendKey(key []byte, q *sensors.Quantity, name string, labels []string) []byte {
	key = append(append(key, byte(q.Kind)), q.Name...)
	key = append(append(key, 0xff), name...)
	for i, label := range labels {
		if i < len(q.Labels) {
			key = append(append(key, 0xff), q.Labels[i]...)
		}
		key = append(append(key, 0xff), label...)
	}
	return key
}

// newSeries is the series of a reading, as the configuration treats it.
func newSeries(cfg *config.Sensor, r *sensors.Reading) *series {
	channel := ""
	at := slices.Index(r.Quantity.Labels, "channel")
	if at >= 0 && at < len(r.Labels) {
		channel = r.Labels[at]
	}
	do := cfg.ProcessingOf(channel, r.Quantity.Name)
	if r.Quantity.AboutRead() {
		do = config.Processing{}
	}
	e := &series{quantity: r.Quantity, labels: slices.Clone(r.Labels), out: r.Quantity, calibrate: do.Calibrate, drop: do.Drop, clamp: do.Clamp}
	if do.Quantity != nil {
		q := *do.Quantity
		q.Labels = r.Quantity.Labels
		e.out = &q
	}
	e.outLabels = e.labels
	if do.Name != "" && channel != "" {
		e.outLabels = slices.Clone(e.labels)
		e.outLabels[at] = do.Name
	}
	if do.Filter != (config.Filter{}) && e.out.Kind == sensors.Gauge {
		e.smoother = newSmoother(do.Filter)
	}
	e.family = e.out.MetricName()
	e.limits, e.keys = limits(e.out, r.Quantity, do.Calibrate), keys(do)
	return e
}

// limits is what a published value of the quantity can be: between the driver
// and the page it may be calibrated, and what a chip can't measure may then be
// right, but no ratio is 45 and no temperature below absolute zero. A distance
// or a mass is below zero only where it is counted from a point of the user's:
// an offset, points, or a driver's own tare.
func limits(out, measured *sensors.Quantity, c config.Calibration) *sensors.Quantity {
	q := *out
	if own, ok := sensors.QuantityByName(out.Name); ok && own.MetricName() == out.MetricName() {
		q.Range = own.Range
	}
	if out.Kind == sensors.Counter && q.Range == nil {
		q.Range = &sensors.Range{Min: 0, Max: math.MaxFloat64}
	}
	shifted := c.Offset != 0 || len(c.Points) > 0 || measured.Range != nil && measured.Range.Min < 0
	if relative := out.Name == sensors.Distance.Name || out.Name == sensors.Mass.Name; relative && shifted && q.Range != nil {
		q.Range = &sensors.Range{Min: -q.Range.Max, Max: q.Range.Max}
	}
	return &q
}

// keys are those of the configuration that change what a value is.
func keys(p config.Processing) string {
	var list []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"quantity", p.Quantity != nil},
		{"calibrate.points", len(p.Calibrate.Points) > 0},
		{"calibrate.scale", p.Calibrate.Scale != 0},
		{"calibrate.offset", p.Calibrate.Offset != 0},
		{"clamp", p.Clamp != nil},
	} {
		if k.set {
			list = append(list, k.name)
		}
	}
	return strings.Join(list, " and ")
}

// possible checks a value after its last change.
func (e *series) possible(v float64) error {
	err := e.limits.Check(v)
	switch {
	case err == nil:
		return nil
	case e.keys == "":
		return fmt.Errorf("%s: %w", e, err)
	}
	return fmt.Errorf("%s: %w: check %s", e, err, e.keys)
}

// String is the series as the page would show it.
func (e *series) String() string {
	pairs := make([]string, len(e.outLabels))
	for i, v := range e.outLabels {
		pairs[i] = fmt.Sprintf("%s=%q", e.out.Labels[i], v)
	}
	if len(pairs) == 0 {
		return e.family
	}
	return e.family + "{" + strings.Join(pairs, ",") + "}"
}
