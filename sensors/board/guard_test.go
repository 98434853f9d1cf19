package board

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
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
	const chip = 0x48
	alone := func(fill ...byte) func(uint16, []byte) error {
		return func(addr uint16, r []byte) error {
			if addr != chip {
				return BusError(1, addr, unix.EREMOTEIO)
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
				return BusError(1, addr, errno)
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
		err := Guard(b).Tx(chip, []byte{0}, make([]byte, tt.read))
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
	if err := Guard(b).Tx(0x10, nil, make([]byte, 2)); !errors.Is(err, unix.EIO) || len(b.addressed) != 1 {
		t.Errorf("an error of its own: %v", err)
	}
}
