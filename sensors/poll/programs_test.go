package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/persist"
	"example.org/dormouse/sensors/state"
)

// A fakeTask is a program that lasts, ends as the test says, and takes its time
// to end when it is asked to.
type fakeTask struct {
	*fake
	lasts, ends time.Duration
	err         error
	output      string
	outcomes    []sensors.Outcome
	hook        func(ctx context.Context, e sensors.Env, o sensors.Outcome) // for changes; nil: there is none
	cut         int                                                         // runs that were ended
	why         error                                                       // of the last of them
}

// endingTime is what fake tasks may take to end.
const endingTime = 5 * time.Second

// task makes a fake that runs programs.
func (w *world) task(name string, change ...func(*fake)) *fakeTask {
	w.Helper()
	p := &fakeTask{}
	p.fake = w.sensor(name, change...)
	p.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
		began := e.Now()
		err := e.Sleep(ctx, p.lasts)
		if err != nil {
			p.cut++
			p.why = err
			if e.Sleep(context.WithoutCancel(ctx), p.ends) != nil {
				return err
			}
		} else {
			err = p.err
		}
		status := 0
		if err != nil {
			status = 1
		}
		r.SetRun(&sensors.Run{Began: began, Took: e.Now().Sub(began), Status: status, Output: p.output, Digest: p.output, Err: err})
		r.Set(sensors.ExitStatus, float64(status))
		return err
	}
	p.cfg.Timeout = time.Hour
	p.cfg.Driver.Programs = &sensors.Programs{
		Task:   func(*sensors.Options) bool { return true },
		Ending: func(*sensors.Options) time.Duration { return endingTime },
		Ended: func(e sensors.Env, o sensors.Outcome) func(context.Context) {
			p.outcomes = append(p.outcomes, o)
			if !o.Changed || p.hook == nil {
				return nil
			}
			return func(ctx context.Context) { p.hook(ctx, e, o) }
		},
	}
	return p
}

func catchingUp(d time.Duration) func(*fake) { return func(f *fake) { f.cfg.Schedule.CatchUp = d } }

func TestTasksAreLeftAloneUnlessNamed(t *testing.T) {
	in(t, func(w *world) {
		task, plain := w.task("backup", at("30 3 * * *")), w.sensor("a", every(time.Hour))
		w.run(task.cfg, plain.cfg)
		before := len(plain.moments())
		if _, err := w.poll.ReadNow(context.Background()); err != nil {
			w.Fatal(err)
		}
		if len(task.moments()) != 0 || len(plain.moments()) != before+1 {
			t.Errorf("after a read of all: the task was run at %v, the sensor read at %v", task.moments(), plain.moments())
		}
		shot, err := w.poll.ReadNow(context.Background(), "backup")
		if err != nil || len(task.moments()) != 1 {
			t.Errorf("after a read of the task: run at %v, %v", task.moments(), err)
		}
		if r := find(t, shot, "backup"); !r.Up || r.LastRun == nil || r.LastRun.Status != 0 {
			t.Errorf("%+v", r)
		}
	})
}

// A second run beside one that is under way is refused, logged and counted.
func TestASecondRunIsRefused(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("backup", at("30 3 * * *"))
		task.lasts = time.Minute
		w.run(task.cfg)
		first := make(chan error, 1)
		go func() {
			_, err := w.poll.ReadNow(context.Background(), "backup")
			first <- err
		}()
		w.pass(10 * time.Second)
		if _, err := w.poll.ReadNow(context.Background(), "backup"); err == nil || !strings.Contains(err.Error(), "backup is being run since 10s") {
			t.Errorf("the second: %v", err)
		}
		w.pass(time.Minute)
		if err := <-first; err != nil || len(task.moments()) != 1 {
			t.Errorf("the first: %v; runs at %v", err, task.moments())
		}
		if r := w.result("backup"); r.Skipped[sensors.SkipOverlap] != 1 || len(w.lines("refused")) != 1 {
			t.Errorf("counted %v, logged %q", r.Skipped, w.lines("refused"))
		}
	})
}

