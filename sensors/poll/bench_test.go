package poll

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// tenChips are ten sensors on one I2C bus, each with three readings.
func tenChips(w *world) []*config.Sensor { return manyChips(w, 10) }

func manyChips(w *world, n int) []*config.Sensor {
	var all []*config.Sensor
	for i := range n {
		f := w.sensor(fmt.Sprint(i), on(1, fmt.Sprintf("0x%02x", 0x20+i)))
		b := make([]byte, 8)
		f.sense = func(ctx context.Context, e sensors.Env, r *sensors.Report) error {
			if err := e.I2C().Tx(b[:1], b); err != nil {
				return err
			}
			r.Set(sensors.Temperature, float64(b[0]))
			r.Set(sensors.Humidity, 0.5)
			r.Set(sensors.Pressure, 1e5)
			f.reads = f.reads[:0]
			return nil
		}
		all = append(all, f.cfg)
	}
	return all
}

// One wake of ten sensors on one bus that answers at once: what the daemon
// itself costs.
func BenchmarkWake10(b *testing.B) {
	w := &world{clock: alarm.NewFake(boot, noon), fakeBoard: newFakeBoard()}
	w.now = w.clock.Now
	w.T = &testing.T{} // for the helpers; they don't fail
	p := w.make(tenChips(w)...)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.ReadNow(ctx); err != nil {
			b.Fatal(err)
		}
		w.shots = w.shots[:0]
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

// A wake allocates a bounded amount for each sensor, and the amount doesn't
// grow.
func TestAllocationsOfAWake(t *testing.T) {
	in(t, func(w *world) {
		w.run(tenChips(w)...)
		p := w.poll
		wake := func() {
			if _, err := p.ReadNow(context.Background()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			w.shots = w.shots[:0]
		}
		wake()
		const perSensor = 11 // one of them is the lock of its chip
		if n := testing.AllocsPerRun(100, wake); n > 10*perSensor+10 {
			t.Errorf("%v allocations in a wake of ten sensors", n)
		}
		w.pass(time.Minute)
		w.want("0", 0x20, 0.5, 1e5)
	})
}

// The goroutines of a wake's reads are kept for the next, up to a bound.
func TestWorkersAreKept(t *testing.T) {
	for n, kept := range map[int]int{10: 10, mostIdle + 4: mostIdle} {
		in(t, func(w *world) {
			w.run(manyChips(w, n)...)
			for range 3 {
				w.pass(time.Minute)
				if idle := len(w.poll.loop.workers.idle); idle != kept {
					t.Errorf("%d workers are kept of %d reads, want %d", idle, n, kept)
				}
			}
		})
	}
}
