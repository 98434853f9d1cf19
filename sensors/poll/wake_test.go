package poll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/sensors"
)

// minutes are moments in minutes.
func seconds(n ...float64) []time.Duration {
	var d []time.Duration
	for _, n := range n {
		d = append(d, time.Duration(n*float64(time.Second)))
	}
	return d
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReadsAtStartAndOnTheGrid(t *testing.T) {
	in(t, func(w *world) {
		w.clock.Advance(20 * time.Second) // the start lies between two points
		f := w.sensor("a")
		w.run(f.cfg)
		w.want("a", 1)
		w.pass(3 * time.Minute)
		equal(t, "reads", f.moments(), seconds(20, 60, 120, 180))
		s := w.shot()
		if r := w.result("a"); r.Reads != 4 || r.LastSuccess != s.At || r.NextRead != boot.Add(4*time.Minute) || s.NextWake != r.NextRead || !r.Expires.After(r.NextRead) || s.Expires != r.Expires {
			t.Errorf("%+v\n%+v", s, r)
		}
		if s.Stats.Wakes[sensors.WakeStart] != 1 || s.Stats.Wakes[sensors.WakeTimer] != 3 {
			t.Errorf("wakes %v", s.Stats.Wakes)
		}
		if f.builds != 1 {
			t.Errorf("built %d times", f.builds)
		}
	})
}

func TestConversionsOverlap(t *testing.T) {
	in(t, func(w *world) {
		var all []*sensors.SensorConfig
		for i := range 10 {
			all = append(all, w.sensor(fmt.Sprint(i), on(1, fmt.Sprintf("0x%02x", 0x20+i)), converting(750*time.Millisecond)).cfg)
		}
		w.run(all...)
		if w.open(1) != 1 || w.published() != 0 {
			t.Errorf("%d handles open, %d snapshots during the wake", w.open(1), w.published())
		}
		w.pass(750 * time.Millisecond)
		if w.published() != 1 || w.shot().At != boot.Add(750*time.Millisecond) || w.shot().Stats.Awake != 750*time.Millisecond {
			t.Errorf("%d snapshots", w.published())
		}
		for i := range 10 {
			w.want(fmt.Sprint(i), float64(0x20+i))
		}
		if w.open(1) != 0 || w.opened[1] != 1 {
			t.Errorf("bus opened %d times, %d open after the wake", w.opened[1], w.open(1))
		}
	})
}

var (
	_ = context.Background
	_ = errors.New
	_ = strings.Contains
	_ = syscall.EIO
	_ = synctest.Wait
)