func TestRunsThatOverlapAreLeftOut(t *testing.T) {
	for _, c := range []struct {
		name     string
		schedule func(*fake)
		lasts    time.Duration
		runs     []time.Duration // since boot, which is at noon
		skipped  uint64
	}{
		{"in time", every(time.Minute), 30 * time.Second, []time.Duration{0, time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute, 5 * time.Minute}, 0},
		{"two intervals and a half", every(time.Minute), 150 * time.Second, []time.Duration{0, 3 * time.Minute}, 2},
		{"to the next", every(time.Minute), time.Minute, []time.Duration{0, 2 * time.Minute, 4 * time.Minute}, 2},
		{"of the calendar", at("*/1 * * * *"), 150 * time.Second, []time.Duration{time.Minute, 4 * time.Minute}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				task := w.task("a", c.schedule)
				task.lasts = c.lasts
				w.run(task.cfg)
				w.pass(5*time.Minute + 30*time.Second)
				equal(t, "runs", task.moments(), c.runs)
				w.pass(2 * time.Minute) // the last one ends
				if n, ok := w.result("a").Skipped[sensors.SkipOverlap]; !ok || n < c.skipped || c.skipped == 0 && n > 0 {
					t.Errorf("%d were counted, want %d at least", n, c.skipped)
				}
				if logged := len(w.lines("were left out")); (logged == 1) != (c.skipped > 0) {
					t.Errorf("logged %d times", logged)
				}
			})
		})
	}
	// A run that was asked for, over the time of the planned one: that is none.
	in(t, func(w *world) {
		task := w.task("a", at("5 12 * * *"))
		task.lasts = 10 * time.Minute
		w.run(task.cfg)
		w.pass(time.Minute)
		go w.poll.ReadNow(context.Background(), "a") //nolint:errcheck // looked at by its result
		w.pass(24*time.Hour + 20*time.Minute)
		equal(t, "runs", task.moments(), []time.Duration{time.Minute, 24*time.Hour + 5*time.Minute})
		if n := w.result("a").Skipped[sensors.SkipOverlap]; n != 1 {
			t.Errorf("%d were counted, want 1", n)
		}
	})
}

// The driver is told of each due read's outcome, whether it is another than
// before, and whether its output is.
func TestOutcomes(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("a", every(time.Minute), retries(1))
		w.run(task.cfg)
		w.pass(time.Second) // so that each step holds a retry
		steps := []struct {
			err    error
			output string
			want   string
		}{
			{nil, "ok", "ok changed false repeated false"},
			{errors.New("full"), "disk full", "disk full changed true repeated false"},
			{errors.New("full"), "disk full", "disk full changed false repeated true"},
			{errors.New("full"), "no disk", "no disk changed false repeated false"},
			{nil, "ok", "ok changed true repeated false"},
			{nil, "ok", "ok changed false repeated false"},
			{errors.New("full"), "no disk", "no disk changed true repeated true"},
		}
		for i, s := range steps {
			task.err, task.output, task.outcomes = s.err, s.output, nil
			if i > 0 {
				w.pass(time.Minute)
			} else if _, err := w.poll.ReadNow(context.Background(), "a"); err != nil {
				w.Fatal(err)
			}
			if len(task.outcomes) != 1 {
				t.Fatalf("step %d: %d outcomes, want one in spite of retries", i, len(task.outcomes))
			}
			o := task.outcomes[0]
			if got := fmt.Sprintf("%s changed %v repeated %v", o.Run.Output, o.Changed, o.Repeated); got != s.want || o.Err != s.err {
				t.Errorf("step %d: %s, %v; want %s", i, got, o.Err, s.want)
			}
		}
		r := w.result("a")
		if r.LastRun.Output != "no disk" || r.FailedRun != r.LastRun {
			t.Errorf("the last runs are %+v, %+v", r.LastRun, r.FailedRun)
		}
		task.err, task.output = nil, "ok"
		w.pass(time.Minute)
		if r := w.result("a"); r.LastRun.Output != "ok" || r.FailedRun.Output != "no disk" {
			t.Errorf("the last runs are %+v, %+v", r.LastRun, r.FailedRun)
		}
	})
}

