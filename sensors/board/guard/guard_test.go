package guard_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/guard"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/physic"
)

// modelBus answers each address with what a function says.
type modelBus struct {
	addressed []uint16
	answer    func(addr uint16, r []byte) error
}

func (b *modelBus) String() string                  { return "I2C bus 1" }
func (b *modelBus) SetSpeed(physic.Frequency) error { return nil }
func (b *modelBus) Close() error                    { return nil }
func (b *modelBus) Tx(addr uint16, _, r []byte) error {
	b.addressed = append(b.addressed, addr)
	return b.answer(addr, r)
}

func TestGuard(t *testing.T) {
	const chip, nobody = 0x48, 0x03
	alone := func(fill ...byte) func(uint16, []byte) error {
		return func(addr uint16, r []byte) error {
			if addr != chip {
				return board.BusError(1, addr, unix.EREMOTEIO)
			}
			copy(r, fill)
			return nil
		}
	}
	stuck := func(level byte) func(uint16, []byte) error {
		return func(_ uint16, r []byte) error {
			for i := range r {
				r[i] = level
			}
			return nil
		}
	}
	hangs := func(errno unix.Errno) func(uint16, []byte) error {
		return func(addr uint16, r []byte) error {
			if addr != chip {
				return board.BusError(1, addr, errno)
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name      string
		read      int
		answer    func(uint16, []byte) error
		addressed []uint16
		reason    sensors.Reason // none: it is a value
	}{
		{"a value", 2, alone(0x19, 0x00), []uint16{chip}, ""},
		{"frost at 0 °C", 2, alone(0, 0), []uint16{chip, nobody}, ""},
		{"a genuine 0xffff", 2, alone(0xff, 0xff), []uint16{chip, nobody}, ""},
		{"0xff and 0x00", 2, alone(0xff, 0x00), []uint16{chip}, ""},
		{"all equal, but neither", 2, alone(0x55, 0x55), []uint16{chip}, ""},
		{"one byte", 1, alone(0), []uint16{chip}, ""},
		{"a write", 0, stuck(0), []uint16{chip}, ""},
		{"stuck low", 2, stuck(0x00), []uint16{chip, nobody}, sensors.Identity},
		{"stuck high", 6, stuck(0xff), []uint16{chip, nobody}, sensors.Identity},
		{"hangs by then", 2, hangs(unix.ETIMEDOUT), []uint16{chip, nobody}, sensors.Timeout},
		{"the adapter refuses the address", 2, hangs(unix.EINVAL), []uint16{chip, nobody}, ""},
	} {
		b := &modelBus{answer: tt.answer}
		err := new(guard.Buses).Guard(1, b).Tx(chip, []byte{0}, make([]byte, tt.read))
		if !slices.Equal(b.addressed, tt.addressed) {
			t.Errorf("%s: addressed %#x, want %#x", tt.name, b.addressed, tt.addressed)
		}
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.reason != "" && (err == nil || sensors.ReasonOf(err) != tt.reason):
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.reason)
		case tt.reason == sensors.Identity && !strings.Contains(err.Error(), "I2C bus 1 is stuck: every address answers and 0x48 reads only 0x"):
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	b := &modelBus{answer: hangs(unix.EIO)}
	if err := new(guard.Buses).Guard(1, b).Tx(0x10, nil, make([]byte, 2)); !errors.Is(err, unix.EIO) || len(b.addressed) != 1 {
		t.Errorf("an error of its own: %v", err)
	}
}

// Where another chip still answers what a stuck bus can't, all zeros are a value
// though something answers at the address that no chip can have.
func TestWitness(t *testing.T) {
	const frost, other, third = 0x48, 0x76, 0x44
	answers := map[uint16]byte{frost: 0x00, other: 0x58, third: 0x17, 0x03: 0x00}
	b := &modelBus{answer: func(addr uint16, r []byte) error {
		level, ok := answers[addr]
		if !ok {
			return board.BusError(1, addr, unix.EREMOTEIO)
		}
		for i := range r {
			r[i] = level
		}
		return nil
	}}
	var buses guard.Buses
	read := func(number sensors.Bus, addr uint16) error {
		return buses.Guard(number, b).Tx(addr, []byte{0xd0}, make([]byte, 2))
	}
	isStuck := func(err error) bool { return err != nil && strings.Contains(err.Error(), "is stuck") }
	if err := read(1, frost); !isStuck(err) {
		t.Errorf("before another chip was seen: %v", err)
	}
	for range 2 {
		if err := read(1, other); err != nil {
			t.Fatal(err)
		}
		if err := read(1, frost); err != nil {
			t.Errorf("beside a chip that answers: %v", err)
		}
	}
	if err := read(2, frost); !isStuck(err) {
		t.Errorf("on another bus: %v", err)
	}
	w := buses.Guard(1, b).(sensors.Witness)
	if addr, ok := w.Witness(frost); addr != other || !ok {
		t.Errorf("the witness is 0x%02x, %v", addr, ok)
	}
	if _, ok := w.Witness(other); ok {
		t.Error("a chip is its own witness")
	}
	for range 2 { // the one that was seen last is asked first
		if err := read(1, third); err != nil {
			t.Fatal(err)
		}
		if err := read(1, other); err != nil {
			t.Fatal(err)
		}
	}
	if addr, ok := w.Witness(other); addr != third || !ok {
		t.Errorf("the witness is 0x%02x, %v", addr, ok)
	}
	answers[other] = 0x00 // now the bus hangs
	delete(answers, third)
	if err := read(1, frost); !isStuck(err) {
		t.Errorf("beside a chip that answers no more: %v", err)
	}
}

func TestQuickOfABusThatCant(t *testing.T) {
	b := &modelBus{answer: func(uint16, []byte) error { return nil }}
	quick := new(guard.Buses).Guard(1, b).(interface{ Quick(uint16) error })
	if err := quick.Quick(0x10); !errors.Is(err, unix.EOPNOTSUPP) || len(b.addressed) > 0 {
		t.Errorf("%v, addressed %#x", err, b.addressed)
	}
}
