package poll

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo

	"golang.org/x/sys/unix"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/agenda"
)

// times are when a sensor was read, as the wall clock showed it.
func (w *world) times(f *fake) *[]string {
	var at []string
	sense := f.sense
	f.sense = func(c context.Context, e sensors.Env, r *sensors.Report) error {
		wall, ok := w.clock.Wall(e.Now())
		if !ok {
			w.Error("read while the wall clock can't be true")
		}
		at = append(at, wall.Format("02T15:04:05"))
		return sense(c, e, r)
	}
	return &at
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAtIsReadAtItsTimeOnly(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", at("30 3 * * *"))
		got := w.times(f)
		w.run(f.cfg, w.sensor("b", every(time.Hour)).cfg)
		if r := w.result("a"); r.Tried || r.Reads != 0 || r.NextRead != boot.Add(15*time.Hour+30*time.Minute) || !r.Expires.IsZero() {
			t.Errorf("before its first time: %+v", r)
		}
		w.pass(48 * time.Hour)
		equal(t, "reads", *got, []string{"02T03:30:00", "03T03:30:00"})
	})
}

func TestSteppedClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string // "wait", then "step" of the wall clock, by turns
		want  []string
	}{
		{"an hour ahead", "1h 1h 24h 0s", []string{"02T03:30:00"}},
		{"an hour ahead, over it", "15h 1h 24h 0s", []string{"02T04:00:00", "03T03:30:00"}},
		{"a day ahead, over it once", "1h 24h 24h 0s", []string{"02T13:00:00", "03T03:30:00"}},
		{"a year ahead", "1h 8760h 24h 0s", []string{"31T13:00:00", "01T03:30:00"}},
		{"an hour back before it", "1h -1h 24h 0s", []string{"02T03:30:00"}},
		{"an hour back over it", "16h -1h 24h 0s", []string{"02T03:30:00"}},
		{"an hour back over it and on", "16h -1h 26h 0s", []string{"02T03:30:00", "03T03:30:00"}},
		{"a day back over it", "16h -24h 24h 0s", []string{"02T03:30:00", "02T03:30:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				f := w.sensor("a", at("30 3 * * *"))
				steady := w.sensor("b", every(5*time.Minute)) // each minute takes a Pi Zero seconds
				got := w.times(f)
				w.run(f.cfg, steady.cfg)
				w.passAndStep(c.steps)
				equal(t, "reads", *got, c.want)
				for i, m := range steady.moments() {
					if m != time.Duration(i)*5*time.Minute {
						t.Fatalf("an interval was disturbed: read %d at %v", i, m)
					}
				}
				if s := w.shot(); s.Stats.ClockJumps != 1 || s.Stats.Wakes[sensors.WakeClock] != 1 {
					t.Errorf("%+v", s.Stats)
				}
			})
		})
	}
}

// Where the kernel doesn't tell of steps any more, the log says once what is
// lost; what was due is still read.
func TestStepsThatAreNotNoticed(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", at("30 3 * * *"))
		got := w.times(f)
		w.run(f.cfg)
		w.clock.LoseSteps(unix.EIO)
		w.pass(48 * time.Hour)
		lines := w.lines("no longer tells when the wall clock is set")
		if len(lines) != 1 || !strings.Contains(lines[0], "level=ERROR") || !strings.Contains(lines[0], "times given by `at` may come late") || !strings.Contains(lines[0], unix.EIO.Error()) {
			t.Errorf("logged %q", lines)
		}
		equal(t, "reads", *got, []string{"02T03:30:00", "03T03:30:00"})
		if s := w.shot(); s.Stats.ClockJumps != 0 || s.Stats.Wakes[sensors.WakeClock] != 0 {
			t.Errorf("%+v", s.Stats)
		}
	})
}

// passAndStep lets time pass and steps the wall clock, in turn: "1h 0s 48h -1h".
func (w *world) passAndStep(steps string) {
	w.Helper()
	words := strings.Fields(steps)
	for i := 0; i < len(words); i += 2 {
		w.pass(parsed(w.T, words[i]))
		if step := parsed(w.T, words[i+1]); step != 0 {
			w.clock.StepWall(step)
			w.pass(0)
		}
	}
}

// The same for one that jitter moves from 03:30 to 03:50: it is planned on the
// calendar, and read when that time is due here.
func TestSteppedClockWithJitter(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps string
		want  []string
	}{
		{"nothing", "1h 0s 48h 0s", []string{"02T03:50:00", "03T03:50:00"}},
		{"an hour ahead", "1h 1h 24h 0s", []string{"02T03:50:00"}},
		{"ahead, between its time and when it is due", "15h 35m 24h 0s", []string{"02T03:50:00"}},
		{"ahead, over both", "15h 1h 24h 0s", []string{"02T04:00:00", "03T03:50:00"}},
		{"a day ahead, over it once", "1h 24h 24h 0s", []string{"02T13:00:00", "03T03:50:00"}},
		{"back from between, before its time", "15h40m -1h 24h 0s", []string{"02T03:50:00"}},
		{"an hour back over it", "16h -1h 24h 0s", []string{"02T03:50:00"}},
		{"back to between", "16h -15m 24h 0s", []string{"02T03:50:00"}},
		{"back to between and on", "16h -15m 26h 0s", []string{"02T03:50:00", "03T03:50:00"}},
		{"nearly three hours back over it", "16h -2h49m 24h 0s", []string{"02T03:50:00"}},
		{"a day back over it", "16h -24h 24h 0s", []string{"02T03:50:00", "02T03:50:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				f := w.sensor("a", at("30 3 * * *"), moved(20*time.Minute))
				got := w.times(f)
				w.run(f.cfg)
				w.passAndStep(c.steps)
				equal(t, "reads", *got, c.want)
			})
		})
	}
}

