package series

import (
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// A smoother is a config.Filter at work: the memory of one series. Its zero value is
// a filter that changes nothing.
type smoother struct {
	median, average window
	sorted          []float64
	fed             uint64 // the number of the last read that gave it a value
	missed          int    // reads since then
}

// newSmoother makes the memory of f; after it nothing allocates.
func newSmoother(f config.Filter) *smoother {
	s := &smoother{sorted: make([]float64, 0, f.Median)}
	s.median.last = make([]float64, 0, f.Median)
	s.average.last = make([]float64, 0, f.Average)
	return s
}

// add takes the next successful reading and returns the smoothed one. Until the
// median's window is full there is none: of two reads nobody can tell which is
// the outlier. The average is of what there is.
func (s *smoother) add(v float64) (float64, error) {
	s.missed = 0
	if s.median.add(v) {
		if n, of := len(s.median.last), cap(s.median.last); n < of {
			return 0, sensors.Errorf(sensors.NotReady, "filter.median has %d of %d reads", n, of)
		}
		s.sorted = append(s.sorted[:0], s.median.last...)
		slices.Sort(s.sorted)
		v = s.sorted[len(s.sorted)/2]
	}
	if s.average.add(v) {
		// Summed each time: a running sum would accumulate rounding errors.
		sum := 0.
		for _, x := range s.average.last {
			sum += x
		}
		v = sum / float64(len(s.average.last))
	}
	return v, nil
}

// miss forgets reads that are too old, after so many further reads that gave no
// value. The average follows the reading at once again. The median stays until
// all of its window would have been replaced: emptied by one failure, it would
// let the next outlier pass.
func (s *smoother) miss(reads int) {
	s.missed += reads
	s.average.reset()
	if s.missed >= cap(s.median.last) {
		s.median.reset()
	}
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
