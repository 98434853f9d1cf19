package lines

import (
	"math"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors/sensortest"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

func TestRate(t *testing.T) {
	for _, tc := range []struct {
		options map[string]string
		rate    string
		want    float64 // of 30 pulses in a minute
	}{
		{map[string]string{}, "frequency", 0.5},
		{map[string]string{"quantity": "volume", "per-pulse": "1l"}, "flow", 0.5e-3},
		{map[string]string{"quantity": "energy", "per-pulse": "1.25Wh"}, "power", 2250},
		{map[string]string{"quantity": "rotations", "per-pulse": "0.5"}, "frequency", 0.25},
		{map[string]string{"quantity": "speed", "per-pulse": "0.667m"}, "speed", 0.3335},
		{map[string]string{"quantity": "precipitation", "per-pulse": "0.2794mm"}, "", 0},
	} {
		d, e, line := world(t, "pulse", tc.options)
		s := build(t, d, e)
		rates := func(got map[string]float64) (all []string) {
			for _, name := range []string{"frequency", "flow", "power", "speed"} {
				if _, ok := got[name]; ok {
					all = append(all, name)
				}
			}
			return all
		}
		pulses(line, 7)
		if got := sense(t, d, s); len(rates(got)) > 0 {
			t.Errorf("%v: a rate without a read before: %v", tc.options, got)
		}
		pulses(line, 30)
		e.NextWake(time.Minute)
		got := sense(t, d, s)
		if tc.rate == "" {
			if len(rates(got)) > 0 {
				t.Errorf("%v: %v", tc.options, got)
			}
			continue
		}
		if all := rates(got); len(all) != 1 || !near(got[tc.rate], tc.want) {
			t.Errorf("%v: %v, want %s of %v", tc.options, got, tc.rate, tc.want)
		}
		// At the same moment there is no interval.
		if got := sense(t, d, s); len(rates(got)) > 0 {
			t.Errorf("%v: a rate over no time: %v", tc.options, got)
		}
		e.NextWake(time.Hour)
		if got := sense(t, d, s); got[tc.rate] != 0 || len(rates(got)) != 1 {
			t.Errorf("%v: without pulses %v, want a zero", tc.options, got)
		}
		// Over the time that the line was lost nothing is known.
		line.Err = syscall.ENODEV
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); err == nil {
			t.Fatal("no error")
		}
		line.Err = nil
		e.NextWake(time.Minute)
		if got := sense(t, d, s); len(rates(got)) > 0 {
			t.Errorf("%v: a rate over the time that nobody counted: %v", tc.options, got)
		}
	}
}

func TestShortestGap(t *testing.T) {
	d, e, line := world(t, "pulse", map[string]string{"gap": "yes", "quantity": "speed", "per-pulse": "0.5m"})
	s := build(t, d, e)
	if line.Config.Buffer != 1024 {
		t.Errorf("the kernel is asked for a buffer of %d", line.Config.Buffer)
	}
	at := sensortest.Start
	pulse := func(after time.Duration) {
		at = at.Add(after)
		line.Drive(at, true)
		line.Drive(at, false)
	}
	want := func(what string, gap float64) {
		t.Helper()
		got := sense(t, d, s)
		shortest, ok := got["shortest_gap"]
		gust, gusts := got["gust"]
		if gap == 0 {
			if ok || gusts {
				t.Errorf("%s: %v, want no gap", what, got)
			}
			return
		}
		if !near(shortest, gap) || !near(gust, 0.5/gap) {
			t.Errorf("%s: %v, want a gap of %v and a gust of %v", what, got, gap, 0.5/gap)
		}
	}
	want("no pulse", 0)
	pulse(time.Second)
	want("one pulse", 0)
	pulse(300 * time.Millisecond)
	want("to the one before", 0.3)
	for _, d := range []time.Duration{500, 20, 700} {
		pulse(d * time.Millisecond)
	}
	want("several", 0.02)
	want("none since", 0)
	for range 1025 {
		pulse(time.Millisecond)
	}
	want("one was lost", 0)
	pulse(250 * time.Millisecond)
	want("after that", 0.25)
	line.Err = syscall.ENODEV
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); err == nil {
		t.Fatal("no error")
	}
	line.Err = nil
	want("lost", 0)
	pulse(time.Second)
	want("one since the line is back", 0)

	d, e, line = world(t, "pulse", map[string]string{})
	s = build(t, d, e)
	pulses(line, 3)
	if _, ok := sense(t, d, s)["shortest_gap"]; ok || line.Config.Buffer != 0 {
		t.Error("a gap that nobody asked for")
	}
}

// Since when it counts is the moment at which the line was taken.
func TestCountedSince(t *testing.T) {
	d, e, line := world(t, "pulse", map[string]string{})
	const reading = "counted_since_timestamp"
	s := build(t, d, e)
	e.NextWake(time.Hour)
	first := sense(t, d, s)
	hasTime(t, first, reading, sensortest.Start)
	if again := sense(t, d, s); again[reading] != first[reading] {
		t.Errorf("it moved from %v to %v", first, again)
	}
	line.Err = syscall.ENODEV
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); err == nil {
		t.Fatal("no error")
	}
	line.Err = nil
	e.NextWake(time.Hour)
	hasTime(t, sense(t, d, s), reading, sensortest.Start.Add(2*time.Hour))
}
