package poll

import (
	"testing"

	"example.org/dormouse/sensors/config"
)

func TestSmoother(t *testing.T) {
	for _, tt := range []struct {
		name     string
		f        config.Filter
		in, want []float64
	}{
		{"none", config.Filter{}, []float64{3, 1, 2}, []float64{3, 1, 2}},
		{"median throws the outlier away", config.Filter{Median: 3}, []float64{20, 21, 85, 20, 21}, []float64{20, 20.5, 21, 21, 21}},
		{"average", config.Filter{Average: 2}, []float64{1, 3, 5, 9}, []float64{1, 2, 4, 7}},
		{"average of the medians", config.Filter{Median: 3, Average: 2}, []float64{1, 1, 100, 1, 4}, []float64{1, 1, 1, 1, 2.5}},
		{"of one", config.Filter{Median: 1, Average: 1}, []float64{1, 5}, []float64{1, 5}},
		{"a zero is a value", config.Filter{Median: 3}, []float64{0, 0, 5}, []float64{0, 0, 0}},
	} {
		s := newSmoother(tt.f)
		for i, v := range tt.in {
			if got := s.add(v); got != tt.want[i] {
				t.Errorf("%s: read %d, %v, gives %v, want %v", tt.name, i, v, got, tt.want[i])
			}
		}
	}
}

func TestSmootherReset(t *testing.T) {
	s := newSmoother(config.Filter{Median: 3, Average: 2})
	for _, v := range []float64{1, 2, 3, 4, 5} {
		s.add(v)
	}
	s.reset()
	if got := s.add(100); got != 100 {
		t.Errorf("the first read after Reset gives %v, want 100", got)
	}
	if got := s.add(200); got != 125 { // the median 150, averaged with 100
		t.Errorf("the second gives %v, want 125", got)
	}
}

func TestSmootherAllocatesNothing(t *testing.T) {
	s := newSmoother(config.Filter{Median: 99, Average: 99})
	v := 0.
	if n := testing.AllocsPerRun(1000, func() {
		v++
		if s.add(v) == 0 {
			t.Fatal("an unlikely value")
		}
	}); n != 0 {
		t.Errorf("%v allocations a reading", n)
	}
}
