package all

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/scan"
	"example.org/dormouse/sensors/sensortest"
)

// A place is where a case's chip is on a simulated board.
type place struct {
	chipCase
	addr string
}

// TestScanOffersEveryChip connects the model of each case to a simulated board:
// a scan offers a flag with its driver, model and address, by what the chip says
// of itself or, where its driver has no identity, by the address alone.
func TestScanOffersEveryChip(t *testing.T) {
	var boards []map[string]place // by address
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		addr := c.Options["addr"]
		for _, o := range d.Options {
			if o.Type == sensors.I2CAddrOption && addr == "" {
				addr = o.Default
			}
		}
		i := slices.IndexFunc(boards, func(b map[string]place) bool { return b[addr].model == "" })
		if i < 0 {
			i, boards = len(boards), append(boards, map[string]place{})
		}
		boards[i][addr] = place{c, addr}
	}
	for _, places := range boards {
		synctest.Test(t, func(t *testing.T) { scanOffers(t, places) })
	}
}

// booted is a chip whose supply rose long ago.
type booted struct{ chips.Chip }

func (b booted) Reset(now sensors.Instant) { b.Chip.Reset(now.Add(-time.Minute)) }

// scanned scans a board whose supply has just been switched on.
func scanned(t *testing.T, clock *alarm.Fake, b board.Inspector) *scan.Document {
	t.Helper()
	return passing(t, clock, func() *scan.Document {
		if err := clock.Sleep(t.Context(), scan.PowerUp); err != nil {
			t.Error(err)
		}
		return scan.Run(t.Context(), scan.Options{Board: b, Clock: clock.Clock, Identify: true})
	})
}

func scanOffers(t *testing.T, places map[string]place) {
	t.Helper()
	clock := alarm.NewFake(alarm.Instant(time.Hour), time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC))
	defer clock.Close()
	b := sim.New(clock.Clock, 1)
	for _, addr := range []uint16{sim.BME280, sim.SHT4x, sim.TMP102, sim.ADS1115} {
		b.Remove(addr)
	}
	for _, p := range places {
		addr, err := (sensors.Option{Type: sensors.I2CAddrOption}).Parse(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		b.Connect(uint16(addr.(sensors.Address)), booted{chips.New(p.model, p.world.at)})
	}
	doc := scanned(t, clock, b)
	if n := len(doc.Buses[0].Addresses); n != len(places) || len(doc.Problems) > 0 {
		t.Errorf("%d chips answer, want %d; problems: %q", n, len(places), doc.Problems)
	}
	for _, found := range doc.Buses[0].Addresses {
		p := places[found.Address]
		offers := func(f scan.Find) bool {
			_, flag, _ := strings.Cut(f.Flag, "=") // the sensor's name
			_, flag, _ = strings.Cut(flag, "=")
			words := strings.Split(flag, ",")
			model := p.Options["model"]
			return words[0] == p.driver && slices.Contains(words, "addr="+p.addr) && (model == "" || slices.Contains(words, "model="+model))
		}
		if !slices.ContainsFunc(found.Could, offers) {
			t.Errorf("%s at %s isn't offered: %+v", p.model, p.addr, found)
		}
		if n := len(found.Could); found.Identified && n > 1 && !slices.Contains([]string{"htu21d", "scd4x", "tsl2561"}, p.driver) {
			t.Errorf("%s at %s is offered as %d models: %+v", p.model, p.addr, n, found.Could)
		}
		if d := sensortest.Driver(t, p.driver); d.Identity == nil && found.Identified {
			t.Errorf("%s at %s, which has no identity, was taken for another: %+v", p.model, p.addr, found)
		}
	}
}
