package series

import (
	"fmt"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// A Table is the series of one sensor, and what of them is published.
type Table struct {
	cfg *config.Sensor

	list  []*series          // in the order of the last report, as far as they were in it
	byKey map[string]*series // by what the driver reports
	byOut map[string]*series // by what is published; those that may be
	key   []byte             // is reused

	published []sensors.Reading
	origins   []*series // of each of them
	spare     []*series // is reused

	channels []string // as they are published; none of a program

	failed    int  // reads in a row that failed as a whole and that the filters know of
	unchecked bool // some series are new to the Families
}

// NewTable is that of a sensor that wasn't read yet.
func NewTable(cfg *config.Sensor) *Table {
	t := &Table{cfg: cfg, byKey: map[string]*series{}, byOut: map[string]*series{}}
	t.configuredChannels()
	return t
}

// Len is how many series are remembered.
func (t *Table) Len() int { return len(t.list) }

// An Outcome is what a good read brings for the page.
type Outcome struct {
	Readings []sensors.Reading
	Failures []sensors.Failure // of channels
	Refused  int               // of the Failures: series that contradict others
}

// Process turns the report of a good read into an Outcome. read is its number,
// and faults are the errors of the report's readings by their place, nil where a
// reading is good. A steady read makes nothing but the slice of its readings.
func (t *Table) Process(read uint64, report *sensors.Report, faults []error) Outcome {
	in := report.Readings()
	out := Outcome{Readings: make([]sensors.Reading, 0, len(in))}
	origins := t.spare[:0]
	for i, reading := range in {
		if i < len(faults) && faults[i] != nil {
			out.fail(faults[i], reading.Labels)
			continue
		}
		e := t.find(i, &reading)
		if err := e.refused(read); err != nil {
			out.Refused++
			out.fail(err, reading.Labels)
			continue
		}
		v, err := e.value(&reading)
		if err != nil {
			out.fail(err, reading.Labels)
			continue
		}
		out.Readings = append(out.Readings, sensors.Reading{Quantity: e.out, Value: v, Labels: e.outLabels, Dist: reading.Dist, At: reading.At})
		origins = append(origins, e)
	}
	for _, f := range report.Failures() {
		out.fail(f.Err, f.Labels)
	}
	if t.spare = origins; out.Failed() == nil {
		t.published, t.origins, t.spare = out.Readings, origins, t.origins
		t.miss(read)
	}
	t.noteChannels(report)
	if len(t.list) > 2*len(in)+16 {
		// A program may name its series differently each time.
		t.forget(func(e *series) bool { return e.read != read })
	}
	return out
}

// miss tells the filters of a good read that gave their series no value: it was
// refused, its channel failed, or a program left it out. To them that is a failed
// read, or they would mix values from long ago into the next.
func (t *Table) miss(read uint64) {
	t.failed = 0
	for _, e := range t.list {
		if s := e.smoother; s != nil && s.fed != read {
			s.miss(1)
		}
	}
}

// Failed is why none of what was to be measured can be published; nil: some of it
// can, or nothing was to be measured.
func (o *Outcome) Failed() error {
	if len(o.Failures) == 0 || slices.ContainsFunc(o.Readings, func(r sensors.Reading) bool { return !r.Quantity.AboutRead() }) {
		return nil
	}
	return o.Failures[0].Err
}

func (o *Outcome) fail(err error, labels []string) {
	o.Failures = append(o.Failures, sensors.Failure{Err: err, Labels: slices.Clone(labels)})
}

// Fail is Process for a read that failed, the last of inARow. Readings about the
// read itself (a program's exit status) stay; of those before, all where keep
// says so.
func (t *Table) Fail(report *sensors.Report, inARow int, keep bool) []sensors.Reading {
	var kept []sensors.Reading
	origins := t.origins[:0]
	if keep {
		for i, r := range t.published {
			if !r.Quantity.AboutRead() {
				kept, origins = append(kept, r), append(origins, t.origins[i])
			}
		}
	} else {
		for _, e := range t.list {
			if e.smoother != nil {
				e.smoother.miss(inARow - t.failed)
			}
		}
		t.failed = inARow
	}
	if report != nil {
		for i, r := range report.Readings() {
			if r.Quantity.AboutRead() && r.Quantity.Check(r.Value) == nil {
				if e := t.find(i, &r); e.conflict == nil {
					kept = append(kept, sensors.Reading{Quantity: e.out, Value: r.Value, Labels: e.outLabels})
					origins = append(origins, e)
				}
			}
		}
	}
	t.published, t.origins = kept, origins
	return kept
}

// Withdraw takes back what is published of series that were found to be in
// conflict since. It returns what remains, and an error for each that doesn't.
func (t *Table) Withdraw() Outcome {
	out := Outcome{Readings: make([]sensors.Reading, 0, len(t.published))}
	origins := t.origins[:0]
	for i, r := range t.published {
		if e := t.origins[i]; e.conflict != nil {
			out.Refused++
			out.fail(e.conflict, r.Labels)
			continue
		}
		out.Readings, origins = append(out.Readings, r), append(origins, t.origins[i])
	}
	t.published, t.origins = out.Readings, origins
	return out
}

// find is the series of a reading, made where it is new. hint is its likely
// place, and becomes its place.
func (t *Table) find(hint int, r *sensors.Reading) *series {
	if hint < len(t.list) && t.list[hint].is(r) {
		return t.list[hint]
	}
	t.key = appendKey(t.key[:0], r.Quantity, r.Quantity.Metric, r.Labels)
	e := t.byKey[string(t.key)]
	if e == nil {
		e = newSeries(t.cfg, r)
		e.key, e.place = string(t.key), len(t.list)
		t.byKey[e.key] = e
		t.list = append(t.list, e)
		t.unchecked = true
	}
	if hint < e.place {
		other := t.list[hint]
		t.list[hint], t.list[e.place] = e, other
		other.place, e.place = e.place, hint
	}
	return e
}

// forget drops the series for which old is true.
func (t *Table) forget(old func(*series) bool) {
	t.list = slices.DeleteFunc(t.list, func(e *series) bool {
		if !old(e) {
			return false
		}
		delete(t.byKey, e.key)
		if t.byOut[e.outKey] == e {
			delete(t.byOut, e.outKey)
		}
		return true
	})
	for i, e := range t.list {
		e.place = i
	}
}

// claim makes e the series that is published under its name and labels. The
// error is that of another one that is already.
func (t *Table) claim(e *series) error {
	if e.outKey == "" {
		e.outKey = string(appendKey(t.key[:0], e.out, e.family, e.outLabels))
	}
	if other := t.byOut[e.outKey]; other != nil && other != e {
		return fmt.Errorf("%s is there twice: give one of the channels another name", e)
	}
	t.byOut[e.outKey] = e
	return nil
}
