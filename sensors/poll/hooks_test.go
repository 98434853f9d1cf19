package poll

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/hooks"
)

// telling gives a task a hook that lasts, unless it is ended before, and then takes
// its time to end. told is when it began and ended, since boot.
func (p *fakeTask) telling(lasts, ends time.Duration) (told *[]string) {
	told = new([]string)
	p.hook = func(ctx context.Context, e sensors.Env, o sensors.Outcome) {
		note := func(what string) {
			p.w.mu.Lock()
			defer p.w.mu.Unlock()
			*told = append(*told, fmt.Sprintf("%s %s %t", e.Now().Sub(boot), what, o.Err != nil))
		}
		note("begins")
		if e.Sleep(ctx, lasts) != nil {
			note("is ended")
			e.Sleep(context.WithoutCancel(ctx), ends)
			return
		}
		note("ends")
	}
	return told
}

// A hook that lasts holds up nothing: not the result that it tells of, which is
// published before it begins, not the next run, a request, a reload or a neighbour.
func TestNobodyWaitsForAHook(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", every(10*time.Second))
		task.err = errors.New("full")
		neighbour := w.sensor("neighbour", every(10*time.Second), referring("task"))
		var published *sensors.Result
		told := task.telling(30*time.Second, 0)
		hook := task.hook
		task.hook = func(ctx context.Context, e sensors.Env, o sensors.Outcome) {
			published = w.result("task")
			hook(ctx, e, o)
		}
		w.run(task.cfg, neighbour.cfg)
		w.pass(0)
		if published == nil || !published.Tried || published.Err == nil {
			t.Fatalf("when the hook began %+v was published", published)
		}
		w.pass(12 * time.Second)
		equal(t, "runs", task.moments(), seconds(0, 10))
		equal(t, "reads of the neighbour", neighbour.moments(), seconds(0, 10))
		if _, err := w.poll.ReadNow(context.Background(), "task"); err != nil {
			t.Error(err)
		}
		if err := w.poll.Reload(configOf(task.again(), neighbour.again(func(c *config.Sensor) { c.Timeout = 2 * time.Second }))); err != nil {
			t.Error(err)
		}
		w.pass(0)
		equal(t, "runs", task.moments(), seconds(0, 10, 12))
		equal(t, "reads of the neighbour", neighbour.moments(), seconds(0, 10, 12))
		if n := w.result("task").Skipped[sensors.SkipOverlap]; n != 0 {
			t.Errorf("%d runs were left out", n)
		}
		w.pass(20 * time.Second)
		equal(t, "told", *told, []string{"0s begins true", "30s ends true"})
	})
}

// Hooks of a sensor are run in order, and for a limited time.
func TestHooksOfASensor(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", every(10*time.Second))
		told := task.telling(time.Hour, 2*time.Second)
		task.err = errors.New("full")
		w.run(task.cfg)
		w.pass(9 * time.Second)
		for _, err := range []error{nil, task.err, nil, nil} { // at 10, 20, 30 and 40 s
			task.err = err
			w.pass(10 * time.Second)
		}
		if n := len(w.lines("a change of state isn't told", "sensor=task")); n != 2 {
			t.Errorf("%d were logged to be left out: %q", n, w.lines())
		}
		w.pass(2 * time.Minute)
		limit := hooks.Limit.String()
		equal(t, "told", *told, []string{"0s begins true", limit + " is ended true", "1m2s begins false", "2m2s is ended false"})
		if took := w.end(); took != 0 {
			t.Errorf("the end took %v", took)
		}
	})
}

// One that can't be ended is left behind: the next is run, and the end comes.
func TestAHookThatHangs(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", every(10*time.Second))
		told := task.telling(time.Hour, time.Hour)
		task.err = errors.New("full")
		w.run(task.cfg)
		w.pass(10 * time.Second)
		task.err = nil
		w.pass(hooks.Limit)
		w.pass(10 * time.Second)
		equal(t, "told", *told, []string{"0s begins true", "1m0s is ended true", "1m6.5s begins false"})
		if n := len(w.lines("can't be ended")); n != 1 {
			t.Errorf("logged %d times", n)
		}
		if took := w.end(); took != endingTime+grace {
			t.Errorf("the end took %v", took)
		}
		w.pass(time.Hour) // for goleak
	})
}

// A program that can't be ended has failed, and that is told, once.
func TestAProgramThatHangsIsTold(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task")
		task.lasts, task.ends, task.cfg.Timeout = time.Hour, time.Hour, time.Second
		told := task.telling(0, 0)
		w.run(task.cfg)
		w.pass(5 * time.Minute)
		w.wantDown("task", sensors.Timeout)
		equal(t, "told", *told, []string{"7.5s begins true", "7.5s ends true"})
		task.lasts = 0
		w.pass(time.Hour)
		if n := len(*told); n != 4 || (*told)[2] != "1h1m0s begins false" {
			t.Errorf("told %q", *told)
		}
	})
}

// At the end a hook is ended as programs are, and rails are off before; that of a
// task which was waited for may tell of it, until somebody is in a hurry.
func TestHooksAtTheEnd(t *testing.T) {
	start := func(w *world, wait bool) (task *fakeTask, told *[]string) {
		task = w.task("task", powered(supply("vcc", "GPIO17"), 0))
		task.err = errors.New("full")
		task.lasts = 20 * time.Second
		told = task.telling(30*time.Second, 2*time.Second)
		cfg := configOf(task.cfg)
		cfg.WaitForTasks = wait
		w.makeOf(cfg)
		w.begin()
		w.pass(10 * time.Second)
		return task, told
	}
	in(t, func(w *world) {
		_, told := start(w, false)
		w.pass(15 * time.Second)
		if took := w.end(); took != 2*time.Second {
			t.Errorf("the end took %v", took)
		}
		equal(t, "told", *told, []string{"20.01s begins true", "25s is ended true"})
	})
	in(t, func(w *world) {
		_, told := start(w, true)
		limit := w.poll.LongestEnd()
		if took := w.end(); took != 40*time.Second+10*time.Millisecond || took > limit {
			t.Errorf("the end took %v, at most %v were told", took, limit)
		}
		equal(t, "told", *told, []string{"20.01s begins true", "50.01s ends true"})
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "20.01s GPIO17 false"})
	})
	in(t, func(w *world) {
		_, told := start(w, true)
		w.pass(15 * time.Second)
		if took := w.end(); took != 25*time.Second+10*time.Millisecond || len(w.lines("waiting for tasks", "[task]")) != 1 {
			t.Errorf("the end took %v; logged %q", took, w.lines())
		}
		equal(t, "told", *told, []string{"20.01s begins true", "50.01s ends true"})
	})
	in(t, func(w *world) {
		_, told := start(w, true)
		w.stop()
		w.stop = nil
		w.pass(20 * time.Second)
		w.poll.Hurry()
		w.pass(3 * time.Second)
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
		equal(t, "told", *told, []string{"20.01s begins true", "30s is ended true"})
	})
}

// A poller that only answers a request answers when its hooks have ended.
func TestHooksOfOneRead(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task")
		task.err = errors.New("full")
		told := task.telling(30*time.Second, 0)
		p := w.make(task.cfg)
		done := make(chan error, 1)
		go func() {
			_, err := p.ReadNow(context.Background(), "task")
			done <- errors.Join(err, p.Close())
		}()
		w.pass(time.Minute)
		if err := <-done; err != nil {
			t.Error(err)
		}
		equal(t, "told", *told, []string{"0s begins true", "30s ends true"})
	})
}