// A read that begins no run has nothing of the run before: neither its exit
// status nor its output.
func TestNoRunAtAll(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("a", every(time.Minute), powered(supply("vcc", "GPIO17"), 0))
		task.output = "ok"
		w.run(task.cfg)
		w.pass(time.Second)
		if r := w.result("a"); !r.Up || len(r.Readings) != 1 || r.LastRun == nil {
			t.Fatalf("%+v", r)
		}
		w.fakeBoard.lines["GPIO17"] = 1 // somebody else's: the rail can't be raised
		w.pass(time.Minute)
		w.wantDown("a", sensors.Busy, "vcc", "in use")
		if r := w.result("a"); len(r.Readings) != 0 || r.FailedRun != nil || r.LastRun.Output != "ok" {
			t.Errorf("readings %v, the last failed run %+v", r.Readings, r.FailedRun)
		}
		if o := task.outcomes[1]; o.Run != nil || o.Err == nil || !o.Changed {
			t.Errorf("the driver is told of %+v", o)
		}
		w.fakeBoard.lines["GPIO17"] = 0
	})
}

// At its time-out, at the end, and by a reload a program has time to end.
func TestProgramsMayTakeTimeToEnd(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("a", at("1 12 * * *"))
		task.lasts, task.ends, task.cfg.Timeout = time.Hour, 4*time.Second, time.Minute
		w.run(task.cfg)
		w.pass(time.Minute + time.Minute + 3*time.Second)
		if r := w.result("a"); r.Tried {
			t.Error("its run is over before it has ended")
		}
		w.pass(2 * time.Second)
		if r := w.result("a"); r.Up || r.Reason != sensors.Timeout || r.LastRun == nil {
			t.Errorf("%+v", r)
		}
		if task.cut != 1 || len(w.lines("hangs")) > 0 {
			t.Errorf("%d were ended: %q", task.cut, w.lines("hangs"))
		}
	})
	in(t, func(w *world) { // that it is cut is no change of state, and what it wrote is told all the same
		task := w.task("a")
		task.lasts, task.ends, task.output = time.Hour, 4*time.Second, "half"
		w.run(task.cfg)
		w.pass(10 * time.Second)
		if took := w.end(); took != 4*time.Second || task.cut != 1 || len(task.outcomes) != 1 {
			t.Fatalf("the end took %v; %d were ended; outcomes %v", took, task.cut, task.outcomes)
		}
		if o := task.outcomes[0]; o.Changed || o.Err == nil || o.Run == nil || o.Run.Output != "half" {
			t.Errorf("the driver is told of %+v", o)
		}
	})
	in(t, func(w *world) { // one that never ends is left behind
		task := w.task("a")
		task.lasts, task.ends = time.Hour, time.Hour
		w.run(task.cfg)
		w.pass(10 * time.Second)
		if took := w.end(); took != endingTime+grace {
			t.Errorf("the end took %v", took)
		}
		w.pass(time.Hour) // for goleak
	})
}

