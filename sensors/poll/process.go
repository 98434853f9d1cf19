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
	smoother  *smoother
	judged    bool
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
			s.failChannel(fmt.Errorf("%s is reported twice", e), reading.Labels)
			continue
		}
		e.read = number
		if e.conflict != nil {
			s.failChannel(e.conflict, reading.Labels)
			continue
		}
		v := reading.Value
		if reading.Dist == nil {
			v = e.calibrate.Apply(v)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				s.failChannel(sensors.Errorf(sensors.OutOfRange, "%s becomes %v by calibration", e, v), reading.Labels)
				continue
			}
			if e.smoother != nil {
				v = e.smoother.add(v)
			}
		}
		out = append(out, sensors.Reading{Quantity: e.out, Value: v, Labels: e.outLabels, Dist: reading.Dist})
	}
	for _, f := range report.Failures() {
		s.failChannel(f.Err, f.Labels)
	}
	if len(s.series) > 2*len(in)+16 {
		// A program names its series anew each time.
		s.series = slices.DeleteFunc(s.series, func(e *series) bool { return e.read != number })
	}
	return out
}

func (s *sensor) failChannel(err error, labels []string) {
	s.result.Failures = append(s.result.Failures, sensors.Failure{Err: err, Labels: slices.Clone(labels)})
}

// fail is process for a read that failed. What tells of the failure itself (a
// program's exit status) stands; of the rest, what keep-failed keeps.
func (s *sensor) fail(report *sensors.Report) {
	var kept []sensors.Reading
	if s.failed <= s.cfg.KeepFailed {
		for _, r := range s.result.Readings {
			if !aboutItself(r.Quantity) {
				kept = append(kept, r)
			}
		}
	} else {
		s.good.Store(nil)
		for _, e := range s.series {
			if e.smoother != nil {
				e.smoother.reset()
			}
		}
	}
	if report != nil {
		for i, reading := range report.Readings() {
			if aboutItself(reading.Quantity) && reading.Quantity.Check(reading.Value) == nil {
				if e := s.find(i, &reading); e.conflict == nil {
					kept = append(kept, sensors.Reading{Quantity: e.out, Value: reading.Value, Labels: e.outLabels})
				}
			}
		}
	}
	s.result.Readings = kept
}

// aboutItself tells whether a quantity is of our own about a read.
func aboutItself(q *sensors.Quantity) bool { return strings.HasPrefix(q.Metric, "dormouse_") }

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
	if aboutItself(r.Quantity) {
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
	return e
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

// A family is the first definition of a metric.
type family struct {
	kind  sensors.Kind
	help  string
	owner string
}

// claim registers what the drivers say they measure before any program can
// print something of that name.
func (p *Poller) claim(set *set) {
	clear(p.families)
	for _, s := range set.sensors {
		for _, q := range s.cfg.Driver.Measures {
			p.define(q.MetricName(), q, "driver "+s.cfg.Driver.Name)
		}
		for _, e := range s.series {
			e.judged, e.conflict = false, nil
		}
	}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		p.define(q.MetricName(), q, "Dormouse")
	}
}

func (p *Poller) define(name string, q *sensors.Quantity, owner string) *family {
	f := p.families[name]
	if f == nil {
		f = &family{q.Kind, q.Help, owner}
		p.families[name] = f
	}
	return f
}

// judge looks at series that are new: one that can't stand on a page with what
// is there already is taken out, and is its sensor's error from then on.
func (p *Poller) judge(s *sensor) {
	if s.active {
		return
	}
	conflicts := false
	for i, e := range s.series {
		if e.judged {
			continue
		}
		e.judged = true
		e.conflict = p.contradiction(s, i, e)
		conflicts = conflicts || e.conflict != nil
	}
	if !conflicts {
		return
	}
	res := &s.result
	kept := make([]sensors.Reading, 0, len(res.Readings))
	for _, r := range res.Readings {
		// The series of a reading is the one that made its labels.
		i := slices.IndexFunc(s.series, func(e *series) bool {
			return e.out == r.Quantity && slices.Equal(e.outLabels, r.Labels) && e.read == res.Reads
		})
		if i < 0 || s.series[i].conflict == nil {
			kept = append(kept, r)
			continue
		}
		res.Failures = append(slices.Clone(res.Failures), sensors.Failure{Err: s.series[i].conflict, Labels: r.Labels})
		s.count(sensors.ReasonOf(s.series[i].conflict))
	}
	res.Readings = kept
	if len(kept) == 0 && res.Up && len(res.Failures) > 0 {
		res.Up, res.Err = false, res.Failures[0].Err
		res.Reason, res.LastSuccess = sensors.ReasonOf(res.Err), s.earlier
		s.failed++
		s.good.Store(nil)
	}
	s.tell()
}

// contradiction says why e can't be published; nil: it can.
func (p *Poller) contradiction(s *sensor, i int, e *series) error {
	f := p.define(e.family, e.out, "sensor "+s.cfg.Name)
	switch {
	case f.kind != e.out.Kind:
		return fmt.Errorf("%s is a %v here, but a %v by %s: give it another name", e.family, e.out.Kind, f.kind, f.owner)
	case f.help != e.out.Help:
		return fmt.Errorf("%s has another HELP here than by %s (%q): give it another name, or the same text", e.family, f.owner, f.help)
	}
	for _, name := range e.out.Labels {
		if name == "sensor" || slices.ContainsFunc(s.cfg.Labels, func(l sensors.Label) bool { return l.Name == name }) {
			return fmt.Errorf("%s has a label %s of its own: leave label.%s out of the configuration", e.family, name, name)
		}
	}
	for _, other := range s.series[:i] {
		if other.conflict == nil && other.family == e.family && slices.Equal(other.out.Labels, e.out.Labels) && slices.Equal(other.outLabels, e.outLabels) {
			return fmt.Errorf("%s is there twice: give one of the channels another name", e)
		}
	}
	return nil
}
