package poll

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// again is the same sensor's configuration, read anew.
func (f *fake) again(change ...func(*config.Sensor)) *config.Sensor {
	c := *f.cfg
	c.Origin.Line++
	for _, ch := range change {
		ch(&c)
	}
	return &c
}

func (w *world) reload(all ...*config.Sensor) {
	w.Helper()
	done := make(chan error, 1)
	p := w.poll
	go func() { done <- p.Reload(configOf(all...)) }()
	w.pass(2 * time.Second)
	select {
	case err := <-done:
		if err != nil {
			w.Fatal(err)
		}
	default:
		w.Fatal("the reload doesn't end")
	}
}

func TestReloadKeepsWhatIsUnchanged(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", holding("GPIO22"))
		b := w.sensor("b", reporting(nil))
		n := 0.
		b.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			n++
			r.Set(sensors.Temperature, n)
			return nil
		}
		b.cfg.All.Filter.Average = 2
		c := w.sensor("c", at("30 3 * * *"))
		d := w.sensor("d", every(time.Hour))
		w.run(a.cfg, b.cfg, c.cfg, d.cfg)
		w.pass(90 * time.Second)
		next := w.result("d").NextRead
		e := w.sensor("e")
		w.reload(e.cfg, d.again(), c.again(), b.again(), a.again())
		if got := w.shot().Results[0].Name + w.shot().Results[4].Name; got != "ea" {
			t.Errorf("the order is %s", got)
		}
		w.want("e", 1)
		w.want("a", 2)
		w.want("b", 1.5)
		equal(t, "d", d.moments(), seconds(0))
		if w.result("d").NextRead != next || w.result("c").NextRead.IsZero() || w.shot().Stats.Wakes[sensors.WakeReload] != 1 {
			t.Errorf("%+v", w.shot())
		}
		w.pass(time.Minute)
		w.want("a", 3)
		w.want("b", 2.5)
		if a.builds != 1 || a.closed != 0 || b.builds != 1 || w.result("a").Reads != 3 {
			t.Errorf("built %d and %d times, closed %d times", a.builds, b.builds, a.closed)
		}
	})
}

func TestReloadOfTheSameDevice(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", holding("GPIO22"))
		w.run(a.cfg)
		w.pass(time.Minute)
		w.reload(a.again(func(c *config.Sensor) {
			c.Schedule.Every = 2 * time.Minute
			c.Labels = []sensors.Label{{Name: "room", Value: "attic"}}
			c.All.Calibrate.Scale = 10
		}))
		w.want("a", 30) // read at once, since it changed
		if r := w.result("a"); r.Reads != 3 || len(r.Labels) != 1 || r.NextRead != boot.Add(2*time.Minute) || a.builds != 1 || a.closed != 0 {
			t.Errorf("%+v, built %d times", r, a.builds)
		}
	})
}

func TestReloadOfAnotherDevice(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", holding("GPIO22"))
		gone := w.sensor("b", holding("GPIO23"))
		w.run(a.cfg, gone.cfg)
		w.pass(time.Minute)
		w.reload(a.again(func(c *config.Sensor) {
			c.Options = w.options(c.Driver, map[string]string{"pin": "GPIO24"})
		}))
		w.want("a", 3) // it counts on
		if w.inUse("GPIO22") != 0 || w.inUse("GPIO23") != 0 || w.inUse("GPIO24") != 1 || len(w.shot().Results) != 1 || w.result("a").Reads != 1 {
			t.Errorf("lines %v, %+v", w.fakeBoard.lines, w.result("a"))
		}
	})
}

func TestReloadThatIsRefused(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a")
		w.run(a.cfg)
		err := w.poll.Reload(configOf(a.again(), w.sensor("b", every(0)).cfg))
		if err == nil || !strings.Contains(err.Error(), "sensor b") {
			t.Errorf("error %v", err)
		}
		w.pass(time.Minute)
		if len(w.shot().Results) != 1 || w.shot().Stats.Wakes[sensors.WakeReload] != 0 {
			t.Errorf("%+v", w.shot())
		}
	})
}

