package poll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

func seconds(n ...float64) []time.Duration {
	d := make([]time.Duration, len(n))
	for i := range n {
		d[i] = time.Duration(n[i] * float64(time.Second))
	}
	return d
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestReadsAtStartAndOnTheGrid(t *testing.T) {
	in(t, func(w *world) {
		w.clock.Advance(20 * time.Second) // the start lies between two points
		f := w.sensor("a")
		w.run(f.cfg)
		w.want("a", 1)
		w.pass(3 * time.Minute)
		equal(t, "reads", f.moments(), seconds(20, 60, 120, 180))
		s := w.shot()
		if r := w.result("a"); r.Reads != 4 || r.LastSuccess != s.At || r.NextRead != boot.Add(4*time.Minute) || s.NextWake != r.NextRead || !r.Expires.After(r.NextRead) || s.Expires != r.Expires {
			t.Errorf("%+v\n%+v", s, r)
		}
		if s.Stats.Wakes[sensors.WakeStart] != 1 || s.Stats.Wakes[sensors.WakeTimer] != 3 {
			t.Errorf("wakes %v", s.Stats.Wakes)
		}
		if f.builds != 1 {
			t.Errorf("built %d times", f.builds)
		}
	})
}

func TestNearlyDueIsReadToo(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", every(100*time.Second))
		b := w.sensor("b", every(100*time.Second), func(f *fake) { f.cfg.Schedule.Phase = 9 * time.Second })
		c := w.sensor("c", every(100*time.Second), func(f *fake) { f.cfg.Schedule.Phase = 11 * time.Second })
		w.run(a.cfg, b.cfg, c.cfg)
		w.pass(250 * time.Second)
		// 3600 s is on a's grid; b's points lie 9 s later, within its slack of
		// 10 s; c's lie 11 s later and 2 s after b's.
		equal(t, "a", a.moments(), seconds(0, 100, 200))
		equal(t, "b", b.moments(), seconds(0, 100, 200))
		equal(t, "c", c.moments(), seconds(0, 11, 111, 211))
		if n := w.result("b").NextRead.Sub(boot); n != 309*time.Second {
			t.Errorf("b is due next after %v", n)
		}
	})
}

func TestConversionsOverlap(t *testing.T) {
	in(t, func(w *world) {
		var all []*config.Sensor
		for i := range 10 {
			all = append(all, w.sensor(fmt.Sprint(i), on(1, fmt.Sprintf("0x%02x", 0x20+i)), converting(750*time.Millisecond)).cfg)
		}
		w.run(all...)
		if w.open(1) != 1 || w.published() != 0 {
			t.Errorf("%d handles open, %d snapshots during the wake", w.open(1), w.published())
		}
		w.pass(750 * time.Millisecond)
		if w.published() != 1 || w.shot().At != boot.Add(750*time.Millisecond) || w.shot().Stats.Awake != 750*time.Millisecond {
			t.Errorf("%d snapshots", w.published())
		}
		for i := range 10 {
			w.want(fmt.Sprint(i), float64(0x20+i))
			if took := w.result(fmt.Sprint(i)).Took; took != 750*time.Millisecond {
				t.Errorf("%d took %v", i, took)
			}
		}
		if w.open(1) != 0 || w.opened[1] != 1 {
			t.Errorf("bus opened %d times, %d open after the wake", w.opened[1], w.open(1))
		}
	})
}

func TestSensorsOnOneChipTakeTurns(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", on(1, "0x20"), converting(time.Second/2))
		b := w.sensor("b", on(1, "0x20"), converting(time.Second/2))
		b.cfg.Driver = a.cfg.Driver
		c := w.sensor("c", on(2, "0x20"), converting(time.Second/2))
		a.cfg.Driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			return &fakeSensor{map[string]*fake{"a": a, "b": b}[e.Name()], e}, nil
		}
		w.run(a.cfg, b.cfg, c.cfg)
		w.pass(2 * time.Second)
		equal(t, "a", a.moments(), seconds(0))
		equal(t, "b", b.moments(), seconds(0.5))
		equal(t, "c", c.moments(), seconds(0))
		w.want("b", 0x20)
	})
}