// Where tasks are waited for the end takes as long as they do, until somebody
// is in a hurry; other sensors are not waited for.
func TestWaitForTasks(t *testing.T) {
	start := func(w *world, task *fakeTask) (told *time.Duration) {
		other := w.sensor("b", converting(time.Hour), on(1, "0x76"))
		other.cfg.Timeout = 2 * time.Hour
		cfg := configOf(task.cfg, other.cfg)
		cfg.WaitForTasks = true
		told = new(time.Duration)
		p, err := New(Options{Config: cfg, Board: w.fakeBoard, Clock: w.clock.Clock, Log: slog.New(slog.NewTextHandler(w, nil)), Ending: func(d time.Duration) { *told = d }})
		if err != nil {
			w.Fatal(err)
		}
		w.poll = p
		w.begin()
		w.pass(10 * time.Second)
		return told
	}
	in(t, func(w *world) {
		task := w.task("a")
		task.lasts = 3 * time.Minute
		told := start(w, task)
		if took := w.end(); took != 3*time.Minute-10*time.Second || task.cut != 0 || len(task.outcomes) != 1 {
			t.Errorf("the end took %v; %d were ended; outcomes %v", took, task.cut, task.outcomes)
		}
		if *told < time.Hour || len(w.lines("waiting for tasks", "[a]")) != 1 {
			t.Errorf("told %v, logged %q", *told, w.lines("waiting"))
		}
	})
	in(t, func(w *world) {
		task := w.task("a")
		task.lasts, task.ends = time.Hour, time.Second
		start(w, task)
		w.stop()
		w.pass(time.Minute)
		w.poll.Hurry()
		w.pass(2 * time.Second)
		select {
		case err := <-w.ended:
			if err != nil || task.cut != 1 || len(w.lines("tasks are ended")) != 1 {
				t.Errorf("%v; %d were ended", err, task.cut)
			}
		default:
			t.Error("it hasn't ended")
		}
		w.stop = nil
	})
}

// A reload that changes only the schedule lets the run end; one that changes
// or removes the program ends it.
func TestReloadDuringARun(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world, task *fakeTask) *config.Config
		cut    int
		runs   []time.Duration // after the reload, at 12:00:30
	}{
		{"another interval", func(w *world, task *fakeTask) *config.Config {
			n := *task.cfg
			n.Schedule = config.Schedule{Every: 5 * time.Minute}
			return configOf(&n)
		}, 0, []time.Duration{4*time.Minute + 30*time.Second}},
		{"a calendar", func(w *world, task *fakeTask) *config.Config {
			n := *task.cfg
			n.Schedule = config.Schedule{At: cron("4 12 * * *")}
			return configOf(&n)
		}, 0, []time.Duration{3*time.Minute + 30*time.Second}},
		{"labels", func(w *world, task *fakeTask) *config.Config {
			n := *task.cfg
			n.Labels = []sensors.Label{{Name: "room", Value: "hall"}}
			return configOf(&n)
		}, 0, []time.Duration{90 * time.Second, 210 * time.Second}},
		{"nothing", func(w *world, task *fakeTask) *config.Config {
			n := *task.cfg
			return configOf(&n)
		}, 0, []time.Duration{90 * time.Second, 210 * time.Second}},
		{"another program", func(w *world, task *fakeTask) *config.Config {
			n := *task.cfg
			d := *n.Driver
			d.Options = []sensors.Option{{Name: "argv", Type: sensors.TextOption, Help: "the program"}}
			n.Driver, n.Options = &d, w.options(&d, map[string]string{"argv": "/bin/true"})
			return configOf(&n)
		}, 1, []time.Duration{2 * time.Second, 150 * time.Second, 270 * time.Second}},
		{"none", func(w *world, task *fakeTask) *config.Config { return configOf(w.sensor("b").cfg) }, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(w *world) {
				task := w.task("a", every(time.Minute)) // at 12:00, and 12:02 …
				task.lasts, task.ends = 100*time.Second, 2*time.Second
				w.run(task.cfg)
				w.pass(30 * time.Second)
				from := w.clock.Now()
				reloaded := make(chan error, 1)
				go func() { reloaded <- w.poll.Reload(c.change(w, task)) }()
				w.pass(3 * time.Second)
				select {
				case err := <-reloaded:
					if err != nil {
						w.Fatal(err)
					}
				default:
					w.Fatal("the reload waits for the run")
				}
				w.pass(5 * time.Minute)
				if task.cut != c.cut {
					t.Errorf("%d runs were ended, want %d", task.cut, c.cut)
				}
				if c.cut > 0 && (!errors.Is(task.why, context.Canceled) || task.why.Error() != "its configuration changed") {
					t.Errorf("it was ended because %v", task.why)
				}
				got := task.after(from)
				if len(got) > len(c.runs) {
					got = got[:len(c.runs)]
				}
				equal(t, "runs after it", got, c.runs)
				if c.name == "labels" {
					if r := w.result("a"); len(r.Labels) != 1 || !r.Up {
						t.Errorf("%+v", r)
					}
				}
			})
		})
	}
	in(t, func(w *world) { // two reloads during one run
		task := w.task("a", every(time.Minute))
		task.lasts = 100 * time.Second
		w.run(task.cfg)
		for _, d := range []time.Duration{5 * time.Minute, 3 * time.Minute} {
			w.pass(10 * time.Second)
			n := *task.cfg
			n.Schedule = config.Schedule{Every: d}
			if err := w.poll.Reload(configOf(&n)); err != nil {
				w.Fatal(err)
			}
		}
		w.pass(6 * time.Minute)
		equal(t, "runs", task.moments(), []time.Duration{0, 3 * time.Minute, 6 * time.Minute})
	})
}

