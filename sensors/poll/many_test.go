package poll

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// spent is the processor time of this process.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// besideMany lets two sensors be read each second beside a program with n series
// in another order at each run, and returns the least processor time that a wake
// takes. That the two are on time is a matter of that alone: here no time passes
// while the loop computes.
func besideMany(t *testing.T, n int) time.Duration {
	least := time.Hour
	in(t, func(w *world) {
		many := w.sensor("many", every(time.Second))
		q := &sensors.Quantity{Name: "x", Metric: "x", Labels: []string{"of"}}
		labels := make([]string, n)
		for i := range labels {
			labels[i] = fmt.Sprint("series number ", i)
		}
		many.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			for _, i := range rand.Perm(n) {
				r.Set(q, float64(i), labels[i])
			}
			return nil
		}
		a, b := w.sensor("a", every(time.Second)), w.sensor("b", every(time.Second))
		w.run(a.cfg, many.cfg, b.cfg)
		var want []time.Duration
		for i := range 5 {
			want = append(want, time.Duration(i)*time.Second)
			if i > 0 {
				before := spent(t)
				w.pass(time.Second)
				least = min(least, spent(t)-before)
			}
			if r := w.result("many"); len(r.Readings) != n || len(r.Failures) > 0 {
				t.Fatalf("%d readings, %d failures of %d series", len(r.Readings), len(r.Failures), n)
			}
		}
		equal(t, "a's reads", a.moments(), want)
		equal(t, "b's reads", b.moments(), want)
	})
	return least
}

// What a wake costs is in proportion to the series of its programs. 20 times as
// many took 50 times as long here, with the processor's caches too small for
// them, and 1000 times where each was looked for among all of them.
func TestNeighboursOfManySeries(t *testing.T) {
	few, many := besideMany(t, 500), besideMany(t, 10_000)
	t.Logf("500 series take %v of processor time, 10,000 take %v", few, many)
	if many > 300*few {
		t.Errorf("10,000 series take %v of processor time, %d times as much as 500", many, many/few)
	}
}
