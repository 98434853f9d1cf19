package poll

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
	limits    *sensors.Quantity // what out can be at all, whatever the driver's own range
	keys      string            // of the configuration that made the value
	smoother  *smoother
	checked   bool   // by families
	conflict  error  // why it can't be published
	read      uint64 // the number of the read that it was last in
}

// process turns the report of a good read into readings. Series are found
// again at their place in the report, so that a steady read makes nothing but
// the slice of its readings.
func (s *sensor) process(report *sensors.Report) []sensors.Reading {
	in := report.Readings()
	out := make([]sensors.Reading, 0, len(in))
	number := s.result.Reads
	for i, reading := range in {
		if i < len(s.faults) && s.faults[i] != nil {
			s.failChannel(s.faults[i], reading.Labels)
			continue
		}
		e := s.find(i, &reading)
		if e.read == number {
			s.result.Refused++
			s.failChannel(fmt.Errorf("%s is reported twice", e), reading.Labels)
			continue
		}
		e.read = number
		if e.conflict != nil {
			s.result.Refused++
			s.failChannel(e.conflict, reading.Labels)
			continue
		}
		v := reading.Value
		if reading.Dist == nil {
			v = e.calibrate.Apply(v)
			err := e.possible(v)
			if err == nil && e.smoother != nil {
				v, err = e.smoother.add(v)
			}
			if err != nil {
				s.failChannel(err, reading.Labels)
				continue
			}
		}
		out = append(out, sensors.Reading{Quantity: e.out, Value: v, Labels: e.outLabels, Dist: reading.Dist})
	}
	for _, f := range report.Failures() {
		s.failChannel(f.Err, f.Labels)
	}
	if len(s.series) > 2*len(in)+16 {
		// A program may name its series differently each time.
		s.series = slices.DeleteFunc(s.series, func(e *series) bool { return e.read != number })
	}
	return out
}

func (s *sensor) failChannel(err error, labels []string) {
	s.result.Failures = append(s.result.Failures, sensors.Failure{Err: err, Labels: slices.Clone(labels)})
}

// fail is process for a read that failed. Readings about the read itself (a
// program's exit status) stay; of the rest, what keep-failed keeps.
func (s *sensor) fail(report *sensors.Report) {
	var kept []sensors.Reading
	if s.failed <= s.cfg.KeepFailed {
		for _, r := range s.result.Readings {
			if !r.Quantity.AboutRead() {
				kept = append(kept, r)
			}
		}
	} else {
		s.good.Store(nil)
		for _, e := range s.series {
			if e.smoother != nil {
				e.smoother.failed(s.failed)
			}
		}
	}
	if report != nil {
		for i, reading := range report.Readings() {
			if reading.Quantity.AboutRead() && reading.Quantity.Check(reading.Value) == nil {
				if e := s.find(i, &reading); e.conflict == nil {
					kept = append(kept, sensors.Reading{Quantity: e.out, Value: reading.Value, Labels: e.outLabels})
				}
			}
		}
	}
	s.result.Readings = kept
}

// find is the series of a reading, made where it is new. hint is its likely
// place.
func (s *sensor) find(hint int, r *sensors.Reading) *series {
	if hint < len(s.series) && s.series[hint].is(r) {
		return s.series[hint]
	}
	i := slices.IndexFunc(s.series, func(e *series) bool { return e.is(r) })
	if i < 0 {
		s.series = append(s.series, s.newSeries(r))
		i = len(s.series) - 1
	}
	if hint < i {
		s.series[hint], s.series[i] = s.series[i], s.series[hint]
		i = hint
	}
	return s.series[i]
}

// is tells whether r is a reading of e. What a program prints is of a new
// Quantity each time.
func (e *series) is(r *sensors.Reading) bool {
	if !slices.Equal(e.labels, r.Labels) {
		return false
	}
	a, b := e.quantity, r.Quantity
	if a == b {
		return true
	}
	return a.Name == b.Name && a.Metric == b.Metric && a.Unit == b.Unit && a.Kind == b.Kind && a.Help == b.Help && slices.Equal(a.Labels, b.Labels)
}

func (s *sensor) newSeries(r *sensors.Reading) *series {
	channel := ""
	at := slices.Index(r.Quantity.Labels, "channel")
	if at >= 0 && at < len(r.Labels) {
		channel = r.Labels[at]
	}
	do := s.cfg.ProcessingOf(channel, r.Quantity.Name)
	if r.Quantity.AboutRead() {
		do = config.Processing{}
	}
	e := &series{quantity: r.Quantity, labels: slices.Clone(r.Labels), out: r.Quantity, calibrate: do.Calibrate}
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
