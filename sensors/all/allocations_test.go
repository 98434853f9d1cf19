//go:build !race

package all

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// A tape is a bus that records the transactions of one read, and plays them
// from then on, at no cost.
type tape struct {
	i2c.Bus
	playing bool
	next    int
	all     []recorded
}

type recorded struct {
	w, r []byte
	err  error
}

func (t *tape) Tx(addr uint16, w, r []byte) error {
	if !t.playing {
		err := t.Bus.Tx(addr, w, r)
		t.all = append(t.all, recorded{slices.Clone(w), slices.Clone(r), err})
		return err
	}
	if t.next == len(t.all) || !bytes.Equal(t.all[t.next].w, w) || len(t.all[t.next].r) != len(r) {
		return fmt.Errorf("transaction %d of another read wrote % x and read %d bytes", t.next, w, len(r))
	}
	copy(r, t.all[t.next].r)
	t.next++
	return t.all[t.next-1].err
}

// TestChipsDontAllocate reads the model of each case again and again, as wake
// after wake does: what a driver does then costs no memory. The race detector
// allocates, too.
func TestChipsDontAllocate(t *testing.T) {
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		e := sensortest.New(t, d, c.Options, c.Channels...)
		c.World(e)
		bus := &tape{Bus: e.Bus}
		e.Bus = bus
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Errorf("%s: %v", c.model, err)
			continue
		}
		var r sensors.Report
		ctx := context.Background()
		read := func() {
			e.NextWake(time.Minute)
			e.Waits = e.Waits[:0]
			r.Reset()
			bus.next = 0
			if err := s.Sense(ctx, &r); err != nil {
				t.Errorf("%s: %v", c.model, err)
			}
		}
		read()
		bus.all = nil
		read()
		bus.playing = true
		if n := testing.AllocsPerRun(10, read); n > 0 {
			t.Errorf("%s %v: %v allocations in a read", c.model, c.Options, n)
		}
		if len(bus.all) == 0 || bus.next != len(bus.all) || len(r.Readings()) == 0 {
			t.Errorf("%s: %d of %d transactions, %d readings", c.model, bus.next, len(bus.all), len(r.Readings()))
		}
	}
}
