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
	for range 2 {
		s.miss(1)
	}
	if got, err := s.add(85); got != 21 || err != nil {
		t.Errorf("after two failures the outlier gives %v, %v", got, err)
	}
	for range 3 {
		s.miss(1)
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
			s.miss(1)
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
	s.miss(1)
	if got, err := s.add(100); got != 100 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestAFilterWithoutItsValue: a read that is good but gives a filter's series no
// value is a failed one to the filter: refused by drop, its channel failed, or
// left out. Of two old values and a new one the median would be an old one.
func TestAFilterWithoutItsValue(t *testing.T) {
	voltage := sensors.Voltage.With("channel")
	for _, tt := range []struct {
		name string
		miss func(t *Table, r *sensors.Report, i int) // what happens to a1 at the i-th read without its value
	}{
		{"refused by drop", func(_ *Table, r *sensors.Report, _ int) { r.Set(voltage, 900, "a1") }},
		{"the channel failed", func(_ *Table, r *sensors.Report, _ int) {
			r.Fail(sensors.Errorf(sensors.IO, "no answer"), "a1")
		}},
		{"left out", func(*Table, *sensors.Report, int) {}},
		{"failures of both kinds", func(t *Table, r *sensors.Report, i int) {
			if i < 2 {
				t.Fail(r, i+1, false)
			}
		}},
	} {
		for _, f := range []config.Filter{{Median: 3}, {Average: 3}} {
			m := &many{table: NewTable(&config.Sensor{Name: "a", Driver: &sensors.Driver{Name: "fake"},
				All: config.Processing{Filter: f, Drop: &sensors.Range{Min: 0, Max: 100}}})}
			if err := m.families.Reset([]*Table{m.table}); err != nil {
				t.Fatal(err)
			}
			sense := func(fill func(r *sensors.Report)) (got []float64) {
				m.report.Reset()
				m.report.Set(voltage, 50, "a0")
				fill(&m.report)
				for _, r := range m.sense().Readings {
					if r.Labels[0] == "a1" {
						got = append(got, r.Value)
					}
				}
				return got
			}
			value := func(v float64) func(r *sensors.Report) {
				return func(r *sensors.Report) { r.Set(voltage, v, "a1") }
			}
			for range 3 {
				sense(value(20))
			}
			for i := range 3 {
				if got := sense(func(r *sensors.Report) { tt.miss(m.table, r, i) }); len(got) > 0 {
					t.Errorf("%s, %+v: a read without a value gives %v", tt.name, f, got)
				}
			}
			got := sense(value(5))
			if f.Median > 0 && len(got) > 0 || f.Average > 0 && (len(got) != 1 || got[0] != 5) {
				t.Errorf("%s, %+v: 5 after three reads without a value gives %v: of values from before", tt.name, f, got)
			}
		}
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
