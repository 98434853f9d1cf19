package poll

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/flaps"
)

// A sensor that fails at every other read is logged some times, then that it
// flaps, and from then on once an hour with counts.
func TestFlappingIsLoggedOnceAnHour(t *testing.T) {
	in(t, func(w *world) {
		n, steady := 0, false
		f := w.sensor("a", every(5*time.Second)) // less than the wait before a further try
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			if n++; n%2 == 0 && !steady {
				return errors.New("a loose contact")
			}
			r.Set(sensors.Temperature, 1)
			return nil
		}
		w.run(f.cfg)
		w.pass(30 * 5 * time.Second)
		if all := w.lines(); len(all) != flaps.Most+1 || !strings.Contains(all[flaps.Most], "the sensor flaps between failure and success") ||
			!strings.Contains(all[flaps.Most], "changes=7 in=30s") || !strings.Contains(all[flaps.Most], "a loose contact") {
			t.Errorf("30 reads are logged %q", all)
		}
		w.pass(3 * time.Hour)
		if still := w.lines("the sensor still flaps", "changes=720 reads=720 failed=360 in=1h"); len(still) != 3 || len(w.lines()) != flaps.Most+1+3 {
			t.Errorf("over three hours, logged %q", w.lines())
		}
		steady = true
		w.pass(2 * time.Hour)
		if calm := w.lines("the sensor no longer flaps", "changes=0"); len(calm) != 1 || len(w.lines()) > flaps.Most+1+5 {
			t.Errorf("after it is steady, logged %q", w.lines())
		}
		// From then on changes are logged as before.
		before := len(w.lines("sensor is down"))
		f.sense = func(context.Context, sensors.Env, *sensors.Report) error { return errors.New("cut off") }
		w.pass(time.Minute)
		if down := w.lines("sensor is down"); len(down) != before+1 || !strings.Contains(down[before], "cut off") {
			t.Errorf("logged %q", down)
		}
	})
}

// The end of the flapping in a failure says what fails.
func TestFlappingEndsInAFailure(t *testing.T) {
	in(t, func(w *world) {
		n := 0
		f := w.sensor("a", every(5*time.Second))
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			if n++; n%2 == 0 || n > 20 {
				return errors.New("a loose contact")
			}
			r.Set(sensors.Temperature, 1)
			return nil
		}
		w.run(f.cfg)
		w.pass(3 * time.Hour)
		all := w.lines()
		if len(w.lines("no longer flaps")) != 1 || !strings.Contains(all[len(all)-1], "sensor is down") {
			t.Errorf("logged %q", all)
		}
	})
}

// One that changes seldom is logged at each change, for however long.
func TestSeldomChangesAreLogged(t *testing.T) {
	in(t, func(w *world) {
		n := 0
		f := w.sensor("a", at("*/15 * * * *"))
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			if n++; n%2 == 0 {
				return errors.New("fails")
			}
			r.Set(sensors.Temperature, 1)
			return nil
		}
		w.run(f.cfg)
		w.pass(10 * time.Hour)
		if len(w.lines()) != 39 {
			t.Errorf("of 39 changes are logged %d", len(w.lines()))
		}
	})
}

// Channels and overlapping runs are the same.
func TestOtherStatesFlap(t *testing.T) {
	in(t, func(w *world) {
		n := 0
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			r.Set(channelVoltage, 1, "a0")
			if n++; n%2 == 0 {
				r.Fail(errors.New("open input"), "a1")
			}
			return nil
		}))
		task := w.task("b", every(time.Minute))
		task.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.ExitStatus, 0)
			if len(task.moments())%2 == 0 {
				return nil
			}
			return e.Sleep(ctx, 70*time.Second)
		}
		task.cfg.Timeout = time.Hour
		w.run(f.cfg, task.cfg)
		w.pass(3 * time.Hour)
		for _, name := range []string{"a", "b"} {
			if len(w.lines("flaps between", "sensor="+name)) != 1 || len(w.lines("still flaps", "sensor="+name)) != 2 || len(w.lines("sensor="+name)) != flaps.Most+3 {
				t.Errorf("of %s is logged %q", name, w.lines("sensor="+name))
			}
		}
	})
}
