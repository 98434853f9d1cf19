//go:build !race

package lines

import (
	"context"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// allocations are those of one read; prepare makes the world ready for it.
func allocations(t *testing.T, s sensors.Sensor, e *sensortest.Env, prepare func()) float64 {
	t.Helper()
	var r sensors.Report
	return testing.AllocsPerRun(20, func() {
		prepare()
		r.Reset()
		e.Waits = e.Waits[:0]
		if err := s.Sense(context.Background(), &r); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTimingNoAllocations: neither edges nor bursts cost memory, unless the race
// detector, which allocates too, looks on. Taking a line
// does, in the fake as in the kernel's.
func TestTimingNoAllocations(t *testing.T) {
	for _, driver := range []string{"frequency", "duty"} {
		d, e := wired(t, driver, map[string]string{"window": "10ms"}, "pin")
		line, edges := &numbered{}, make([]sensors.Edge, 5)
		s, err := d.New(t.Context(), holding{e, line})
		if err != nil {
			t.Fatal(err)
		}
		if got := allocations(t, s, e, func() {
			for i := range edges {
				edges[i] = sensors.Edge{At: e.Now().Add(time.Duration(2*i) * time.Millisecond), Active: i%2 == 0, Seq: uint32(i + 1)}
			}
			line.next = edges
		}); got > 0 {
			t.Errorf("%s: %v allocations in a read", driver, got)
		}
	}
	var of [2]float64
	for i, bursts := range []string{"1", "9"} {
		d, e := wired(t, "echo", map[string]string{"bursts": bursts}, "trigger", "echo")
		sound(e, 2*time.Millisecond)
		trigger := e.Lines["trigger"]
		of[i] = allocations(t, build(t, d, e), e, func() { trigger.Sets = trigger.Sets[:0] })
	}
	if of[1] > of[0] {
		t.Errorf("echo: %v allocations with nine bursts, %v with one", of[1], of[0])
	}
}
