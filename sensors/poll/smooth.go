package poll

import (
	"slices"

	"example.org/dormouse/sensors/config"
)

// A smoother is a config.Filter at work: the memory of one series. Its zero value is
// a filter that changes nothing.
type smoother struct {
	median, average window
	sorted          []float64
}

// newSmoother makes the memory of f; after it nothing allocates.
func newSmoother(f config.Filter) *smoother {
	s := &smoother{sorted: make([]float64, 0, f.Median)}
	s.median.last = make([]float64, 0, f.Median)
	s.average.last = make([]float64, 0, f.Average)
	return s
}

// add takes the next successful reading and returns the smoothed one. Until
// the windows are full it smooths over what there is: the median of an even
// number of reads is the mean of the middle two.
func (s *smoother) add(v float64) float64 {
	if s.median.add(v) {
		s.sorted = append(s.sorted[:0], s.median.last...)
		slices.Sort(s.sorted)
		n := len(s.sorted)
		v = (s.sorted[(n-1)/2] + s.sorted[n/2]) / 2
	}
	if s.average.add(v) {
		// Summed anew each time: a running sum would gather rounding errors
		// for months.
		sum := 0.
		for _, x := range s.average.last {
			sum += x
		}
		v = sum / float64(len(s.average.last))
	}
	return v
}

// reset forgets the reads so far: what comes next has nothing to do with them,
// because the sensor was away or another is in its place.
func (s *smoother) reset() {
	s.median.reset()
	s.average.reset()
}

// window holds the last reads, as many as its slice has room for.
type window struct {
	last []float64
	next int // the oldest, once full
}

// add tells whether there is a window at all.
func (w *window) add(v float64) bool {
	switch {
	case cap(w.last) == 0:
		return false
	case len(w.last) < cap(w.last):
		w.last = append(w.last, v)
	default:
		w.last[w.next] = v
		w.next = (w.next + 1) % len(w.last)
	}
	return true
}

func (w *window) reset() { w.last, w.next = w.last[:0], 0 }