// off ends the daemon's life at a moment, without a word where it is cut.
type life struct {
	at    time.Time // when it starts, on the wall clock
	lasts time.Duration
}

// TestCatchUp: lives of the daemon, one after the other, over one state
// directory.
func TestCatchUp(t *testing.T) {
	day := func(d, h, m int) time.Time { return time.Date(2027, 6, d, h, m, 0, 0, time.UTC) }
	for _, c := range []struct {
		name   string
		change []func(*fake)
		lives  []life
		want   []string
		missed uint64 // counted by the last life
	}{
		{"off over one time", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), 4 * time.Hour}}, []string{"02T08:00:00"}, 0},
		{"without the key", nil, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), 4 * time.Hour}}, nil, 0},
		{"too long ago", []func(*fake){catchingUp(time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), 4 * time.Hour}}, nil, 1},
		{"told once only", []func(*fake){catchingUp(time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), time.Hour}, {day(2, 10, 0), time.Hour}}, nil, 0},
		{"off over three times", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {day(4, 8, 0), 4 * time.Hour}}, []string{"04T08:00:00"}, 2},
		{"not off", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), 20 * time.Hour}, {day(2, 9, 0), 4 * time.Hour}}, []string{"02T03:30:00"}, 0},
		{"caught up once", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), time.Hour}, {day(2, 10, 0), time.Hour}}, []string{"02T08:00:00"}, 0},
		{"the first time at all", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), time.Hour}}, nil, 0},
		{"jitter spreads it", []func(*fake){catchingUp(24 * time.Hour), moved(20 * time.Minute)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), 4 * time.Hour}}, []string{"02T08:20:00"}, 0},
		{"not missed yet, with jitter", []func(*fake){catchingUp(24 * time.Hour), moved(20 * time.Minute)}, []life{{day(1, 12, 0), time.Hour}, {day(2, 3, 40), 4 * time.Hour}}, []string{"02T03:50:00"}, 0},
		{"a clock in 1970, then set", []func(*fake){catchingUp(24 * time.Hour)}, []life{{day(1, 12, 0), time.Hour}, {time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC), time.Hour}}, []string{"02T08:00:00"}, 0},
		{"another expression", []func(*fake){catchingUp(24 * time.Hour), at("0 4 * * *")}, []life{{day(1, 12, 0), time.Hour}, {day(2, 8, 0), time.Hour}}, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var got []string
			var result *sensors.Result
			for i, l := range c.lives {
				inAt(t, l.at, func(w *world) {
					w.dir = dir
					task := w.task("a", append([]func(*fake){at("30 3 * * *")}, c.change...)...)
					if c.name == "another expression" && i == 0 {
						task.cfg.Schedule.At = cron("30 3 * * *")
					}
					times := w.times(task.fake)
					w.run(task.cfg)
					w.pass(time.Minute)
					if l.at.Year() == 1970 {
						w.clock.StepWall(day(2, 8, 0).Sub(l.at.Add(time.Minute)))
					}
					w.pass(l.lasts - time.Minute)
					result = w.result("a")
					got = append(got, *times...)
				})
			}
			equal(t, "runs", got, c.want)
			if result.Skipped[sensors.SkipMissed] != c.missed {
				t.Errorf("%d were counted as missed, want %d", result.Skipped[sensors.SkipMissed], c.missed)
			}
		})
	}
}

