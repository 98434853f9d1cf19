package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/sensors"
)

// waking makes a fake that holds a line one whose edges wake the daemon.
func waking(line string, limit time.Duration, wake ...string) func(*fake) {
	return func(f *fake) {
		holding(line)(f)
		build := f.cfg.Driver.New
		f.cfg.Driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			s, err := build(ctx, e)
			if err != nil {
				return nil, err
			}
			return &wakingSensor{s.(*heldSensor), limit, wake}, nil
		}
	}
}

type wakingSensor struct {
	*heldSensor
	limit time.Duration
	wake  []string
}

func (s *wakingSensor) Watch() sensors.Watch {
	w := sensors.Watch{Wake: s.wake, Limit: s.limit, Changed: s.f.changed}
	if !s.f.lost {
		w.Line = s.line
	}
	return w
}

func TestEdgeWakesAtOnce(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", every(time.Hour), waking("GPIO27", time.Second, "room", "door"))
		room := w.sensor("room", every(time.Hour))
		other := w.sensor("other", every(time.Hour))
		w.run(door.cfg, room.cfg, other.cfg)
		w.pass(10 * time.Second)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits for an edge")
		}
		equal(t, "door", door.moments(), seconds(0, 10))
		equal(t, "room", room.moments(), seconds(0, 10))
		equal(t, "other", other.moments(), seconds(0))
		w.want("door", 2)
		if n := w.shot().Stats.Wakes[sensors.WakeEdge]; n != 1 {
			t.Errorf("%d wakes by an edge", n)
		}

		// What comes sooner than the limit waits for it, and wakes nobody meanwhile.
		w.pass(300 * time.Millisecond)
		if w.edge("GPIO27", nil) {
			t.Fatal("an edge is waited for before the limit has passed")
		}
		w.pass(700 * time.Millisecond)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits for an edge when the limit has passed")
		}
		equal(t, "room", room.moments(), seconds(0, 10, 11))
		// The schedule goes on as it was.
		w.pass(time.Hour)
		equal(t, "room", room.moments(), seconds(0, 10, 11, 3600))
	})
}

// A read in between takes nothing from the calendar.
func TestEdgeBeforeItsTimeOfTheCalendar(t *testing.T) {
	in(t, func(w *world) { // at noon
		door := w.sensor("door", every(time.Hour), waking("GPIO27", time.Second, "cam"))
		cam := w.sensor("cam", at("30 12 * * *"))
		w.run(door.cfg, cam.cfg)
		w.pass(10 * time.Minute)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits for an edge")
		}
		w.pass(25 * time.Minute)
		equal(t, "cam", cam.moments(), seconds(600, 1800))
	})
}

// An edge that a scheduled read took out of the kernel's buffer wakes the
// others all the same.
func TestEdgeSeenByAScheduledRead(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", waking("GPIO27", time.Second, "room"))
		room := w.sensor("room", every(time.Hour))
		w.run(door.cfg, room.cfg)
		w.pass(59 * time.Second)
		door.changed = true
		w.pass(time.Second)
		door.changed = false
		w.pass(time.Second)
		equal(t, "room", room.moments(), seconds(0, 60))
		equal(t, "door", door.moments(), seconds(0, 60, 60))
	})
}

func TestEdgeWhileTheSensorIsRead(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", waking("GPIO27", time.Second, "room"), func(f *fake) {
			f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error { return e.Sleep(ctx, time.Second/2) }
		})
		room := w.sensor("room", every(time.Hour))
		w.run(door.cfg, room.cfg)
		w.pass(60*time.Second + time.Second/4)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits for an edge")
		}
		equal(t, "room", room.moments(), seconds(0, 60.25))
		w.pass(10 * time.Second)
		equal(t, "door", door.moments(), seconds(0, 60))
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits any more")
		}
	})
}

// What another sensor reads may be from before the edge: it is read again. A
// program isn't.
func TestEdgeWhileAnotherIsRead(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", every(time.Hour), waking("GPIO27", time.Second, "room", "photo"))
		room := w.sensor("room", every(time.Hour), converting(time.Second/2), on(1, "0x20"))
		photo := w.task("photo", every(time.Hour))
		photo.lasts = time.Second / 2
		w.run(door.cfg, room.cfg, photo.cfg)
		w.pass(time.Second / 4)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits for an edge")
		}
		w.pass(time.Minute)
		equal(t, "room", room.moments(), seconds(0, 0.5))
		equal(t, "photo", photo.moments(), seconds(0))
		if n := w.result("photo").Skipped[sensors.SkipOverlap]; n != 1 || len(w.lines("an edge asked", "sensor=photo", "line=door")) != 1 {
			t.Errorf("%d runs were left out, and the log says %q", n, w.lines())
		}
	})
}

func TestWatchOfALineThatGoes(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", waking("GPIO27", time.Second, "door"))
		w.run(door.cfg)
		if !w.edge("GPIO27", errors.New("it is gone")) {
			t.Fatal("nobody waits for an edge")
		}
		w.pass(30 * time.Second)
		equal(t, "door", door.moments(), seconds(0)) // no wake for nothing
		w.pass(time.Minute)
		if !w.edge("GPIO27", nil) {
			t.Fatal("after an error and a good read nobody waits")
		}
		door.lost = true
		w.pass(time.Minute)
		if w.edge("GPIO27", nil) {
			t.Error("a line that is lost is waited for")
		}
		door.lost = false
		w.pass(time.Minute)
		if !w.edge("GPIO27", nil) {
			t.Error("the line that is back isn't waited for")
		}
	})
}

func TestWatchThroughAReload(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", every(time.Hour), waking("GPIO27", time.Second, "room"))
		room := w.sensor("room", every(time.Hour))
		w.run(door.cfg, room.cfg)
		w.pass(time.Second)
		// The schedule changes: the line and its watch live on.
		changed := *door.cfg
		changed.Schedule.Every = 2 * time.Hour
		if err := w.poll.Reload(configOf(&changed, room.cfg)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.pass(2 * time.Second)
		if !w.edge("GPIO27", nil) {
			t.Fatal("nobody waits after a reload")
		}
		equal(t, "room", room.moments(), seconds(0, 3))
		if door.builds != 1 || w.inUse("GPIO27") != 1 {
			t.Errorf("built %d times, in use %d times", door.builds, w.inUse("GPIO27"))
		}
		// The sensor goes: so does the watch.
		if err := w.poll.Reload(configOf(room.cfg)); err != nil {
			t.Fatal(err)
		}
		if w.edge("GPIO27", nil) || w.inUse("GPIO27") != 0 {
			t.Error("a sensor that is gone is waited for")
		}
	})
}

// Without Run nobody would answer an edge.
func TestNoWatchForOneRead(t *testing.T) {
	in(t, func(w *world) {
		door := w.sensor("door", waking("GPIO27", time.Second))
		p := w.make(door.cfg)
		if _, err := p.ReadNow(context.Background()); err != nil {
			t.Fatal(err)
		}
		if w.edge("GPIO27", nil) {
			t.Error("an edge is waited for")
		}
		w.begin()
		if !w.edge("GPIO27", nil) {
			t.Error("no edge is waited for after Run has begun")
		}
	})
}
