package sensors

import "slices"

// Calibration maps a value v to Points, interpolated between and
// extrapolated beyond, then to v*Scale+Offset. The zero value changes nothing.
type Calibration struct {
	Offset float64
	Scale  float64      // zero: 1
	Points [][2]float64 // read and true value, ascending by the read one; none, or two and more
}

// IsZero tells whether the calibration changes nothing.
func (c Calibration) IsZero() bool {
	return c.Offset == 0 && c.Scale == 0 && len(c.Points) == 0
}

// Apply calibrates v.
func (c Calibration) Apply(v float64) float64 {
	if n := len(c.Points); n > 1 {
		i := 0 // the segment from point i to the next
		for i < n-2 && v > c.Points[i+1][0] {
			i++
		}
		a, b := c.Points[i], c.Points[i+1]
		v = a[1] + (v-a[0])*(b[1]-a[1])/(b[0]-a[0])
	}
	if c.Scale != 0 {
		v *= c.Scale
	}
	return v + c.Offset
}

// Filter smooths over the last successful reads. The zero value changes nothing.
type Filter struct {
	Median  int // of so many reads, an odd number: throws outliers away
	Average int // of so many reads, after the median: calms noise
}

// maxWindow bounds a filter's memory and its delay.
const maxWindow = 99

// A Smoother is a Filter at work: the memory of one series. Its zero value is
// a filter that changes nothing.
type Smoother struct {
	median, average window
	sorted          []float64
}

// NewSmoother makes the memory of f; after it nothing allocates.
func NewSmoother(f Filter) *Smoother {
	s := &Smoother{sorted: make([]float64, 0, f.Median)}
	s.median.last = make([]float64, 0, f.Median)
	s.average.last = make([]float64, 0, f.Average)
	return s
}

// Add takes the next successful reading and returns the smoothed one. Until
// the windows are full it smooths over what there is: the median of an even
// number of reads is the mean of the middle two.
func (s *Smoother) Add(v float64) float64 {
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

// Reset forgets the reads so far: what comes next has nothing to do with them,
// because the sensor was away or another is in its place.
func (s *Smoother) Reset() {
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