// A read under way goes on if it is configured as before, and is broken off
// if not.
func TestReloadDuringReads(t *testing.T) {
	in(t, func(w *world) {
		long := func(f *fake) {
			f.cfg.Timeout = time.Hour
			f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
				r.Set(sensors.Temperature, 4)
				return e.Sleep(ctx, 3*time.Second)
			}
		}
		hung := make(chan struct{})
		stays, goes := w.sensor("stays", long), w.sensor("goes", long)
		hangs := w.sensor("hangs", func(f *fake) {
			f.sense = func(context.Context, sensors.Env, *sensors.Report) error { <-hung; return nil }
			f.cfg.Timeout = time.Hour
		})
		after := w.sensor("after", referring("goes"))
		w.run(stays.cfg, goes.cfg, hangs.cfg, after.cfg)
		w.reload(stays.again(), after.again(func(c *config.Sensor) { c.Schedule.Every = time.Hour }))
		if w.result("stays").Tried || len(w.shot().Results) != 2 {
			t.Errorf("%+v", w.shot().Results)
		}
		w.pass(2 * time.Second)
		w.want("stays", 4)
		w.want("after", 1)
		equal(t, "stays", stays.moments(), seconds(0))
		equal(t, "after", after.moments(), seconds(1.5))
		if n := len(w.lines()); n != 0 {
			t.Errorf("logged %q", w.lines())
		}
		close(hung)
	})
}

func TestReloadOfRails(t *testing.T) {
	in(t, func(w *world) {
		old, other := supply("vcc", "GPIO17"), supply("vcc", "GPIO18")
		a := w.sensor("a", holding("GPIO22"), powered(old, 0))
		b := w.sensor("b", powered(old, 0))
		w.run(a.cfg, b.cfg)
		w.pass(time.Second)
		w.reload(a.again(func(c *config.Sensor) { c.Rail = other }), b.again(func(c *config.Sensor) { c.Rail = other }))
		w.pass(time.Minute)
		w.want("a", 3)
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "1s GPIO17 false", "1s GPIO18 true"})
		w.reload(b.again(func(c *config.Sensor) { c.Rail = other }))
		w.pass(time.Second)
		if w.inUse("GPIO18") != 0 || w.inUse("GPIO22") != 0 {
			t.Errorf("in use: %v", w.driven)
		}
	})
}

// A rail that settles longer is another rail; who holds a line on it gets its
// power back at once.
// A sensor that can go on with other options keeps its line and its counts.
func TestReloadOfWhatIsCounted(t *testing.T) {
	for _, takes := range []string{"meaning", ""} {
		in(t, func(w *world) {
			a := w.sensor("a", holding("GPIO22"), func(f *fake) { f.takes = takes })
			a.cfg.Driver.Options = append(a.cfg.Driver.Options, sensors.Option{Name: "meaning", Type: sensors.TextOption, Help: "what is counted"})
			w.run(a.cfg)
			w.pass(2 * time.Minute)
			w.reload(a.again(func(c *config.Sensor) {
				c.Options = w.options(c.Driver, map[string]string{"pin": "GPIO22", "meaning": "rain"})
			}))
			builds, reads := 2, uint64(1)
			if takes != "" {
				builds, reads = 1, 4
			}
			if r := w.result("a"); a.builds != builds || r.Reads != reads {
				t.Errorf("with %q: built %d times, %d reads, want %d and %d", takes, a.builds, r.Reads, builds, reads)
			}
			w.want("a", 4)
		})
	}
}

// A rail goes on with its on-time when another is added or it gets another key.
func TestReloadKeepsOnTimes(t *testing.T) {
	in(t, func(w *world) {
		vcc := supply("vcc", "GPIO17")
		a := w.sensor("a", powered(vcc, time.Second))
		w.run(a.cfg)
		w.pass(2 * time.Second)
		onTime := func(name string) time.Duration {
			for _, wire := range w.shot().Wires {
				if wire.Kind == "rail" && wire.Name == name {
					return wire.OnTime
				}
			}
			t.Fatalf("no rail %s", name)
			return 0
		}
		if got := onTime("vcc"); got != time.Second {
			t.Fatalf("on for %v", got)
		}
		settles, moved := *vcc, *vcc
		settles.Settle, moved.Line = 20*time.Millisecond, supply("x", "GPIO18").Line
		b := w.sensor("b", powered(supply("more", "GPIO19"), 0))
		w.reload(a.again(func(c *config.Sensor) { c.Rail = &settles }), b.cfg)
		w.pass(2 * time.Second)
		if got, other := onTime("vcc"), onTime("more"); got != time.Second || other != 10*time.Millisecond {
			t.Errorf("after the reload: on for %v, the new one for %v", got, other)
		}
		w.reload(a.again(func(c *config.Sensor) { c.Rail = &moved }), b.cfg)
		w.pass(2 * time.Second)
		if got := onTime("vcc"); got != time.Second {
			t.Errorf("on another line: on for %v", got)
		}
	})
}

