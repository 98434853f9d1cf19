package poll

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/persist"
)

// outputs takes what was noted of outputs, while the poller may go on.
func (b *fakeBoard) outputs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	driven := b.driven
	b.driven = nil
	return driven
}

// A disk that doesn't answer leaves no supply on: neither that of a sensor which
// holds a line, nor one that no read has switched off.
func TestRailsAreOffBeforeAnythingIsSaved(t *testing.T) {
	in(t, func(w *world) {
		disk := &hungDisk{open: make(chan struct{})}
		task := w.task("task", at("*/10 * * * *"), catchingUp(24*time.Hour))
		held := w.sensor("held", holding("GPIO22"), powered(supply("vcc", "GPIO17"), 0))
		later := w.sensor("later", at("30 3 * * *"), powered(supply("aux", "GPIO18"), 0))
		w.make(task.cfg, held.cfg, later.cfg)
		w.poll.records = persist.RecordsOn(disk, w.clock.Clock, w.poll.log)
		w.begin()
		go w.poll.rails.Load().Up(context.Background(), "aux", 0) // and no Down
		w.pass(11 * time.Minute)
		w.outputs()
		w.stop()
		w.stop = nil
		synctest.Wait()
		select {
		case <-w.ended:
			t.Error("it ended without its records")
		default:
		}
		equal(t, "outputs", w.outputs(), []string{"11m0s GPIO17 false", "11m0s GPIO18 false"})
		close(disk.open)
		synctest.Wait()
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
	})
}

// Rails can be switched off from outside while the loop hangs, in its log say.
func TestRailsOffWhileTheLoopHangs(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", holding("GPIO22"), powered(supply("vcc", "GPIO17"), 0))
		w.run(a.cfg)
		w.pass(time.Second)
		w.mu.Lock() // of what it publishes and logs to
		w.stop()
		w.clock.Advance(time.Minute)
		if err := w.poll.RailsOff(); err != nil {
			t.Error(err)
		}
		equal(t, "outputs", w.outputs(), []string{"0s GPIO17 true", "1m1s GPIO17 false"})
		w.mu.Unlock()
	})
}

// While a task is waited for, no rail is up but its own: neither that of a sensor
// which holds a line between reads nor of one that is being read. A line without a
// rail is counted to the last.
func TestRailsWhileATaskIsWaitedFor(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", powered(supply("valve", "GPIO4"), 0))
		task.lasts = time.Hour
		between := w.sensor("between", holding("GPIO22"), powered(supply("vcc", "GPIO17"), 0))
		during := w.sensor("during", holding("GPIO23"), powered(supply("aux", "GPIO18"), 0), func(f *fake) {
			f.sense = func(ctx context.Context, e sensors.Env, _ *sensors.Report) error {
				if e.Now() == boot.Add(10*time.Millisecond) {
					return nil
				}
				return e.Sleep(ctx, 30*time.Second)
			}
			f.cfg.Timeout = time.Minute
		})
		free := w.sensor("free", holding("GPIO24"))
		cfg := configOf(task.cfg, between.cfg, during.cfg, free.cfg)
		cfg.WaitForTasks = true
		w.makeOf(cfg)
		w.begin()
		w.pass(70 * time.Second)
		w.outputs()
		w.stop()
		w.stop = nil
		w.pass(time.Minute)
		equal(t, "outputs", slices.Sorted(slices.Values(w.outputs())), []string{"1m10s GPIO17 false", "1m10s GPIO18 false"})
		if w.inUse("GPIO24") != 1 || free.closed != 0 {
			t.Error("the line that needs no rail isn't held any more")
		}
		w.pass(time.Hour)
		if err := <-w.ended; err != nil || task.cut != 0 {
			t.Errorf("%v; %d were ended", err, task.cut)
		}
		equal(t, "outputs", w.outputs(), []string{"1h0m0.01s GPIO4 false"})
		if free.closed != 1 || between.closed != 1 || during.closed != 1 {
			t.Errorf("closed %d, %d, %d times", free.closed, between.closed, during.closed)
		}
	})
}

// A sensor whose turn hasn't come when the end does has its rail left alone.
func TestNoRailGoesUpAtTheEnd(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", func(f *fake) {
			f.sense = func(ctx context.Context, e sensors.Env, _ *sensors.Report) error { return e.Sleep(ctx, time.Hour) }
			f.cfg.Timeout = 2 * time.Hour
		})
		b := w.sensor("b", powered(supply("vcc", "GPIO17"), 0), referring("a"))
		w.run(a.cfg, b.cfg)
		w.pass(time.Second)
		w.end()
		equal(t, "outputs", w.outputs(), nil)
	})
}

// Who asks while the poller ends is refused at once, and nothing is read for it.
func TestRequestsAtTheEnd(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task")
		task.lasts = time.Hour
		a := w.sensor("a", powered(supply("vcc", "GPIO17"), 0))
		cfg := configOf(task.cfg, a.cfg)
		cfg.WaitForTasks = true
		w.makeOf(cfg)
		w.begin()
		w.pass(10 * time.Second)
		answers := make(chan error, 3)
		ask := func(names ...string) {
			_, err := w.poll.ReadNow(context.Background(), names...)
			answers <- err
		}
		go ask("a")
		w.pass(time.Second)
		if err := <-answers; err != nil {
			t.Error(err)
		}
		for _, when := range []func(){w.stop, func() { w.pass(time.Minute) }} {
			when()
			go ask("a")
			go ask()
			go func() { answers <- w.poll.Reload(configOf()) }()
			synctest.Wait()
			for range cap(answers) {
				select {
				case err := <-answers:
					if !errors.Is(err, ErrStopped) {
						t.Error(err)
					}
				default:
					t.Fatal("it isn't answered")
				}
			}
		}
		w.stop = nil
		w.pass(time.Hour)
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
		if n := len(a.moments()); n != 2 {
			t.Errorf("read %d times", n)
		}
	})
}

// A count that was shown is saved, also where the end cuts the read after it short,
// or that hangs.
func TestCountsAtAnEndDuringARead(t *testing.T) {
	for name, hang := range map[string]bool{"cut short": false, "hangs": true} {
		dir := t.TempDir()
		in(t, func(w *world) {
			w.dir = dir
			hung := make(chan struct{})
			a := w.sensor("a", holding("GPIO22"), func(f *fake) {
				f.cfg.Timeout = time.Minute
				f.sense = func(ctx context.Context, e sensors.Env, _ *sensors.Report) error {
					switch {
					case e.Now().Before(boot.Add(3 * time.Minute)):
						return nil
					case hang:
						<-hung
						return nil
					}
					return e.Sleep(ctx, time.Hour)
				}
			})
			w.run(a.cfg)
			w.pass(3*time.Minute + time.Second)
			w.want("a", 3)
			w.end()
			close(hung)
		})
		in(t, func(w *world) {
			w.dir = dir
			w.run(w.sensor("a", holding("GPIO22")).cfg)
			if r := w.result("a"); len(r.Readings) != 1 || r.Readings[0].Value != 4 {
				t.Errorf("%s: after 3 the next life shows %+v", name, r.Readings)
			}
		})
	}
}