// A reload that changes only jitter neither loses a time that is due nor
// serves one twice.
func TestReloadOfJitter(t *testing.T) {
	const minute = time.Minute
	for _, c := range []struct {
		name        string
		wait        time.Duration // from noon
		before, now time.Duration
		want        []string
	}{
		{"later, before it is due", 15 * time.Hour, 10 * minute, 20 * minute, []string{"02T03:50:00", "03T03:50:00"}},
		{"sooner, before it is due", 15 * time.Hour, 20 * minute, 10 * minute, []string{"02T03:40:00", "03T03:40:00"}},
		{"later, when it was read", 15*time.Hour + 45*minute, 10 * minute, 20 * minute, []string{"02T03:40:00", "03T03:50:00"}},
		{"later by hours, when it was read", 15*time.Hour + 45*minute, 0, 12 * time.Hour, []string{"02T03:30:00"}},
		{"sooner, over now", 15*time.Hour + 45*minute, 20 * minute, 10 * minute, []string{"02T03:45:00", "03T03:40:00"}},
		{"taken away, over now", 15*time.Hour + 45*minute, 20 * minute, 0, []string{"02T03:45:00", "03T03:30:00"}},
		{"given, when it was read", 15*time.Hour + 45*minute, 0, 20 * minute, []string{"02T03:30:00", "03T03:50:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				f := w.sensor("a", at("30 3 * * *"), moved(c.before))
				got := w.times(f)
				w.run(f.cfg)
				w.pass(c.wait)
				w.reload(f.again(func(cfg *config.Sensor) { cfg.Schedule.Jitter, cfg.Schedule.Moved = 2*c.now, c.now }))
				w.pass(25 * time.Hour)
				equal(t, "reads", *got, c.want)
			})
		})
	}
	// Another expression's time is not the old one's.
	in(t, func(w *world) {
		f := w.sensor("a", at("30 3 * * *"), moved(20*minute))
		got := w.times(f)
		w.run(f.cfg)
		w.pass(15*time.Hour + 45*minute)
		w.reload(f.again(func(cfg *config.Sensor) { cfg.Schedule = config.Schedule{At: cron("20 3 * * *")} }))
		w.pass(24 * time.Hour)
		equal(t, "reads", *got, []string{"03T03:20:00"})
	})
	// With every it is read at the reload, as after any change, and from then
	// on the new grid.
	in(t, func(w *world) {
		f := w.sensor("a", moved(10*time.Second))
		w.run(f.cfg)
		w.pass(80 * time.Second)
		w.reload(f.again(func(cfg *config.Sensor) { cfg.Schedule.Moved = 15 * time.Second })) // two seconds long
		w.pass(2 * time.Minute)
		equal(t, "reads", f.moments(), seconds(0, 10, 70, 80, 135, 195))
	})
}

// Whenever the daemon is started, a machine reads at the same moments.
func TestJitterAfterARestart(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", every(5*time.Minute), moved(12345*time.Millisecond))
		task := w.sensor("b", at("0 13 * * *"), moved(12345*time.Millisecond))
		got := w.times(task)
		for _, later := range []time.Duration{0, 100 * time.Second, 3 * time.Second} {
			w.pass(later)
			w.run(f.cfg, task.cfg)
			start := len(f.moments())
			w.pass(20 * time.Minute)
			w.end()
			moments := f.moments()[start-1:]
			if len(moments) < 4 {
				t.Fatalf("read at %v", moments)
			}
			for _, m := range moments[1:] { // the first is the start's
				if m%(5*time.Minute) != 12345*time.Millisecond {
					t.Errorf("started %v later, it is read at %v", later, m)
				}
			}
		}
		equal(t, "at", *got, []string{"01T13:00:12"})
	})
}

func parsed(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A Pi without a clock chip boots in 1970 and learns the time when it can.
func TestUnknownTime(t *testing.T) {
	past := time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC)
	inAt(t, past, func(w *world) {
		f := w.sensor("a", at("30 3 * * *"))
		got := w.times(f)
		w.run(f.cfg)
		w.pass(48 * time.Hour)
		if r := w.result("a"); r.Tried || !r.NextRead.IsZero() || !w.shot().NextWake.IsZero() {
			t.Errorf("%+v", r)
		}
		w.clock.StepWall(noon.Sub(past) - 48*time.Hour)
		w.pass(0)
		if r := w.result("a"); r.Tried || r.NextRead.IsZero() {
			t.Errorf("after the clock was set: %+v", r)
		}
		w.pass(24 * time.Hour)
		if len(*got) != 1 || !strings.Contains((*got)[0], "T03:30:00") {
			t.Errorf("read at %v", *got)
		}
	})
}