// A supply that a reload brings is switched off, as at the start, unless a read is
// about to raise it.
func TestReloadBringsARail(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", powered(supply("vcc", "GPIO17"), 0), every(time.Hour))
		w.run(a.cfg)
		w.pass(time.Second)
		w.driven = nil
		valve := w.sensor("valve", at("30 12 * * *"), powered(supply("valve", "GPIO18"), 0))
		b := w.sensor("b", powered(supply("aux", "GPIO19"), 0))
		w.reload(a.again(), valve.cfg, b.cfg)
		equal(t, "outputs", w.driven, []string{"1s GPIO18 false", "1s GPIO17 false", "1s GPIO19 true", "1.01s GPIO19 false"})
	})
}

// A reload removes one of two sensors on a rail, at each step of its read: the rail
// stays on for the other as long as that needs it.
func TestReloadOnASharedRail(t *testing.T) {
	reading := func(f *fake) {
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, 7)
			return e.Sleep(ctx, 500*time.Millisecond)
		}
	}
	failing := func(f *fake) {
		f.sense = func(context.Context, sensors.Env, *sensors.Report) error { return errors.New("fails") }
		f.cfg.Retries = 10
	}
	for _, c := range []struct {
		name string
		goes []func(*fake) // at 1.25 s, when the other warms up
	}{
		{"it warms up", []func(*fake){powered(supply("vcc", "GPIO17"), 1500*time.Millisecond)}},
		{"it warms up longer", []func(*fake){powered(supply("vcc", "GPIO17"), 4*time.Second)}},
		{"it is read", []func(*fake){powered(supply("vcc", "GPIO17"), time.Second), reading}},
		{"it is tried again", []func(*fake){powered(supply("vcc", "GPIO17"), time.Second), failing}},
		{"it has been read", []func(*fake){powered(supply("vcc", "GPIO17"), 0)}},
	} {
		in(t, func(w *world) {
			vcc := supply("vcc", "GPIO17")
			stays := w.sensor("stays", powered(vcc, 2*time.Second), reading)
			goes := w.sensor("goes", c.goes...)
			goes.cfg.Rail = vcc
			cfg := configOf(stays.cfg, goes.cfg)
			w.makeOf(cfg)
			w.begin()
			w.pass(1250 * time.Millisecond)
			n := len(goes.moments())
			w.reload(stays.again())
			w.want("stays", 7)
			equal(t, c.name, stays.moments(), seconds(2))
			equal(t, c.name, w.driven, []string{"0s GPIO17 true", "2.5s GPIO17 false"})
			if len(goes.moments()) != n || len(w.shot().Results) != 1 {
				t.Errorf("%s: it was read after the reload: %v", c.name, goes.moments())
			}
		})
	}
}

func TestReloadOfARailThatIsHeld(t *testing.T) {
	in(t, func(w *world) {
		old := supply("vcc", "GPIO17")
		slow := *old
		slow.Settle = time.Second
		a := w.sensor("a", holding("GPIO22"), powered(old, 0))
		w.run(a.cfg)
		w.pass(time.Second)
		w.reload(a.again(func(c *config.Sensor) { c.Rail = &slow }))
		w.pass(time.Minute)
		equal(t, "a", a.moments(), seconds(0.01, 2, 60))
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "1s GPIO17 false", "1s GPIO17 true"})
		if a.builds != 1 {
			t.Errorf("built %d times", a.builds)
		}
	})
}

func TestRequestsForASensorThatGoes(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", func(f *fake) {
			f.cfg.Timeout = time.Hour
			f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error { return e.Sleep(ctx, time.Hour) }
		})
		w.run(a.cfg)
		answered := make(chan error, 1)
		go func() {
			_, err := w.poll.ReadNow(context.Background(), "a")
			answered <- err
		}()
		synctest.Wait()
		w.reload(w.sensor("b").cfg)
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