func TestPulledOutAndBack(t *testing.T) {
	in(t, func(w *world) {
		gone := false
		answer := w.tx
		w.tx = func(bus sensors.Bus, addr uint16, wr, r []byte) error {
			if gone && addr == 0x20 {
				return fmt.Errorf("no answer at 0x20 on I2C bus 1: check the wiring: %w", syscall.EREMOTEIO)
			}
			return answer(bus, addr, wr, r)
		}
		a := w.sensor("a", on(1, "0x20"), converting(0), retries(2))
		b := w.sensor("b", on(1, "0x21"), converting(0))
		w.run(a.cfg, b.cfg)
		w.want("a", 0x20)
		last := w.result("a").LastSuccess
		gone = true
		w.pass(5*time.Minute + time.Second)
		w.wantDown("a", sensors.NoAnswer, "check the wiring")
		w.want("b", 0x21)
		r := w.result("a")
		if r.Reads != 6 || r.Errors[sensors.NoAnswer] != 5 || r.Errors[sensors.IO] != 0 || r.LastSuccess != last || !errors.Is(r.Err, syscall.EREMOTEIO) {
			t.Errorf("%+v", r)
		}
		if a.builds != 15+2 {
			t.Errorf("built %d times: once at first, then before each attempt after a failed one, two of them further tries", a.builds)
		}
		if down := w.lines("sensor is down", "sensor=a", "check the wiring", "I2C bus 1, address 0x20", "reason=no_answer", "test.yml:1"); len(down) != 1 {
			t.Errorf("logged %q", down)
		}
		if early := w.shots[0].Results[0].Errors[sensors.NoAnswer]; early != 0 {
			t.Errorf("a published snapshot changed: %d errors", early)
		}
		gone = false
		w.pass(time.Minute)
		w.want("a", 0x20)
		if back := w.lines("sensor is back", "sensor=a"); len(back) != 1 || len(w.lines()) != 2 {
			t.Errorf("logged %q", w.lines())
		}
	})
}

func TestRetriesWithinOneRead(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", retries(2))
		n := 0
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			if n++; n < 3 {
				r.Set(sensors.Temperature, 99)
				return sensors.Errorf(sensors.Checksum, "checksum")
			}
			r.Set(sensors.Temperature, 3)
			return nil
		}
		w.run(f.cfg)
		w.pass(time.Second)
		w.want("a", 3)
		equal(t, "attempts", f.moments(), seconds(0, 0.1, 0.2))
		if r := w.result("a"); r.Reads != 1 || r.Errors[sensors.Checksum] != 0 || f.builds != 3 || len(w.lines()) != 0 {
			t.Errorf("%+v built %d times, logged %q", r, f.builds, w.lines())
		}
	})
}

func TestADeadlineThatIsKept(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", retries(1))
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error { return e.Sleep(ctx, time.Hour) }
		w.run(f.cfg)
		w.pass(5 * time.Second)
		w.wantDown("a", sensors.Timeout, "not read within 1s")
		equal(t, "attempts", f.moments(), seconds(0, 1.1))
		if w.shot().At != boot.Add(2100*time.Millisecond) {
			t.Errorf("the wake ended at %v", w.shot().At.Sub(boot))
		}
	})
}

func TestPollAndOnce(t *testing.T) {
	in(t, func(w *world) {
		once := 0
		sense := func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			if err := e.Once("bulk", func(ctx context.Context) error { once++; return e.Sleep(ctx, time.Second/4) }); err != nil {
				return err
			}
			ready := e.Now().Add(50 * time.Millisecond)
			r.Set(sensors.Temperature, 1)
			return e.Poll(ctx, 100*time.Millisecond, 20*time.Millisecond, func() (bool, error) { return !e.Now().Before(ready), nil })
		}
		a, b := w.sensor("a"), w.sensor("b")
		a.sense, b.sense = sense, sense
		c := w.sensor("c")
		c.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			return e.Poll(ctx, 100*time.Millisecond, 30*time.Millisecond, func() (bool, error) { return false, nil })
		}
		// A busy machine: the look that asks lasts beyond the end, and the next
		// would have the answer.
		d, looks := w.sensor("d"), 0
		d.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, 1)
			return e.Poll(ctx, 100*time.Millisecond, 30*time.Millisecond, func() (bool, error) {
				looks++
				return looks%2 == 0, e.Sleep(ctx, 200*time.Millisecond)
			})
		}
		w.run(a.cfg, b.cfg, c.cfg, d.cfg)
		w.pass(time.Second)
		w.want("a", 1)
		w.want("b", 1)
		w.want("d", 1)
		w.wantDown("c", sensors.NotReady, "100ms")
		if took := [3]time.Duration{w.result("a").Took, w.result("b").Took, w.result("c").Took}; took != [3]time.Duration{310 * time.Millisecond, 310 * time.Millisecond, 100 * time.Millisecond} {
			t.Errorf("took %v", took)
		}
		w.pass(time.Minute)
		if once != 2 {
			t.Errorf("done %d times in two wakes", once)
		}
	})
}

