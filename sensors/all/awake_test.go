package all

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/guard"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
	"periph.io/x/conn/v3/i2c"
)

// A slowBoard is a simulated board whose bus takes its time.
type slowBoard struct {
	*sim.Board
	bus slowBus
}

// The guard is outside, as on a real bus: what it asks takes time, too.
func (b *slowBoard) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	var err error
	if b.bus.BusCloser, err = b.Board.OpenBus(number); err != nil {
		return nil, err
	}
	return new(guard.Buses).Guard(number, &b.bus), nil
}

// A slowBus takes as long for a transaction as a bus of 100 kHz: nine bits for
// each byte, and for the address in each direction.
type slowBus struct {
	i2c.BusCloser
	clock *alarm.Clock
	free  chan struct{} // holds one where no transaction is under way
	busy  time.Duration // in all
	count int
}

const bitTime = time.Second / 100_000

func (b *slowBus) Tx(addr uint16, w, r []byte) error {
	bytes := len(w) + len(r)
	for _, part := range [][]byte{w, r} {
		if len(part) > 0 {
			bytes++
		}
	}
	<-b.free
	defer func() { b.free <- struct{}{} }()
	takes := time.Duration(9*bytes) * bitTime
	b.busy += takes
	b.count++
	if err := b.clock.Sleep(context.Background(), takes); err != nil {
		return err
	}
	return b.BusCloser.Tx(addr, w, r)
}

// tenChips are slower than 100 ms in none of their measurements; takes is the
// longest by the data sheet.
var tenChips = []struct {
	addr  uint16
	model string
	takes time.Duration
}{
	{0x38, "aht20", 80 * time.Millisecond},
	{0x40, "htu21d", 50 * time.Millisecond}, // and 16 ms for the humidity
	{0x48, "tmp102", 35 * time.Millisecond},
	{0x77, "bmp180", 25500 * time.Microsecond},
	{0x70, "shtc3", 12100 * time.Microsecond},
	{0x76, "bme280", 9300 * time.Microsecond},
	{0x49, "ads1115", 8600 * time.Microsecond}, // each of four
	{0x44, "sht4x", 8300 * time.Microsecond},
	{0x5c, "lps22hb", 8 * time.Millisecond},
	{0x41, "ina226", 2420 * time.Microsecond},
}

// mostAwake is how long a wake may last at most, in times the longest
// measurement.
const mostAwake = 1.2

// TestAwakeForTenChips reads ten chips on one bus of 100 kHz: they measure at
// the same time, so that the wake lasts little longer than the slowest of them.
// What the program itself computes takes no time here.
func TestAwakeForTenChips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := alarm.NewFake(alarm.Instant(time.Hour), time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC))
		defer clock.Close()
		b := &slowBoard{Board: sim.New(clock.Clock, 1), bus: slowBus{clock: clock.Clock, free: make(chan struct{}, 1)}}
		b.bus.free <- struct{}{}
		p := b.pollerOfTen(t)
		var took time.Duration
		for wake := range 3 {
			b.bus.busy, b.bus.count = 0, 0
			var s *sensors.Snapshot
			s, took = readNow(t, clock, p)
			t.Logf("wake %d: awake for %s, the bus for %s of it, in %d transactions", wake+1, took, b.bus.busy, b.bus.count)
			for i := range s.Results {
				r := &s.Results[i]
				t.Logf("  %-8s %s", r.Name, r.Took)
				if r.Err != nil || len(r.Failures) > 0 || len(r.Readings) == 0 {
					t.Errorf("%s: %d readings, failures %v, error %v", r.Name, len(r.Readings), r.Failures, r.Err)
				}
			}
			clock.Advance(time.Minute)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		longest := tenChips[0].takes
		t.Logf("ten chips, none of which is built again: awake for %.2f times the longest measurement, %s", float64(took)/float64(longest), longest)
		if float64(took) > mostAwake*float64(longest) {
			t.Errorf("awake for %s, want at most %v times %s", took, mostAwake, longest)
		}
	})
}

// pollerOfTen connects the chips.
func (b *slowBoard) pollerOfTen(t *testing.T) *poll.Poller {
	t.Helper()
	for _, addr := range []uint16{sim.BME280, sim.SHT4x, sim.TMP102, sim.ADS1115} {
		b.Remove(addr)
	}
	world := func(at sensors.Instant, what string) float64 {
		if what == "pressure" {
			return 100800
		}
		return 0.5
	}
	var src config.Source
	for _, c := range tenChips {
		src.SensorFlags = append(src.SensorFlags, fmt.Sprintf("%s=%s,addr=0x%02x", c.model, c.model, c.addr))
		b.Attach(c.addr, c.model, world)
	}
	cfg, err := config.Load(src)
	if err != nil {
		t.Fatal(err)
	}
	p, err := poll.New(poll.Options{Config: cfg, Board: b, Clock: b.bus.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// readNow is one wake, and how long it lasted.
func readNow(t *testing.T, clock *alarm.Fake, p *poll.Poller) (*sensors.Snapshot, time.Duration) {
	t.Helper()
	from := clock.Now()
	s := passing(t, clock, func() *sensors.Snapshot {
		s, err := p.ReadNow(context.Background())
		if err != nil {
			t.Error(err)
		}
		return s
	})
	return s, clock.Now().Sub(from)
}

// passing runs f and lets the time pass that it waits for: that the machine does
// something else for a while takes none.
func passing[T any](t *testing.T, clock *alarm.Fake, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	for {
		synctest.Wait()
		select {
		case result := <-done:
			return result
		default:
		}
		next, ok := clock.Next()
		if !ok {
			t.Fatal("it doesn't end, and waits for nothing")
		}
		clock.Advance(next.Sub(clock.Now()))
	}
}