// What was asked for during a read is read after the reload, by the sensor that
// is there then.
func TestRequestsDuringAReload(t *testing.T) {
	in(t, func(w *world) {
		asked := w.sensor("asked", converting(time.Second/2), on(1, "0x20"))
		task := w.sensor("task", converting(time.Second/2), on(1, "0x21"))
		w.run(asked.cfg, task.cfg)
		answers := make(chan error, 1)
		go func() {
			s, err := w.poll.ReadNow(context.Background())
			if err == nil && (find(t, s, "asked").LastRead != boot.Add(time.Second) || len(s.Results) != 1) {
				err = fmt.Errorf("%+v", s)
			}
			answers <- err
		}()
		w.pass(time.Second / 4)
		w.reload(asked.again())
		w.pass(time.Second)
		if err := <-answers; err != nil {
			t.Error(err)
		}
		equal(t, "asked", asked.moments(), seconds(0, 0.5))
	})
}

func TestTwoReloadsAtOnce(t *testing.T) {
	in(t, func(w *world) {
		hung := make(chan struct{})
		a := w.sensor("a", func(f *fake) {
			f.sense = func(context.Context, sensors.Env, *sensors.Report) error { <-hung; return nil }
		})
		b := w.sensor("b")
		w.run(a.cfg)
		errs := make(chan error, 2)
		for _, c := range []*config.Config{configOf(b.cfg), configOf(b.again(), w.sensor("c").cfg)} {
			go func() { errs <- w.poll.Reload(c) }()
			synctest.Wait()
		}
		close(hung)
		w.pass(0)
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Error(err)
		}
		w.want("c", 1)
		equal(t, "b", b.moments(), seconds(0))
		w.end()
		if err := w.poll.Reload(configOf()); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// The end overtakes a reload that waits for a read to be broken off.
func TestEndDuringAReload(t *testing.T) {
	in(t, func(w *world) {
		hung := make(chan struct{})
		a := w.sensor("a", func(f *fake) {
			f.sense = func(context.Context, sensors.Env, *sensors.Report) error { <-hung; return nil }
		})
		w.run(a.cfg)
		failed := make(chan error, 1)
		go func() { failed <- w.poll.Reload(configOf()) }()
		synctest.Wait()
		w.end()
		if err := <-failed; !errors.Is(err, ErrStopped) {
			t.Errorf("error %v", err)
		}
		close(hung)
	})
}

// A sensor that hangs is taken out of the configuration: what it held is let
// go when it returns.
func TestReloadWithoutAHungSensor(t *testing.T) {
	in(t, func(w *world) {
		hung := make(chan struct{})
		answer := w.tx
		w.tx = func(bus sensors.Bus, addr uint16, wr, r []byte) error { <-hung; return answer(bus, addr, wr, r) }
		a := w.sensor("a", on(1, "0x20"), converting(0))
		b := w.sensor("b", holding("GPIO22"), func(f *fake) {
			f.sense = func(context.Context, sensors.Env, *sensors.Report) error { <-hung; return nil }
		})
		w.run(a.cfg, b.cfg)
		w.pass(10 * time.Second)
		w.wantDown("a", sensors.Timeout)
		w.wantDown("b", sensors.Timeout)
		w.reload(w.sensor("c").cfg)
		if w.open(1) != 1 || w.inUse("GPIO22") != 1 {
			t.Errorf("%d handles of the bus are open, %d of the line", w.open(1), w.inUse("GPIO22"))
		}
		close(hung)
		w.pass(0)
		if w.open(1) != 0 || w.inUse("GPIO22") != 0 {
			t.Errorf("%d handles of the bus are open, %d of the line", w.open(1), w.inUse("GPIO22"))
		}
	})
}

func TestReloadWithoutRun(t *testing.T) {
	in(t, func(w *world) {
		w.make(w.sensor("a").cfg)
		w.reload(w.sensor("b").cfg)
		w.begin()
		w.want("b", 1)
	})
}

// A program that takes long to end, as its kill-after permits, holds up the reload
// that removes it, and nobody else: neither the schedule of the other sensors, which
// are read as before, nor requests for them, nor edges.
func TestNobodyWaitsForAReload(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", every(time.Hour))
		task.lasts, task.ends = time.Hour, 5*time.Second
		stays, slower, goes := w.sensor("stays", every(time.Second)), w.sensor("slower", every(time.Second)), w.sensor("goes", every(time.Second))
		door := w.sensor("door", every(time.Hour), waking("GPIO5", time.Millisecond, "stays"))
		w.run(task.cfg, stays.cfg, slower.cfg, goes.cfg, door.cfg)
		w.pass(1500 * time.Millisecond)
		reloaded := make(chan error, 1)
		slow := slower.again(func(c *config.Sensor) { c.Schedule.Every = time.Hour })
		go func() { reloaded <- w.poll.Reload(configOf(stays.again(), slow, door.again(), w.sensor("new").cfg)) }()
		w.pass(time.Second) // 2.5 s
		if _, err := w.poll.ReadNow(context.Background(), "stays", "door"); err != nil {
			t.Error(err)
		}
		asked := make(chan error, 1)
		go func() {
			_, err := w.poll.ReadNow(context.Background(), "new")
			asked <- err
		}()
		w.pass(time.Second) // 3.5 s
		if !w.edge("GPIO5", nil) {
			t.Error("nobody waits for the edge")
		}
		w.pass(2800 * time.Millisecond) // 6.3 s
		select {
		case err := <-reloaded:
			t.Errorf("the reload didn't wait for the program: %v", err)
		case err := <-asked:
			t.Errorf("what the reload brings was answered before it: %v", err)
		default:
		}
		equal(t, "stays", stays.moments(), seconds(0, 1, 2, 2.5, 3, 3.5, 4, 5, 6))
		equal(t, "slower", slower.moments(), seconds(0, 1, 2, 3, 4, 5, 6))
		equal(t, "door", door.moments(), seconds(0, 2.5, 3.5))
		w.pass(time.Second) // 7.3 s: it has ended at 6.5 s
		if err := errors.Join(<-reloaded, <-asked); err != nil {
			t.Error(err)
		}
		equal(t, "stays", stays.moments(), seconds(0, 1, 2, 2.5, 3, 3.5, 4, 5, 6, 7))
		equal(t, "slower", slower.moments(), seconds(0, 1, 2, 3, 4, 5, 6, 6.5))
		equal(t, "goes", goes.moments(), seconds(0, 1, 2, 3, 4, 5, 6))
	})
}

