package sim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/crc"
	"golang.org/x/sys/unix"
)

func nobodyHolds(uint16) bool { return false }

func TestScan(t *testing.T) {
	b, clock := newBoard(t)
	scan := func() []uint16 {
		t.Helper()
		a, err := board.Scan(t.Context(), b, 1, nobodyHolds)
		check(t, err)
		if len(a.Failed) > 0 || a.ReadOnly {
			t.Errorf("the scan says %+v", a)
		}
		return a.Addresses
	}
	all := []uint16{SHT4x, TMP102, ADS1115, BME280}
	if got := scan(); !slices.Equal(got, all) {
		t.Errorf("%#x answer, want %#x", got, all)
	}
	bus := openBus(t, b)
	check(t, bus.Tx(SHT4x, []byte{0xfd}, nil))
	b.Remove(TMP102)
	b.Power(BME280, 17, false)
	if got := scan(); !slices.Equal(got, []uint16{ADS1115}) {
		t.Errorf("with one pulled out, one without supply and one busy, %#x answer", got)
	}
	clock.Advance(10 * time.Millisecond)
	if got := scan(); !slices.Equal(got, []uint16{SHT4x, ADS1115}) {
		t.Errorf("later %#x answer", got)
	}
	// Being addressed has taken nothing away.
	if answer := tx(t, bus, SHT4x, 6); answer[2] != crc.Sum8(0x31, 0xff, answer[:2]...) {
		t.Errorf("the SHT4x answers % x", answer)
	}
	b.SetFault(ADS1115, Fault{Errno: unix.EIO})
	if a, err := board.Scan(t.Context(), b, 1, nobodyHolds); err != nil || len(a.Failed) != 1 || !errors.Is(a.Failed[0], unix.EIO) {
		t.Errorf("with a broken chip: %+v, %v", a, err)
	}
	b.Stick(0)
	if a, err := board.Scan(t.Context(), b, 1, nobodyHolds); sensors.ReasonOf(err) != sensors.Identity || len(a.Addresses) > 0 {
		t.Errorf("on a stuck bus: %+v, %v", a, err)
	}
	check(t, bus.Close())
	if err := bus.Tx(SHT4x, nil, make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("after Close: %v", err)
	}
}

func TestListOfLines(t *testing.T) {
	b, _ := newBoard(t)
	b.Hold(23, "gpioset")
	lines, err := b.Lines()
	check(t, err)
	if len(lines) != 54 {
		t.Fatalf("there are %d lines", len(lines))
	}
	for i, l := range lines {
		if l.Offset != i || l.Held != (i == 23) || l.Chip != "gpiochip0 (pinctrl-bcm2835)" {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if lines[23].Consumer != "gpioset" || lines[23].Name != "GPIO23" {
		t.Errorf("the held line: %+v", lines[23])
	}
	b.LoseLines(true)
	if lines, err := b.Lines(); len(lines) > 0 || err != nil {
		t.Errorf("without the chip: %v, %v", lines, err)
	}
}
