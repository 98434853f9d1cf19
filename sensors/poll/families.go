package poll

import (
	"fmt"
	"slices"

	"example.org/dormouse/sensors"
)

// families decide which series of the sensors may be published together. The
// rule itself is sensors.Families, which the exporter uses as well.
type families struct{ all *sensors.Families }

// reset registers what the drivers of a configuration measure before any
// program can use such a name for something else.
func (f *families) reset(set *set) {
	f.all = sensors.NewFamilies()
	for _, s := range set.sensors {
		for _, q := range s.cfg.Driver.Measures {
			if _, err := f.all.Admit(q, "driver "+s.cfg.Driver.Name); err != nil {
				s.log.Error("a quantity of the driver can't be published", "err", err)
			}
		}
		for _, e := range s.series {
			e.checked, e.conflict = false, nil
		}
	}
}

// check looks at the series that a sensor's last read brought and that are new.
// One that contradicts others is withdrawn, and is its sensor's error from then
// on.
func (f *families) check(s *sensor) {
	conflicts := false
	for i, e := range s.series {
		if e.checked {
			continue
		}
		e.checked = true
		e.conflict = f.conflict(s, i, e)
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
		res.Refused++
		res.Failures = append(slices.Clone(res.Failures), sensors.Failure{Err: s.series[i].conflict, Labels: r.Labels})
		s.count(sensors.ReasonOf(s.series[i].conflict))
	}
	res.Readings = kept
	if res.Up && !anyMeasured(kept) {
		res.Up, res.Err = false, res.Failures[0].Err
		res.Reason, res.LastSuccess = sensors.ReasonOf(res.Err), s.earlier
		s.failed++
		s.good.Store(nil)
	}
	s.logState()
}

// conflict says why e can't be published; nil: it can.
func (f *families) conflict(s *sensor, i int, e *series) error {
	if _, err := f.all.Admit(e.out, "sensor "+s.cfg.Name); err != nil {
		return err
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
