package poll

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// onSerial makes a fake open its serial port at each read.
func onSerial(sense func(ctx context.Context, e sensors.Env, p sensors.Serial, r *sensors.Report) error) func(*fake) {
	return func(f *fake) {
		f.cfg.Driver.Options = append(f.cfg.Driver.Options, sensors.PortOpt())
		f.cfg.Options = f.w.options(f.cfg.Driver, nil)
		f.cfg.Timeout = 10 * time.Second
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			p, err := sensors.OpenSerial(e, sensors.SerialConfig{Baud: 9600})
			if err != nil {
				return err
			}
			return sense(ctx, e, p, r)
		}
	}
}

// A wire is closed at the end of the attempt whether the driver did it or not;
// a sensor that left one open would have a closed one at its next read, so it is
// built again.
func TestWiresAreClosedAfterARead(t *testing.T) {
	in(t, func(w *world) {
		var open atomic.Int32
		w.ports = &open
		tidy := w.sensor("tidy", onSerial(func(_ context.Context, _ sensors.Env, p sensors.Serial, r *sensors.Report) error {
			r.Set(sensors.Temperature, 1)
			return p.Close()
		}))
		untidy := w.sensor("untidy", onSerial(func(_ context.Context, _ sensors.Env, p sensors.Serial, r *sensors.Report) error {
			r.Set(sensors.Temperature, 1)
			return nil
		}))
		failing := w.sensor("failing", onSerial(func(context.Context, sensors.Env, sensors.Serial, *sensors.Report) error {
			return errors.New("it failed")
		}))
		w.run(tidy.cfg, untidy.cfg, failing.cfg)
		for range 2 {
			if open.Load() != 0 {
				t.Errorf("%d ports are open between reads", open.Load())
			}
			w.pass(time.Minute)
		}
		if tidy.builds != 1 || untidy.builds < 3 {
			t.Errorf("built %d and %d times", tidy.builds, untidy.builds)
		}
		if r := w.shot().Results; !r[0].Up || !r[1].Up || r[2].Up {
			t.Errorf("the results are %+v", r)
		}
	})
}

// A port that is missing is a failure like others, and claims are published.
func TestAWireThatIsMissing(t *testing.T) {
	in(t, func(w *world) {
		s := w.sensor("dust", onSerial(func(context.Context, sensors.Env, sensors.Serial, *sensors.Report) error { return nil }))
		w.run(s.cfg)
		r := w.shot().Results[0]
		if r.Up || r.Reason != sensors.NoAnswer {
			t.Errorf("it is up %v, %s: %v", r.Up, r.Reason, r.Err)
		}
		if len(r.Claims) != 1 || r.Claims[0].Key() != "serial /dev/serial0" {
			t.Errorf("it claims %v", r.Claims)
		}
	})
}

// WithTimeout ends a wait by the clock, and the sensor's own deadline goes on.
func TestWithTimeout(t *testing.T) {
	in(t, func(w *world) {
		var open atomic.Int32
		w.ports = &open
		var waited time.Duration
		var inner error
		s := w.sensor("dust", onSerial(func(ctx context.Context, e sensors.Env, p sensors.Serial, r *sensors.Report) error {
			from := e.Now()
			limited, cancel := e.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			_, inner = p.Read(limited, make([]byte, 1))
			waited = e.Now().Sub(from)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Set(sensors.Temperature, 1)
			return nil
		}))
		w.run(s.cfg)
		w.pass(3 * time.Second)
		if waited != 2*time.Second || !errors.Is(inner, context.DeadlineExceeded) || sensors.ReasonOf(inner) != sensors.Timeout {
			t.Errorf("waited %v, %v", waited, inner)
		}
		if !w.shot().Results[0].Up {
			t.Errorf("it is down: %v", w.shot().Results[0].Err)
		}
	})
}

