package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// Calibration maps a value v to Points, interpolated between and
// extrapolated beyond, then to v*Scale+Offset. The zero value changes nothing.
type Calibration struct {
	Offset float64
	Scale  float64      // zero: 1
	Points [][2]float64 // read and true value, ascending by the read one; none, or two and more
	Beyond Beyond       // the first and the last of Points; empty: Extrapolate
}

// Beyond is what becomes of a value beyond the ends of the points.
type Beyond string

const (
	Extrapolate Beyond = "extrapolate" // the line goes on
	ClampEnds   Beyond = "clamp"       // the true value of the end
	Refuse      Beyond = "error"
)

// IsZero tells whether the calibration changes nothing.
func (c Calibration) IsZero() bool {
	return c.Offset == 0 && c.Scale == 0 && len(c.Points) == 0
}

// Apply calibrates v. The error is that of Refuse.
func (c Calibration) Apply(v float64) (float64, error) {
	if n := len(c.Points); n > 1 {
		first, last := c.Points[0][0], c.Points[n-1][0]
		switch {
		case v >= first && v <= last:
		case c.Beyond == ClampEnds:
			v = max(first, min(v, last))
		case c.Beyond == Refuse:
			return 0, sensors.Errorf(sensors.OutOfRange, "%v was read, and the points reach from %v to %v: calibrate.beyond refuses what is beyond them", v, first, last)
		}
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
	return v + c.Offset, nil
}

// Filter smooths over the last successful reads. The zero value changes nothing.
type Filter struct {
	Median  int // of so many reads, an odd number: throws outliers away
	Average int // of so many reads, after the median: reduces noise
}

// parseBounds reads LOW:HIGH, with or without a unit; an end that is left out
// is infinite. In the file it may be a list of both.
func parseBounds(set setting, u *units.Unit) (*sensors.Range, error) {
	list, err := set.Words()
	if err != nil {
		return nil, err
	}
	if len(list) == 1 {
		list = strings.SplitN(list[0], ":", 2)
	}
	if len(list) != 2 || list[0] == "" && list[1] == "" {
		return nil, fmt.Errorf(`%q is not a range: write LOW:HIGH, LOW: or :HIGH, as in "-20:50"`, strings.Join(list, " "))
	}
	r := &sensors.Range{Min: math.Inf(-1), Max: math.Inf(1)}
	for i, end := range []*float64{&r.Min, &r.Max} {
		if list[i] == "" {
			continue
		}
		if *end, err = u.Parse(list[i]); err != nil {
			return nil, err
		}
	}
	if r.Min >= r.Max {
		return nil, fmt.Errorf("the range begins at %s and ends at %s: write the lower end first", list[0], list[1])
	}
	return r, nil
}

// parsePoints reads X:Y X:Y …, each with or without a unit.
func parsePoints(set setting, x, y *units.Unit) ([][2]float64, error) {
	list, err := set.Words()
	if err != nil {
		return nil, err
	}
	points := make([][2]float64, 0, len(list))
	for _, w := range list {
		left, right, ok := strings.Cut(w, ":")
		if !ok {
			return nil, fmt.Errorf(`%q is not a point: write READ:TRUE, as in points="2.8:0 1.2:1", or in the file points: [[2.8, 0], [1.2, 1]]`, w)
		}
		a, err := x.Parse(left)
		if err != nil {
			return nil, fmt.Errorf("point %s: %w", w, err)
		}
		b, err := y.Parse(right)
		if err != nil {
			return nil, fmt.Errorf("point %s: %w", w, err)
		}
		points = append(points, [2]float64{a, b})
	}
	if len(points) < 2 {
		return nil, errors.New("one point is not enough: give two or more; to add a constant give offset")
	}
	slices.SortFunc(points, func(a, b [2]float64) int {
		switch {
		case a[0] < b[0]:
			return -1
		case a[0] > b[0]:
			return 1
		}
		return 0
	})
	for i, p := range points[1:] {
		dx, dy := p[0]-points[i][0], p[1]-points[i][1]
		if dx == 0 {
			return nil, fmt.Errorf("two points have the read value %v", p[0])
		}
		if math.IsInf(dx, 0) || math.IsInf(dy/dx, 0) {
			return nil, fmt.Errorf("the points at %v and %v are too close together to compute a line", points[i][0], p[0])
		}
	}
	return points, nil
}
