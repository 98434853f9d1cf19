//go:build !race

package lines

import (
	"context"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// The race detector allocates, too.
func TestTimingNoAllocations(t *testing.T) {
	for driver, lines := range map[string][]string{"frequency": {"pin"}, "duty": {"pin"}, "echo": {"trigger", "echo"}} {
		d, e := wired(t, driver, nil, lines...)
		if driver == "echo" {
			sound(e, 2*time.Millisecond)
		} else {
			square(e, "pin", 100, time.Millisecond, 0.5)
		}
		s := build(t, d, e)
		var r sensors.Report
		read := func() {
			r.Reset()
			e.Waits = e.Waits[:0]
			if err := s.Sense(context.Background(), &r); err != nil {
				t.Fatal(err)
			}
		}
		read()
		// Taking a line allocates in the fake: its channel and its queue.
		base := testing.AllocsPerRun(20, func() {
			for _, l := range lines {
				line, err := e.Line(l, e.Lines[l].Config)
				if err != nil {
					t.Fatal(err)
				}
				if err := line.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
		if driver == "echo" {
			base += 3 // the queue of each burst
		}
		if got := testing.AllocsPerRun(20, read); got > base {
			t.Errorf("%s: %v allocations in a read, %v of them the fake's", driver, got, base)
		}
	}
}
