package poll

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var lockOf20 = sensors.Claim{Kind: sensors.I2CWire, Bus: 1, Address: 0x20}

func (b *fakeBoard) lockElsewhere(key sensors.Claim, held bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.locked[key] = held
}

func (b *fakeBoard) isLocked(key sensors.Claim) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.locked[key]
}

// A chip that another process measures is waited for, never longer than the
// sensor's deadline.
func TestChipThatAnotherProcessMeasures(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", on(1, "0x20"), converting(0), retries(3))
		b := w.sensor("b", on(1, "0x21"), converting(0))
		w.lockElsewhere(lockOf20, true)
		w.run(a.cfg, b.cfg)
		w.pass(1100 * time.Millisecond)
		w.wantDown("a", sensors.Busy, "lock I2C bus 1, address 0x20", "another process or sensor measures there and didn't end within 1s", "fuser")
		w.want("b", 0x21)
		if at := w.shot().At.Sub(boot); at != time.Second {
			t.Errorf("the wake ended after %v, not at the deadline", at)
		}
		w.pass(time.Minute - time.Second)
		w.lockElsewhere(lockOf20, false)
		w.pass(time.Second)
		w.want("a", 0x20)
		if w.isLocked(lockOf20) {
			t.Error("it is locked between reads")
		}
	})
}

// The lock lasts from the first transaction of New to the end of Sense, and no
// longer, however that ends.
func TestChipIsLockedForTheWholeMeasurement(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a", on(1, "0x20"), every(time.Minute))
		a.build = func(_ context.Context, e sensors.Env) error {
			if w.isLocked(lockOf20) {
				t.Error("locked before the first transaction")
			}
			return e.I2C().Tx([]byte{1}, nil)
		}
		measure := a.sense
		a.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			if !w.isLocked(lockOf20) {
				t.Error("not locked between New and Sense")
			}
			if err := e.Sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
			if !w.isLocked(lockOf20) {
				t.Error("not locked after a wait")
			}
			return measure(ctx, e, r)
		}
		w.run(a.cfg)
		w.pass(time.Second)
		w.want("a", 1)
		ends := []func() error{
			func() error { return errors.New("it failed") },
			func() error { panic("it panicked") },
		}
		for i, end := range ends {
			a.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
				if err := e.I2C().Tx([]byte{1}, nil); err != nil {
					return err
				}
				return end()
			}
			before := w.unlocked
			w.pass(time.Minute) // one due read, and further tries after it failed
			if w.isLocked(lockOf20) || w.unlocked == before {
				t.Errorf("end %d: locked %t after the read, unlocked %d times", i, w.isLocked(lockOf20), w.unlocked-before)
			}
		}
	})
}

func TestAloneWithoutAWire(t *testing.T) {
	in(t, func(w *world) {
		a := w.sensor("a")
		a.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			return e.Alone(ctx, sensors.LineWire)
		}
		w.run(a.cfg)
		w.wantDown("a", sensors.IO, "claims no wire of the kind line")
	})
}