// A transaction that hangs takes down its own bus and nothing else.
func TestHungBus(t *testing.T) {
	in(t, func(w *world) {
		hung := make(chan struct{})
		hang := false
		answer := w.tx
		w.tx = func(bus sensors.Bus, addr uint16, wr, r []byte) error {
			if hang && bus == 1 {
				<-hung
			}
			return answer(bus, addr, wr, r)
		}
		a := w.sensor("a", on(1, "0x20"), converting(0), retries(3))
		b := w.sensor("b", on(1, "0x21"), converting(0), func(f *fake) {
			sense := f.sense
			f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
				return errors.Join(e.Sleep(ctx, time.Second/10), sense(ctx, e, r)) // after a
			}
		})
		c := w.sensor("c", on(2, "0x22"), converting(0))
		w.run(a.cfg, b.cfg, c.cfg)
		w.pass(time.Second)
		hang = true
		w.pass(62 * time.Second)
		w.wantDown("a", sensors.Timeout, "can't be cancelled")
		w.wantDown("b", sensors.Timeout)
		w.want("c", 0x22)
		if at := w.shot().At.Sub(boot); at != 62500*time.Millisecond {
			t.Errorf("the wake ended after %v", at)
		}
		w.pass(time.Minute)
		w.wantDown("a", sensors.Timeout, "began 1m ago", "restart")
		w.want("c", 0x22)
		if n := len(a.moments()); n != 2 {
			t.Errorf("read %d times: it is not begun again while it hangs", n)
		}
		if r := w.result("a"); r.Reads != 3 || r.Errors[sensors.Timeout] != 2 {
			t.Errorf("%+v", r)
		}
		hang = false
		close(hung)
		w.pass(time.Minute)
		w.want("a", 0x20)
		w.want("b", 0x21)
		if w.open(1) != 0 || w.open(2) != 0 {
			t.Errorf("%d and %d handles are open", w.open(1), w.open(2))
		}
		if n := len(w.lines("sensor is down")); n != 2 || len(w.lines()) != 4 {
			t.Errorf("logged %q", w.lines())
		}
	})
}

func TestEndDuringAHungRead(t *testing.T) {
	in(t, func(w *world) {
		hung := make(chan struct{})
		vcc := supply("vcc", "GPIO17")
		a := w.sensor("a", powered(vcc, 0))
		a.cfg.Timeout = time.Hour
		a.sense = func(context.Context, sensors.Env, *sensors.Report) error { <-hung; return errors.New("late") }
		b := w.sensor("b", holding("GPIO22"))
		w.run(a.cfg, b.cfg)
		w.pass(20 * time.Millisecond)
		if took := w.end(); took != grace {
			t.Errorf("it took %v to end", took)
		}
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "1.52s GPIO17 false"})
		if b.closed != 1 || w.inUse("GPIO22") != 0 {
			t.Errorf("the held line was closed %d times", b.closed)
		}
		if w.published() != 0 {
			t.Errorf("what was broken off is published: %+v", w.shot())
		}
		close(hung)
	})
}