// What a sensor sends between Acquire and Release isn't interrupted by others on the
// same bus, and one that panics there doesn't keep the bus.
func TestTransactionsThatBelongTogether(t *testing.T) {
	in(t, func(w *world) {
		var order []uint16
		w.tx = func(_ sensors.Bus, addr uint16, _, _ []byte) error {
			order = append(order, addr)
			return nil
		}
		sending := func(send func(e sensors.Env, bus sensors.ExclusiveBus)) func(*fake) {
			return func(f *fake) {
				f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
					for range 3 {
						send(e, e.I2C().Bus.(sensors.ExclusiveBus))
					}
					r.Set(sensors.Temperature, 1)
					return nil
				}
			}
		}
		transfer := func(e sensors.Env) {
			err := errors.Join(e.I2C().Tx([]byte{0}, nil), e.Sleep(context.Background(), time.Millisecond))
			if err != nil {
				t.Error(err)
			}
		}
		together := func(e sensors.Env, bus sensors.ExclusiveBus) {
			bus.Acquire()
			defer bus.Release()
			transfer(e)
			transfer(e)
		}
		alone := func(e sensors.Env, _ sensors.ExclusiveBus) { transfer(e) }
		panics := func(e sensors.Env, bus sensors.ExclusiveBus) {
			bus.Acquire()
			panic("the bus is kept")
		}
		w.run(w.sensor("panics", on(1, "0x1f"), sending(panics)).cfg, w.sensor("a", on(1, "0x20"), sending(together)).cfg,
			w.sensor("b", on(1, "0x21"), sending(together)).cfg, w.sensor("alone", on(1, "0x22"), sending(alone)).cfg)
		w.pass(time.Second)
		w.want("a", 1)
		w.want("b", 1)
		w.want("alone", 1)
		w.wantDown("panics", sensors.IO, "the bus is kept")
		if len(order) != 15 {
			t.Fatalf("the transactions are %#x", order)
		}
		for i := 0; i < len(order); i++ {
			if order[i] == 0x22 {
				continue
			}
			if i++; i == len(order) || order[i] != order[i-1] {
				t.Fatalf("another sensor came between: %#x", order)
			}
		}
	})
}

// A line that hangs, as one of an expander whose bus does, holds up the sensor that
// holds it, and not the loop.
func TestALineThatHangs(t *testing.T) {
	in(t, func(w *world) {
		a, b := w.sensor("a", holding("GPIO22")), w.sensor("b", every(10*time.Second))
		w.run(a.cfg, b.cfg)
		w.pass(time.Second)
		w.frozen = make(chan struct{})
		w.pass(2 * time.Minute)
		w.wantDown("a", sensors.Timeout, "hangs")
		equal(t, "b", b.moments(), seconds(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120))
		if wires := w.shot().Wires; len(wires) != 0 {
			t.Errorf("wires %+v", wires)
		}
		close(w.frozen)
		w.pass(time.Minute)
		w.want("a", 3)
	})
}

// Sixty sensors, and on one bus each transaction takes longer than its sensor's
// deadline: those on other buses are read and published on time.
func TestNeighboursOfASlowBus(t *testing.T) {
	in(t, func(w *world) {
		answer := w.tx
		w.tx = func(bus sensors.Bus, addr uint16, wr, r []byte) error {
			if bus == 1 {
				if err := w.clock.Sleep(context.Background(), 2*time.Second); err != nil {
					return err
				}
				return errors.New("timed out")
			}
			return answer(bus, addr, wr, r)
		}
		var all []*config.Sensor
		var others []*fake
		for i := range 60 {
			f := w.sensor(fmt.Sprintf("s%d", i), on(1+i%3, fmt.Sprintf("0x%x", 0x20+i)), converting(200*time.Millisecond), every(10*time.Second), retries(2))
			if all = append(all, f.cfg); i%3 > 0 {
				others = append(others, f)
			}
		}
		w.run(all...)
		w.pass(200*time.Millisecond + publishAfter) // at the latest
		for wake := range 30 {
			began := boot.Add(time.Duration(wake) * 10 * time.Second)
			for _, f := range others {
				if r := w.result(f.name); !r.Up || r.LastRead != began.Add(200*time.Millisecond) {
					t.Fatalf("wake %d: %s was read at %v, up %v", wake, f.name, r.LastRead.Sub(boot), r.Up)
				}
			}
			w.pass(10 * time.Second)
		}
		w.wantDown("s0", sensors.Timeout)
		if open := w.open(2) + w.open(3); open != 0 {
			t.Errorf("%d handles are open", open)
		}
		w.pass(time.Minute)
	})
}