// The record is on the disk before the program starts: whatever ends the
// process during the run, it isn't run again.
func TestTheRecordComesBeforeTheRun(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("a", at("30 12 * * *"), catchingUp(24*time.Hour))
		sense := task.sense
		var written string
		task.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			store := state.In(w.dir, persist.RecordsFile)
			data, err := store.Last()
			if err != nil {
				return err
			}
			var tasks map[string]struct{ Last time.Time }
			if err := json.Unmarshal(data, &tasks); err != nil {
				return err
			}
			written = tasks["a"].Last.UTC().Format("15:04")
			return sense(ctx, e, r)
		}
		w.run(task.cfg)
		w.pass(time.Hour)
		if r := w.result("a"); !r.Up || written != "12:30" {
			t.Errorf("during the run it says %q: %v", written, r.Err)
		}
		// A run that was asked for isn't the planned one.
		if _, err := w.poll.ReadNow(context.Background(), "a"); err != nil {
			w.Fatal(err)
		}
		if at, ok := w.poll.records.Last("a", "30 12 * * *"); !ok || at.UTC().Format("15:04") != "12:30" {
			t.Errorf("after another run it says %v, %v", at, ok)
		}
	})
}

// A run that the end of the daemon keeps from beginning, while its supply warms
// up, is caught up by the next life; one that is cut short isn't.
func TestARunThatDidNotBegin(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration // after its time
		want []string
	}{
		{"during the warm-up", 10 * time.Second, []string{"01T12:40:30"}},
		{"during the run", 40 * time.Second, []string{"01T12:30:30"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var got []string
			for i, start := range []time.Duration{0, 40 * time.Minute} {
				inAt(t, noon.Add(start), func(w *world) {
					w.dir = dir
					task := w.task("a", at("30 12 * * *"), catchingUp(24*time.Hour), powered(supply("vcc", "GPIO17"), 30*time.Second))
					task.lasts = time.Minute
					times := w.times(task.fake)
					w.run(task.cfg)
					if i == 0 {
						w.pass(30*time.Minute + c.wait)
						w.end()
					} else {
						w.pass(5 * time.Minute)
					}
					got = append(got, *times...)
				})
			}
			equal(t, "runs", got, c.want)
		})
	}
}

func TestRecordsThatCannotBe(t *testing.T) {
	for _, content := range []string{"{", `{"version":2}`, ""} {
		in(t, func(w *world) {
			file := filepath.Join(w.dir, persist.RecordsFile)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				w.Fatal(err)
			}
			task := w.task("a", at("30 12 * * *"), catchingUp(24*time.Hour))
			w.run(task.cfg)
			w.pass(time.Hour)
			if len(w.lines("can't read when tasks were last run")) != 1 || len(task.moments()) != 1 {
				t.Errorf("%q: logged %q, run %v", content, w.lines("can't"), task.moments())
			}
			if now, err := os.ReadFile(file); err != nil || string(now) != content {
				t.Errorf("%q: it was overwritten: %q, %v", content, now, err)
			}
			if at, ok := w.poll.records.Last("a", "30 12 * * *"); !ok || at.UTC().Hour() != 12 {
				t.Errorf("recorded %v, %v", at, ok)
			}
		})
	}
	in(t, func(w *world) { // a directory that can't be written: the task is run all the same
		w.dir = filepath.Join(w.dir, "file")
		if err := os.WriteFile(w.dir, nil, 0o600); err != nil {
			w.Fatal(err)
		}
		task := w.task("a", at("*/10 * * * *"), catchingUp(24*time.Hour))
		w.run(task.cfg)
		w.pass(time.Hour)
		if len(w.lines("can't record that a task is run")) != 1 || len(task.moments()) != 6 {
			t.Errorf("logged %q, run %v", w.lines("can't record"), task.moments())
		}
	})
}