func TestPanic(t *testing.T) {
	in(t, func(w *world) {
		vcc := supply("vcc", "GPIO17")
		a := w.sensor("a", powered(vcc, 0), func(f *fake) {
			f.sense = func(_ context.Context, e sensors.Env, _ *sensors.Report) error {
				return errors.New("byte " + string(e.Name()[len(e.Name())]))
			}
		})
		b := w.sensor("b", func(f *fake) {
			f.build = func(context.Context, sensors.Env) error { panic("at building") }
		})
		c := w.sensor("c")
		w.run(a.cfg, b.cfg, c.cfg)
		w.pass(3*time.Minute + time.Second)
		w.wantDown("a", sensors.IO, "index out of range")
		w.wantDown("b", sensors.IO, "at building", "report it")
		w.want("c", 1)
		if n := len(w.lines("panicked", "stack", "wake_test.go")); n != 2 {
			t.Errorf("stacks logged %d times: %q", n, w.lines())
		}
		if l := w.driven[len(w.driven)-1]; !strings.HasSuffix(l, "false") || len(w.driven) != 2*(4+2) {
			t.Errorf("outputs %q", w.driven)
		}
	})
}

func supply(name, line string) *config.Rail {
	ref, err := sensors.ParseLine(line)
	if err != nil {
		panic(err)
	}
	return &config.Rail{Rail: sensors.Rail{Name: name, Line: ref, Settle: 10 * time.Millisecond}}
}

func TestRails(t *testing.T) {
	in(t, func(w *world) {
		vcc := supply("vcc", "GPIO17")
		a := w.sensor("a", on(1, "0x20"), converting(time.Second/4), powered(vcc, 50*time.Millisecond))
		b := w.sensor("b", powered(vcc, 200*time.Millisecond), referring("a")) // after a
		c := w.sensor("c", powered(supply("aux", "GPIO18"), 0))
		c.sense = func(context.Context, sensors.Env, *sensors.Report) error { return errors.New("fails") }
		w.run(a.cfg, b.cfg, c.cfg)
		w.pass(time.Second)
		equal(t, "a", a.moments(), seconds(0.05))
		equal(t, "b", b.moments(), seconds(0.3))
		slices.Sort(w.driven[:2]) // two goroutines at one moment
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "0s GPIO18 true", "10ms GPIO18 false", "300ms GPIO17 false"})
		w.want("b", 1)
		w.pass(time.Minute)
		w.want("a", 0x20)
		if a.builds != 2 {
			t.Errorf("built %d times: again after each power-up", a.builds)
		}
		if wires := w.shot().Wires; len(wires) != 2 || wires[0].Active || wires[0].OnTime != 600*time.Millisecond {
			t.Errorf("wires %+v", wires)
		}
	})
}

func TestRailThatCannotBeRaised(t *testing.T) {
	in(t, func(w *world) {
		w.fakeBoard.lines["GPIO17"] = 1 // somebody else's
		f := w.sensor("a", powered(supply("vcc", "GPIO17"), 0))
		w.run(f.cfg)
		w.pass(time.Second)
		w.wantDown("a", sensors.Busy, "vcc", "in use")
		w.fakeBoard.lines["GPIO17"] = 0
		w.pass(time.Minute)
		w.want("a", 1)
	})
}

// A sensor that holds a line keeps its rail up: what is off counts nothing.
func TestHolderOnARail(t *testing.T) {
	in(t, func(w *world) {
		vcc := supply("vcc", "GPIO17")
		a := w.sensor("a", holding("GPIO22"), powered(vcc, 0))
		b := w.sensor("b", powered(vcc, 0))
		w.run(a.cfg, b.cfg)
		w.pass(3 * time.Minute)
		w.want("a", 4)
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true"})
		w.end()
		equal(t, "outputs", w.driven, []string{"0s GPIO17 true", "3m0s GPIO17 false"})
	})
}

func TestHolderKeepsItsLineAndItsCount(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", holding("GPIO22"))
		n := 0
		f.sense = func(context.Context, sensors.Env, *sensors.Report) error {
			if n++; n == 2 {
				return errors.New("fails")
			}
			return nil
		}
		w.run(f.cfg)
		w.pass(time.Minute + 10*time.Second) // with a further try
		w.want("a", 2)
		if f.builds != 1 || f.closed != 0 {
			t.Errorf("built %d times, closed %d times", f.builds, f.closed)
		}
		if wires := w.shot().Wires; len(wires) != 1 || wires[0] != (sensors.Wire{Kind: "line", Name: "a", Where: "GPIO22 (pin 15)", Active: true}) {
			t.Errorf("wires %+v", wires)
		}
		w.end()
		if f.closed != 1 {
			t.Errorf("closed %d times", f.closed)
		}
		w.run(f.cfg) // as a new process would
		w.want("a", 3)
	})
}

