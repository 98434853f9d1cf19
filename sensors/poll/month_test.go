package poll

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/test/crontab"
)

// expression makes one up.
func expression(r *rand.Rand) string {
	field := func(low, high int) string {
		one := func() int { return low + r.IntN(high-low+1) }
		switch r.IntN(5) {
		case 0:
			return fmt.Sprint(one())
		case 1:
			a, b := one(), one()
			return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
		case 2:
			return fmt.Sprintf("%d,%d", one(), one())
		case 3:
			return fmt.Sprintf("*/%d", 2+r.IntN(high-low))
		}
		return "*"
	}
	minute := fmt.Sprintf("%d,%d", r.IntN(60), r.IntN(60)) // a task each minute says nothing more
	if r.IntN(4) == 0 {
		minute = fmt.Sprintf("*/%d", 7+r.IntN(30))
	}
	return strings.Join([]string{minute, field(0, 23), field(1, 28), "*", field(0, 6)}, " ")
}

// A hundred tasks over a month: each planned run is made at its minute, or counted
// as one that the run before kept away.
func TestAMonthOfTasks(t *testing.T) {
	const month = 31 * 24 * time.Hour
	in(t, func(w *world) {
		r := rand.New(rand.NewPCG(16, 100))
		type planned struct {
			*fakeTask
			expr string
			runs []time.Time
		}
		var tasks []*planned
		for i := range 100 {
			one := &planned{expr: expression(r)}
			one.fakeTask = w.task(fmt.Sprint("task-", i), at(one.expr))
			one.lasts = time.Duration(r.IntN(50)) * time.Second
			if i%5 == 0 { // longer than the pause between two of its runs may be
				one.lasts = time.Duration(10+r.IntN(45)) * time.Minute
			}
			sense := one.sense
			one.sense = func(c context.Context, e sensors.Env, rep *sensors.Report) error {
				wall, _ := w.clock.Wall(e.Now())
				one.runs = append(one.runs, wall)
				return sense(c, e, rep)
			}
			tasks = append(tasks, one)
		}
		var configs []*config.Sensor
		for _, one := range tasks {
			configs = append(configs, one.cfg)
		}
		begin, _ := w.clock.Wall(w.clock.Now())
		w.run(configs...)
		w.pass(month)
		w.pass(time.Hour) // the last ones end; what begins in it isn't looked at

		runs, kept := 0, 0
		for _, one := range tasks {
			var want []time.Time
			var skipped uint64
			var busy time.Time
			for m := begin.Truncate(time.Minute).Add(time.Minute); m.Before(begin.Add(month)); m = m.Add(time.Minute) {
				switch {
				case !crontab.Matches(t, one.expr, m.Local()):
				case m.Before(busy):
					skipped++
				default:
					want = append(want, m)
					busy = m.Add(one.lasts)
				}
			}
			got := slices.DeleteFunc(one.runs, func(at time.Time) bool { return !at.Before(begin.Add(month)) })
			same := slices.EqualFunc(got, want, func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second })
			if !same {
				t.Errorf("%s, %q for %v: %d runs, want %d", one.cfg.Name, one.expr, one.lasts, len(got), len(want))
			}
			runs += len(want)
			kept += int(skipped)
			if n := w.result(one.cfg.Name).Skipped[sensors.SkipOverlap]; n < skipped || n > skipped+60 {
				t.Errorf("%s, %q for %v: %d runs kept away, want %d", one.cfg.Name, one.expr, one.lasts, n, skipped)
			}
		}
		if runs < 5000 || kept < 100 {
			t.Errorf("only %d runs were planned, and %d kept away", runs, kept)
		}
	})
}