// hungDisk is one whose file system doesn't answer until open is closed.
type hungDisk struct {
	open  chan struct{}
	wrote [][]byte
}

func (d *hungDisk) Last() ([]byte, error) { return nil, nil }
func (d *hungDisk) Path() string          { return "/hung/tasks.json" }
func (d *hungDisk) Write(data []byte) error {
	<-d.open
	d.wrote = append(d.wrote, data)
	return nil
}

// A file system that doesn't answer delays the tasks that are to be recorded
// there, for a limited time, and nothing else: neither other sensors, nor a
// reload, nor a step of the clock.
func TestRecordsOnADiskThatHangs(t *testing.T) {
	in(t, func(w *world) {
		disk := &hungDisk{open: make(chan struct{})}
		task := w.task("a", at("*/10 * * * *"), catchingUp(24*time.Hour))
		other := w.task("b", at("*/10 * * * *"))
		steady := w.sensor("c")
		added := w.task("d", at("*/15 * * * *"), catchingUp(24*time.Hour))
		w.make(task.cfg, other.cfg, steady.cfg)
		w.poll.records = persist.RecordsOn(disk, w.clock.Clock, w.poll.log)
		w.begin()
		w.pass(11 * time.Minute)
		if err := w.poll.Reload(configOf(task.cfg, other.cfg, steady.cfg, added.cfg)); err != nil {
			w.Fatal(err)
		}
		w.clock.StepWall(time.Minute)
		w.pass(10 * time.Minute)
		late := 10 * time.Second
		equal(t, "runs with a record", task.moments(), []time.Duration{10*time.Minute + late, 19*time.Minute + late})
		equal(t, "runs without", other.moments(), []time.Duration{10 * time.Minute, 19 * time.Minute})
		equal(t, "runs of a task that is new", added.moments(), []time.Duration{14*time.Minute + late})
		for i, m := range steady.moments() {
			if m != time.Duration(i)*time.Minute {
				t.Fatalf("a neighbour waited: read %d at %v", i, m)
			}
		}
		if lines := w.lines("can't record that a task is run"); len(lines) != 3 || !strings.Contains(lines[0], "sensor=a file=/hung/tasks.json waited=10s") {
			t.Errorf("logged %q", lines)
		}
		close(disk.open) // what was noted meanwhile is written at once, and the rest by the end
		w.pass(10 * time.Minute)
		equal(t, "the last run", task.moments()[2:], []time.Duration{29 * time.Minute})
		w.end()
		if n := len(disk.wrote); n < 3 || !strings.Contains(string(disk.wrote[n-1]), "12:30:00") {
			t.Errorf("written %d times: %s", n, disk.wrote[n-1])
		}
	})
}

// A poller that only answers a request neither catches up nor records.
func TestOneReadCatchesNothingUp(t *testing.T) {
	in(t, func(w *world) {
		store := state.In(w.dir, persist.RecordsFile)
		if _, err := store.Last(); err != nil {
			w.Fatal(err)
		}
		old := fmt.Appendf(nil, `{"a":{"at":"30 3 * * *","last":%q}}`, noon.Add(-48*time.Hour).Format(time.RFC3339))
		if err := store.Write(old); err != nil {
			w.Fatal(err)
		}
		before, err := os.ReadFile(store.Path())
		if err != nil {
			w.Fatal(err)
		}
		task := w.task("a", at("30 3 * * *"), catchingUp(24*time.Hour))
		w.make(task.cfg)
		if _, err := w.poll.ReadNow(context.Background(), "a"); err != nil {
			w.Fatal(err)
		}
		if err := w.poll.Close(); err != nil {
			w.Fatal(err)
		}
		if now, err := os.ReadFile(store.Path()); err != nil || string(now) != string(before) || len(task.moments()) != 1 {
			t.Errorf("the record is now %s, %v; run at %v", now, err, task.moments())
		}
	})
}