func TestALineLeftOpenIsClosed(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", holding("GPIO22"))
		f.cfg.Driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
			f.builds++
			_, err := e.Line("pin", sensors.LineConfig{})
			return &fakeSensor{f, e}, err
		}
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error { r.Set(sensors.Active, 1); return nil }
		w.run(f.cfg)
		w.pass(time.Minute)
		w.want("a", 1)
		if f.builds != 2 || w.inUse("GPIO22") != 0 {
			t.Errorf("built %d times, %d lines open", f.builds, w.inUse("GPIO22"))
		}
	})
}

func TestReferences(t *testing.T) {
	in(t, func(w *world) {
		follow := func(f *fake) {
			f.sense = func(_ context.Context, e sensors.Env, r *sensors.Report) error {
				v, at, ok := e.Value(e.Options().Text("other"), "temperature")
				if !ok {
					return sensors.Errorf(sensors.NotReady, "the other has no reading")
				}
				if _, _, ok := e.Value("nobody", "temperature"); ok {
					return errors.New("nobody has a reading")
				}
				r.Set(sensors.Temperature, v+1)
				r.Set(sensors.Distance, e.Now().Sub(at).Seconds())
				return nil
			}
		}
		a := w.sensor("a", referring("b"), follow)
		b := w.sensor("b", referring("c"), follow)
		c := w.sensor("c", on(1, "0x20"), converting(time.Second/2))
		circle := w.sensor("x", referring("y"))
		other := w.sensor("y", referring("x"))
		self := w.sensor("z", referring("z"))
		w.run(a.cfg, b.cfg, c.cfg, circle.cfg, other.cfg, self.cfg)
		w.pass(time.Second)
		w.want("a", 0x22, 0)
		w.want("b", 0x21, 0)
		w.want("x", 1)
		w.want("y", 1)
		w.want("z", 1)
		c.sense = func(context.Context, sensors.Env, *sensors.Report) error { return errors.New("fails") }
		w.pass(time.Minute)
		w.wantDown("a", sensors.NotReady)
	})
}

func TestKeepFailed(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", func(f *fake) { f.cfg.KeepFailed = 2 })
		fails := false
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			if fails {
				return sensors.Errorf(sensors.Checksum, "checksum")
			}
			r.Set(sensors.Temperature, 7)
			return nil
		}
		w.run(f.cfg)
		fails = true
		for n := 1; n <= 2; n++ {
			w.pass(time.Minute)
			if r := w.result("a"); r.Up || len(r.Readings) != 1 || r.Readings[0].Value != 7 || r.Errors[sensors.Checksum] != uint64(n) || !r.Expires.After(r.NextRead) || len(w.lines()) != 0 {
				t.Errorf("after %d failures: %+v, logged %q", n, r, w.lines())
			}
		}
		w.pass(time.Minute)
		w.wantDown("a", sensors.Checksum)
		if len(w.lines("sensor is down")) != 1 {
			t.Errorf("logged %q", w.lines())
		}
	})
}

func TestALongReadHoldsNobodyUp(t *testing.T) {
	in(t, func(w *world) {
		long := w.sensor("long", every(time.Hour))
		long.cfg.Timeout = 20 * time.Minute
		long.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, 5)
			return e.Sleep(ctx, 10*time.Minute)
		}
		f := w.sensor("a")
		w.run(long.cfg, f.cfg)
		w.pass(6 * time.Second)
		w.want("a", 1)
		if r := w.result("long"); r.Tried || w.shot().At != boot.Add(publishAfter) {
			t.Errorf("%+v at %v", r, w.shot().At.Sub(boot))
		}
		w.pass(10 * time.Minute)
		w.want("long", 5)
		if n := len(f.moments()); n != 11 {
			t.Errorf("a was read %d times in ten minutes", n)
		}
		if n := w.published(); n != 12 {
			t.Errorf("%d snapshots", n)
		}
	})
}

