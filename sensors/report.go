package sensors

// A Report is where a sensor puts what it read. It is owned by poll and used
// again at each wake, so that a steady poll doesn't allocate: a sensor keeps
// neither the report nor anything it got from it.
type Report struct {
	readings []Reading
	failures []Failure
	labels   []string // the label values of all readings, one after another
	run      *Run
}

// A Reading is one value in its quantity's base unit.
type Reading struct {
	Quantity *Quantity
	Value    float64
	Labels   []string      // values of Quantity.Labels, in that order
	Dist     *Distribution // of a Histogram or Summary: Value is then unused
	// At is of a moment: Value is then unused. It becomes Unix time when it is
	// shown, so that it is right once the wall clock is.
	At Instant
}

// Plain tells whether the reading is its Value.
func (r *Reading) Plain() bool { return r.Dist == nil && r.At.IsZero() }

// A Distribution is a program's own histogram or summary.
type Distribution struct {
	Count     uint64
	Sum       float64
	Buckets   map[float64]uint64  // cumulative counts by upper bound
	Quantiles map[float64]float64 // values by quantile
}

// A Failure is one channel that could not be read while others could.
type Failure struct {
	Err    error
	Labels []string // as the reading would have had
}

// Set reports v, in q's base unit, with a value for each of q.Labels. Whether
// v is plausible is checked by poll, before calibration.
func (r *Report) Set(q *Quantity, v float64, labels ...string) {
	r.readings = append(r.readings, Reading{Quantity: q, Value: v, Labels: r.keep(labels)})
}

// SetTime reports the moment at, of a quantity that is a time; none where at is
// zero.
func (r *Report) SetTime(q *Quantity, at Instant, labels ...string) {
	if !at.IsZero() {
		r.readings = append(r.readings, Reading{Quantity: q, At: at, Labels: r.keep(labels)})
	}
}

// SetDistribution reports a program's histogram or summary.
func (r *Report) SetDistribution(q *Quantity, d *Distribution, labels ...string) {
	r.readings = append(r.readings, Reading{Quantity: q, Dist: d, Labels: r.keep(labels)})
}

// Fail reports that one channel failed; what was Set for others stands. A
// sensor of which nothing could be read returns the error from Sense instead.
func (r *Report) Fail(err error, labels ...string) {
	r.failures = append(r.failures, Failure{Err: err, Labels: r.keep(labels)})
}

// SetRun reports the run of a program, whether it succeeded or not.
func (r *Report) SetRun(run *Run) { r.run = run }

// Run is the run of a program; nil: none was started.
func (r *Report) Run() *Run { return r.run }

// keep copies the variadic slice, so that the caller's stays on its stack.
func (r *Report) keep(labels []string) []string {
	from := len(r.labels)
	r.labels = append(r.labels, labels...)
	return r.labels[from:len(r.labels):len(r.labels)]
}

// Readings are valid until the next Reset.
func (r *Report) Readings() []Reading { return r.readings }

// Failures are valid until the next Reset.
func (r *Report) Failures() []Failure { return r.failures }

// Reset empties the report and keeps its memory.
func (r *Report) Reset() {
	clear(r.readings)
	clear(r.failures)
	r.readings, r.failures, r.labels, r.run = r.readings[:0], r.failures[:0], r.labels[:0], nil
}
