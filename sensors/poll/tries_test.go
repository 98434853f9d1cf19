package poll

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// failingUntil is a sensor that can't be read before a moment, counted from the
// start.
func (w *world) failingUntil(name string, until time.Duration, change ...func(*fake)) *fake {
	f := w.sensor(name, change...)
	f.sense = func(_ context.Context, e sensors.Env, r *sensors.Report) error {
		if e.Now().Sub(boot) < until {
			return sensors.Errorf(sensors.NoAnswer, "no answer")
		}
		r.Set(sensors.Temperature, 1)
		return nil
	}
	return f
}

// A sensor that is down is tried again sooner than it is due, with growing
// waits below its interval.
func TestFurtherTries(t *testing.T) {
	for _, tt := range []struct {
		every, pass time.Duration
		reads       []time.Duration // due ones and further tries
		due         uint64
	}{
		{time.Hour, 3 * time.Hour, seconds(0, 5, 35, 155, 755, 3600, 7200, 10800), 4},
		{10 * time.Minute, 20 * time.Minute, seconds(0, 5, 35, 155, 600, 1200), 3},
		{time.Minute, 3 * time.Minute, seconds(0, 5, 35, 60, 120, 180), 4},
		{30 * time.Second, time.Minute, seconds(0, 5, 30, 60), 3},
		{5 * time.Second, 15 * time.Second, seconds(0, 5, 10, 15), 4},
		{23 * time.Hour, 24 * time.Hour, seconds(0, 5, 35, 155, 755, 4355, 25955, 22*3600), 2}, // the grid begins when the machine does
	} {
		in(t, func(w *world) {
			f := w.failingUntil("a", 100*time.Hour, every(tt.every))
			f.cfg.KeepFailed = 1
			w.run(f.cfg)
			w.pass(tt.pass)
			equal(t, "reads every "+tt.every.String(), f.moments(), tt.reads)
			r := w.result("a")
			if r.Reads != tt.due || r.ExtraTries != uint64(len(tt.reads))-tt.due || r.Errors[sensors.NoAnswer] != tt.due {
				t.Errorf("every %s: %d reads, %d further tries, errors %v", tt.every, r.Reads, r.ExtraTries, r.Errors)
			}
		})
	}
}

// A further try that succeeds brings the sensor back, and the next outage has
// its own tries.
func TestAFurtherTrySucceeds(t *testing.T) {
	in(t, func(w *world) {
		f := w.failingUntil("a", 20*time.Second, every(time.Hour))
		other := w.sensor("b", every(time.Hour))
		w.run(f.cfg, other.cfg)
		if next := w.result("a").NextRead.Sub(boot); next != 5*time.Second {
			t.Errorf("the next try is after %v", next)
		}
		w.pass(time.Minute)
		w.want("a", 1)
		r := w.result("a")
		if r.Reads != 1 || r.ExtraTries != 2 || r.Errors[sensors.NoAnswer] != 1 || r.NextRead.Sub(boot) != time.Hour || r.Expires.Sub(boot) < time.Hour {
			t.Errorf("%+v", r)
		}
		if len(w.lines("sensor is back")) != 1 || len(w.lines()) != 2 {
			t.Errorf("logged %q", w.lines())
		}
		w.pass(2 * time.Hour)
		equal(t, "reads", f.moments(), seconds(0, 5, 35, 3600, 7200))
		equal(t, "reads of the other", other.moments(), seconds(0, 3600, 7200))
		sense := f.sense
		f.sense = func(context.Context, sensors.Env, *sensors.Report) error { return errors.New("fails again") }
		w.pass(time.Hour + 10*time.Second)
		f.sense = sense
		w.pass(2 * time.Hour)
		equal(t, "reads", f.after(boot.Add(7200*time.Second)), seconds(3600, 3605, 3635, 3755, 7200, 10800))
	})
}

// Further tries don't change what keep-failed counts.
func TestFurtherTriesAreNotKeptFailures(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", every(time.Hour))
		fails := false
		f.sense = func(_ context.Context, e sensors.Env, r *sensors.Report) error {
			if fails {
				return errors.New("fails")
			}
			r.Set(sensors.Temperature, 1)
			return nil
		}
		f.cfg.KeepFailed = 1
		w.run(f.cfg)
		fails = true
		w.pass(time.Hour + 30*time.Minute)
		if r := w.result("a"); r.Up || len(r.Readings) != 1 || r.ExtraTries != 4 || len(w.lines()) != 0 || r.Expires.Sub(boot) < 2*time.Hour {
			t.Errorf("%+v, logged %q", r, w.lines())
		}
		w.pass(time.Hour)
		w.wantDown("a", sensors.IO)
	})
}

// A program isn't run more often because it failed, and the calendar says when.
func TestNoFurtherTries(t *testing.T) {
	in(t, func(w *world) {
		program := w.failingUntil("program", 100*time.Hour, every(time.Hour), func(f *fake) {
			f.cfg.Driver.Programs = &sensors.Programs{Task: func(*sensors.Options) bool { return false },
				Ending: func(*sensors.Options) time.Duration { return 0 }, Ended: func(sensors.Env, sensors.Outcome) func(context.Context) { return nil }}
		})
		daily := w.failingUntil("daily", 100*time.Hour, at("30 12 * * *"))
		good := w.sensor("good", every(time.Hour))
		w.run(program.cfg, daily.cfg, good.cfg)
		w.pass(2 * time.Hour)
		equal(t, "runs", program.moments(), seconds(0, 3600, 7200))
		equal(t, "reads by the calendar", daily.moments(), seconds(1800))
		equal(t, "reads of one that is up", good.moments(), seconds(0, 3600, 7200))
	})
}

// A further try that lasts beyond the point of the grid doesn't serve it.
func TestAFurtherTryThatIsSlow(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", every(time.Minute))
		f.cfg.Timeout = time.Hour
		f.sense = func(ctx context.Context, e sensors.Env, _ *sensors.Report) error {
			if e.Now().Sub(boot) == 35*time.Second {
				return errors.Join(e.Sleep(ctx, 30*time.Second), errors.New("fails"))
			}
			return errors.New("fails")
		}
		w.run(f.cfg)
		w.pass(2 * time.Minute)
		equal(t, "reads", f.moments(), seconds(0, 5, 35, 65, 120))
		if r := w.result("a"); r.Reads != 3 || r.ExtraTries != 2 {
			t.Errorf("%d reads, %d further tries", r.Reads, r.ExtraTries)
		}
	})
}

// A read that is asked for takes the place of no further try, and a reload begins
// them again.
func TestFurtherTriesAndRequests(t *testing.T) {
	in(t, func(w *world) {
		f := w.failingUntil("a", 100*time.Hour, every(time.Hour))
		w.run(f.cfg)
		w.pass(20 * time.Second)
		if _, err := w.poll.ReadNow(context.Background()); err != nil {
			t.Fatal(err)
		}
		if r := w.result("a"); r.Reads != 2 || r.ExtraTries != 1 {
			t.Errorf("%d reads, %d further tries", r.Reads, r.ExtraTries)
		}
		w.pass(time.Hour)
		equal(t, "reads", f.moments(), seconds(0, 5, 20, 140, 740, 3600))
		w.reload(f.again(func(c *config.Sensor) { c.Timeout = 2 * time.Second }))
		from := w.clock.Now().Sub(boot) - 2*time.Second // which reload lets pass
		w.pass(time.Minute)
		if got := f.moments(); !slices.Equal(got[6:], []time.Duration{from, from + 5*time.Second, from + 35*time.Second}) {
			t.Errorf("after the reload at %v: %v", from, got[6:])
		}
	})
}
