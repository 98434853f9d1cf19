package series

import (
	"math"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// absent stands for a read that gives no value.
var absent = math.Inf(-1)

func TestSmoother(t *testing.T) {
	for _, tt := range []struct {
		name     string
		f        config.Filter
		in, want []float64
	}{
		{"none", config.Filter{}, []float64{3, 1, 2}, []float64{3, 1, 2}},
		{"median drops the outlier", config.Filter{Median: 3}, []float64{20, 21, 85, 20, 21}, []float64{absent, absent, 21, 21, 21}},
		{"an outlier at the start", config.Filter{Median: 3}, []float64{85, 20, 21}, []float64{absent, absent, 21}},
		{"average", config.Filter{Average: 2}, []float64{1, 3, 5, 9}, []float64{1, 2, 4, 7}},
		{"average of the medians", config.Filter{Median: 3, Average: 2}, []float64{1, 1, 100, 1, 4}, []float64{absent, absent, 1, 1, 2.5}},
		{"of one", config.Filter{Median: 1, Average: 1}, []float64{1, 5}, []float64{1, 5}},
		{"a zero is a value", config.Filter{Median: 3}, []float64{0, 0, 5}, []float64{absent, absent, 0}},
	} {
		s := newSmoother(tt.f)
		for i, v := range tt.in {
			got, err := s.add(v)
			if err != nil {
				got = absent
			}
			if got != tt.want[i] || err != nil && sensors.ReasonOf(err) != sensors.NotReady {
				t.Errorf("%s: read %d, %v, gives %v, %v, want %v", tt.name, i, v, got, err, tt.want[i])
			}
		}
	}
}

// TestAnOutlierAfterFailures: failures don't empty the median's window, so that
// the first value after one isn't believed alone; many failures do.
func TestAnOutlierAfterFailures(t *testing.T) {
	s := newSmoother(config.Filter{Median: 3})
	for _, v := range []float64{20, 21, 20} {
		_, _ = s.add(v) // the last is 20
	}
	for n := range 2 {
		s.failed(n + 1)
	}
	if got, err := s.add(85); got != 21 || err != nil {
		t.Errorf("after two failures the outlier gives %v, %v", got, err)
	}
	for n := range 3 {
		s.failed(n + 1)
	}
	if got, err := s.add(20); err == nil {
		t.Errorf("after three failures a single read gives %v", got)
	}
}

// TestEveryOtherReadFails: there is a value at each good read all the same.
func TestEveryOtherReadFails(t *testing.T) {
	s := newSmoother(config.Filter{Median: 5})
	good := 0
	for i := range 20 {
		if i%2 == 1 {
			s.failed(1)
			continue
		}
		if v, err := s.add(20); err == nil && v == 20 {
			good++
		}
	}
	if good != 6 { // of ten, all but those that filled the window
		t.Errorf("%d good values, want 6", good)
	}
}

func TestTheAverageStartsAgainAfterAFailure(t *testing.T) {
	s := newSmoother(config.Filter{Average: 3})
	_, _ = s.add(1)
	s.failed(1)
	if got, err := s.add(100); got != 100 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSmootherAllocatesNothing(t *testing.T) {
	s := newSmoother(config.Filter{Median: 99, Average: 99})
	v := 0.
	for range 99 {
		v++
		_, _ = s.add(v) // fills the window
	}
	if n := testing.AllocsPerRun(1000, func() {
		v++
		if got, err := s.add(v); got == 0 || err != nil {
			t.Fatal(got, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}