// An edge that is to wake what a reload changes comes after it, and isn't lost.
func TestEdgeDuringAReload(t *testing.T) {
	in(t, func(w *world) {
		task := w.task("task", at("0 3 * * *"))
		door := w.sensor("door", every(time.Hour), waking("GPIO5", time.Millisecond, "task"))
		w.run(task.cfg, door.cfg)
		w.pass(time.Second)
		task.lasts, task.ends = time.Hour, 4*time.Second
		if !w.edge("GPIO5", nil) {
			t.Fatal("nobody waits for the edge")
		}
		w.pass(time.Second)
		d := *task.cfg.Driver
		d.Options = []sensors.Option{{Name: "argv", Type: sensors.TextOption, Help: "the program"}}
		other := task.again(func(c *config.Sensor) {
			c.Driver, c.Options = &d, w.options(&d, map[string]string{"argv": "/bin/true"})
		})
		reloaded := make(chan error, 1)
		go func() { reloaded <- w.poll.Reload(configOf(other, door.again())) }()
		w.pass(time.Second)
		if !w.edge("GPIO5", nil) {
			t.Fatal("nobody waits for the edge")
		}
		w.pass(10 * time.Second)
		if err := <-reloaded; err != nil {
			t.Error(err)
		}
		equal(t, "task", task.moments(), seconds(1, 6))
		equal(t, "door", door.moments(), seconds(0, 1, 6))
	})
}

// Two reloads and a request during one wait are answered, also by the end.
func TestEndWhileAReloadWaits(t *testing.T) {
	for _, cut := range []bool{false, true} {
		in(t, func(w *world) {
			task := w.task("task")
			task.lasts, task.ends = time.Hour, 5*time.Second
			w.run(task.cfg)
			w.pass(time.Second)
			answers := make(chan error, 3)
			b := w.sensor("b")
			go func() { answers <- w.poll.Reload(configOf(b.cfg)) }()
			synctest.Wait()
			go func() { answers <- w.poll.Reload(configOf(b.again(), w.sensor("c").cfg)) }()
			synctest.Wait()
			go func() {
				_, err := w.poll.ReadNow(context.Background(), "b")
				answers <- err
			}()
			w.pass(time.Second)
			want := ErrStopped
			if cut {
				w.end()
			} else {
				want = nil
				w.pass(5 * time.Second)
				w.want("c", 1)
			}
			for range cap(answers) {
				select {
				case err := <-answers:
					if !errors.Is(err, want) {
						t.Errorf("answered %v, want %v", err, want)
					}
				default:
					t.Fatal("it isn't answered")
				}
			}
		})
	}
}
