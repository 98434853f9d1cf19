package config

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