// The process was stopped, or the machine was: what was missed is read once.
func TestNoBurst(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", every(time.Second))
		w.run(f.cfg)
		w.clock.Advance(time.Hour + 300*time.Millisecond)
		w.pass(0)
		from := w.clock.Now()
		w.pass(3 * time.Second)
		equal(t, "reads after an hour", f.after(from), seconds(0.7, 1.7, 2.7))
	})
}

func TestASlowReadSkipsItsPoints(t *testing.T) {
	in(t, func(w *world) {
		f := w.sensor("a", every(time.Second))
		f.cfg.Timeout = time.Minute
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, 1)
			return e.Sleep(ctx, 2300*time.Millisecond)
		}
		w.run(f.cfg)
		w.pass(9 * time.Second)
		equal(t, "reads", f.moments(), seconds(0, 3, 6, 9))
	})
}

func TestReadNow(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", on(1, "0x20"), converting(time.Second/2))
		b := w.sensor("b", every(time.Hour))
		w.run(a.cfg, b.cfg)
		w.pass(10 * time.Second)
		type answer struct {
			s   *sensors.Snapshot
			err error
		}
		answers := make(chan answer, 3)
		ask := func(names ...string) {
			s, err := w.poll.ReadNow(context.Background(), names...)
			answers <- answer{s, err}
		}
		go ask("a")
		synctest.Wait()
		// It is being read already, with values from before: two that ask then share
		// the read that follows.
		go ask("a")
		go ask("a")
		w.pass(1100 * time.Millisecond)
		for _, at := range []time.Duration{10500, 11000, 11000} {
			got := <-answers
			if got.err != nil || find(t, got.s, "a").LastRead != boot.Add(at*time.Millisecond) {
				t.Errorf("%+v", got)
			}
		}
		equal(t, "a", a.moments(), seconds(0, 10, 10.5))
		equal(t, "b", b.moments(), seconds(0))
		go ask()
		w.pass(time.Second)
		if got := <-answers; got.err != nil || find(t, got.s, "b").LastRead != boot.Add(11100*time.Millisecond) || got.s.Stats.Wakes[sensors.WakeRequest] != 4 {
			t.Errorf("%+v", got)
		}
		go ask("nobody")
		synctest.Wait()
		if got := <-answers; got.err == nil || !strings.Contains(got.err.Error(), `"nobody"`) {
			t.Errorf("%+v", got)
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			s, err := w.poll.ReadNow(ctx, "a")
			answers <- answer{s, err}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := <-answers; !errors.Is(got.err, context.Canceled) {
			t.Errorf("%+v", got)
		}
		go ask("a")
		synctest.Wait()
		w.end()
		if got := <-answers; !errors.Is(got.err, ErrStopped) {
			t.Errorf("%+v", got)
		}
		if _, err := w.poll.ReadNow(context.Background()); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A request wakes the daemon anyway, so those nearly due are read with it.
func TestReadNowReadsTheNearlyDue(t *testing.T) {
	in(t, func(w *world) {
		a, b := w.sensor("a", every(time.Hour)), w.sensor("b")
		w.run(a.cfg, b.cfg)
		w.pass(55 * time.Second)
		go w.poll.ReadNow(context.Background(), "a")
		w.pass(30 * time.Second)
		equal(t, "a", a.moments(), seconds(0, 55))
		equal(t, "b", b.moments(), seconds(0, 55))
	})
}

func TestOneShot(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", holding("GPIO22"))
		b := w.sensor("b", powered(supply("vcc", "GPIO17"), 0))
		p := w.make(a.cfg, b.cfg, w.sensor("c", at("30 3 * * *")).cfg)
		done := make(chan error, 1)
		go func() {
			s, err := p.ReadNow(context.Background())
			if err == nil && (!find(t, s, "a").Up || !find(t, s, "b").Up || !find(t, s, "c").Up) {
				err = fmt.Errorf("%+v", s)
			}
			if err == nil && (!s.NextWake.IsZero() || !find(t, s, "a").NextRead.IsZero() || !find(t, s, "c").NextRead.IsZero()) {
				err = fmt.Errorf("nothing is planned, and the snapshot says %+v", s)
			}
			done <- err
		}()
		w.pass(time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if a.closed != 1 || w.inUse("GPIO22") != 0 || w.inUse("GPIO17") != 0 {
			t.Error("something is held after Close")
		}
		if next, ok := w.clock.Next(); ok {
			t.Errorf("somebody still waits for %v", next)
		}
	})
}

// Asleep, there is one timer, at the next wake.
func TestAsleep(t *testing.T) {
	in(t, func(w *world) {
		w.run(w.sensor("a", every(366*24*time.Hour)).cfg, w.sensor("b", on(1, "0x20"), converting(time.Second/2), retries(3), every(366*24*time.Hour)).cfg)
		w.pass(2 * time.Second)
		n := w.published()
		next, ok := w.clock.Next()
		if !ok || next != alarm.Instant(366*24*time.Hour) || next != w.shot().NextWake {
			t.Errorf("the alarm is set to %v", next)
		}
		w.pass(360 * 24 * time.Hour)
		if w.published() != n {
			t.Error("it woke up")
		}
	})
}

func TestNothingToDo(t *testing.T) {
	in(t, func(w *world) {
		w.run()
		if s := w.shot(); len(s.Results) != 0 || !s.NextWake.IsZero() || !s.Expires.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

func TestClockThatFails(t *testing.T) {
	in(t, func(w *world) {
		w.run(w.sensor("a").cfg)
		w.clock.Close()
		synctest.Wait()
		if err := <-w.ended; !errors.Is(err, alarm.ErrClosed) {
			t.Errorf("Run: %v", err)
		}
		w.stop()
		w.stop = nil
	})
}

func TestNewRefuses(t *testing.T) {
	in(t, func(w *world) {
		_, err := New(Options{Config: configOf(w.sensor("a", every(0)).cfg, w.sensor("b").cfg), Board: w.fakeBoard, Clock: w.clock.Clock})
		if err == nil || err.Error() != "test.yml:1: sensor a: every: no interval is given" {
			t.Errorf("without an interval: %v", err)
		}
	})
}

// What a killed process left on goes off at the start, unless a read does it.
func TestRailsAreOffAtTheStart(t *testing.T) {
	in(t, func(w *world) { // at noon
		valve := w.sensor("valve", at("30 12 * * *"), powered(supply("valve", "GPIO18"), 0))
		a := w.sensor("a", powered(supply("vcc", "GPIO17"), 0))
		w.run(valve.cfg, a.cfg)
		w.pass(time.Second)
		equal(t, "outputs", w.driven, []string{"0s GPIO18 false", "0s GPIO17 true", "10ms GPIO17 false"})
		if w.inUse("GPIO18") != 0 {
			t.Error("the valve's line is held")
		}
	})
}

func TestReadOfARailThatWasOnForTooLong(t *testing.T) {
	in(t, func(w *world) {
		probes := supply("probes", "GPIO17")
		probes.MaxOn = 2 * time.Second
		// Slow says nothing but good, yet what it reads after the cut is nothing.
		slow := w.sensor("slow", powered(probes, 0), retries(2), func(f *fake) {
			f.cfg.Timeout = 10 * time.Second
			f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
				r.Set(sensors.Temperature, 21)
				_ = e.Sleep(ctx, 5*time.Second)
				return nil
			}
		})
		other := w.sensor("other")
		w.run(slow.cfg, other.cfg)
		w.pass(3 * time.Second)
		w.wantDown("slow", sensors.Timeout, "rail probes was on for 2s, its max-on", "holds a line")
		w.want("other", 1)
		if want := []string{"0s GPIO17 true", "2s GPIO17 false"}; !slices.Equal(w.driven, want) {
			t.Errorf("driven %q, want %q", w.driven, want)
		}
		if len(slow.reads) != 1 {
			t.Errorf("read at %v: without power there is nothing to try again", slow.reads)
		}
		if n := len(w.lines("a rail was on for too long", "rail=probes")); n != 1 {
			t.Errorf("logged %d times", n)
		}
		// It comes back by itself, with the next read.
		slow.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, 21)
			return nil
		}
		w.pass(time.Minute)
		w.want("slow", 21)
	})
}
