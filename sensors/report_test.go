package sensors

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestReport(t *testing.T) {
	var r Report
	q := Voltage.With("channel")
	for i := range 10 { // more than the first array holds
		r.Set(q, float64(i), fmt.Sprint("a", i))
	}
	err := errors.New("saturated")
	r.Fail(err, "a10")
	r.SetDistribution(Number, &Distribution{Count: 3})
	if got := r.Readings(); len(got) != 11 || got[10].Dist.Count != 3 {
		t.Fatalf("readings are %+v", got)
	}
	for i, got := range r.Readings()[:10] {
		if got.Quantity != q || got.Value != float64(i) || !reflect.DeepEqual(got.Labels, []string{fmt.Sprint("a", i)}) {
			t.Errorf("reading %d is %+v", i, got)
		}
	}
	if got := r.Failures(); len(got) != 1 || got[0].Err != err || got[0].Labels[0] != "a10" {
		t.Errorf("failures are %+v", got)
	}
	r.Reset()
	if len(r.Readings()) != 0 || len(r.Failures()) != 0 {
		t.Errorf("after Reset there are %v and %v", r.Readings(), r.Failures())
	}
}

// A label slice that grew into the next one's memory would rename a reading.
func TestReportLabelsAreApart(t *testing.T) {
	var r Report
	q := Voltage.With("channel")
	for range 4 {
		r.Set(q, 0, "of an earlier poll, for the room")
	}
	r.Reset()
	r.Set(q, 1, "a0")
	r.Set(q, 2, "a1")
	_ = append(r.Readings()[0].Labels, "stray")
	if got := r.Readings()[1].Labels[0]; got != "a1" {
		t.Errorf("the second reading is of channel %q", got)
	}
}

func TestSteadyReportAllocatesNothing(t *testing.T) {
	var r Report
	q := Voltage.With("channel")
	channel := "a0"
	if n := testing.AllocsPerRun(100, func() {
		r.Reset()
		r.Set(q, 1, channel)
		r.Set(Temperature, 2)
	}); n != 0 {
		t.Errorf("%v allocations a poll", n)
	}
}