// A change of its labels doesn't make a sensor forget what it served.
func TestStepBackAfterAReload(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", at("30 3 * * *"))
		got := w.times(f)
		w.run(f.cfg)
		w.pass(16 * time.Hour)
		w.reload(f.again(func(c *config.Sensor) { c.Labels = []sensors.Label{{Name: "room", Value: "attic"}} }))
		w.clock.StepWall(-time.Hour)
		w.pass(2 * time.Hour)
		equal(t, "reads", *got, []string{"02T03:30:00"})
	})
}

func TestSummerTime(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	inAt(t, time.Date(2027, 3, 27, 12, 0, 0, 0, berlin), func(w *world) {
		f := w.sensor("a", at("30 2 * * *"))
		got := w.times(f)
		w.run(f.cfg)
		w.pass(48 * time.Hour)
		equal(t, "reads", *got, []string{"28T03:00:00", "29T02:30:00"})
	})
	// Jitter comes after: it is a wait, no time of the day.
	inAt(t, time.Date(2027, 3, 27, 12, 0, 0, 0, berlin), func(w *world) {
		f := w.sensor("a", at("30 2 * * *"), moved(40*time.Minute))
		early := w.sensor("b", at("30 1 * * *"), moved(40*time.Minute))
		got, before := w.times(f), w.times(early)
		w.run(f.cfg, early.cfg)
		w.pass(48 * time.Hour)
		equal(t, "reads", *got, []string{"28T03:40:00", "29T03:10:00"})
		equal(t, "reads", *before, []string{"28T03:10:00", "29T02:10:00"})
	})
	inAt(t, time.Date(2027, 10, 30, 12, 0, 0, 0, berlin), func(w *world) {
		f := w.sensor("a", at("30 2 * * *"))
		got := w.times(f)
		w.run(f.cfg)
		w.pass(48 * time.Hour)
		equal(t, "reads", *got, []string{"31T02:30:00", "01T02:30:00"})
	})
}

// first are the first n wakes of a plan.
func first(n int, plan iter.Seq[agenda.Wake]) []agenda.Wake {
	var wakes []agenda.Wake
	for w := range plan {
		if wakes = append(wakes, w); len(wakes) == n {
			break
		}
	}
	return wakes
}

func TestPlan(t *testing.T) {
	in(t, func(w *world) {
		w.clock.Advance(30 * time.Second)
		p := w.make(w.sensor("m").cfg, w.sensor("n", every(90*time.Second)).cfg, w.sensor("c", at("2 12 * * *")).cfg)
		show := func(wakes []agenda.Wake) []string {
			var s []string
			for _, k := range wakes {
				s = append(s, fmt.Sprint(k.At.Sub(boot), k.Sensors))
			}
			return s
		}
		now := w.clock.Now()
		want := []string{"1m0s [m]", "1m30s [n]", "2m0s [m c]", "3m0s [m n]", "4m0s [m]"}
		equal(t, "plan", show(first(5, p.Plan(now))), want)
		w.begin()
		equal(t, "plan of the running", show(first(5, p.Plan(now))), want)
		for _, at := range want {
			next := w.shot().NextWake
			if !strings.HasPrefix(at, next.Sub(boot).String()+" ") {
				t.Errorf("next wake at %v, planned %s", next.Sub(boot), at)
			}
			w.pass(next.Sub(w.clock.Now()))
		}
		// One that was read a little early isn't planned for what is served.
		w.pass(w.shot().NextWake.Sub(w.clock.Now()) - time.Second)
		go w.poll.ReadNow(context.Background(), "m")
		w.pass(0)
		if got, want := first(1, w.poll.Plan(w.clock.Now()))[0].At, w.shot().NextWake; got != want {
			t.Errorf("planned for %v, next wake at %v", got, want)
		}
		// Jitter shows.
		shifted := w.make(w.sensor("m", every(time.Hour), moved(90*time.Second)).cfg, w.sensor("c", at("2 14 * * *"), moved(90*time.Second)).cfg)
		equal(t, "moved plan", show(first(4, shifted.Plan(boot))), []string{"1m30s [m]", "1h1m30s [m]", "2h1m30s [m]", "2h3m30s [c]"})
		only := w.make(w.sensor("c", at("2 12 * * *")).cfg)
		if got := first(3, only.Plan(w.clock.Now())); len(got) != 3 || got[1].At.Sub(got[0].At) != 24*time.Hour {
			t.Errorf("%v", got)
		}
	})
	inAt(t, time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), func(w *world) {
		if got := first(3, w.make(w.sensor("c", at("2 12 * * *")).cfg).Plan(boot)); len(got) != 0 {
			t.Errorf("while the time isn't known: %v", got)
		}
	})
}
