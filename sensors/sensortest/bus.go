package sensortest

import (
	"fmt"
	"syscall"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// A Chip is a bus with one chip on it, at whatever address: a function that
// takes what was written and fills what is read. It is for worlds that need
// no more than answers; byte-exact tests use i2ctest.Playback.
type Chip func(w, r []byte) error

var _ i2c.Bus = Chip(nil)

func (c Chip) String() string                    { return "chip" }
func (c Chip) Tx(addr uint16, w, r []byte) error { return c(w, r) }
func (c Chip) SetSpeed(physic.Frequency) error   { return nil }

// ByteRegisters is a chip of byte registers: the first byte written is the
// register, what follows is stored from there on; reads go on from there.
// Bosch's chips take pairs of register and value instead: for single
// registers that is the same.
func ByteRegisters(regs *[256]byte) Chip {
	var at byte
	return func(w, r []byte) error {
		if len(w) > 0 {
			at = w[0]
			copy(regs[at:], w[1:])
		}
		copy(r, regs[at:])
		return nil
	}
}

// WordRegisters is a chip of big-endian 16-bit registers behind a pointer.
// wrote, if not nil, is called for each write and may change the registers.
func WordRegisters(regs map[byte]uint16, wrote func(reg byte, v uint16)) Chip {
	var at byte
	return func(w, r []byte) error {
		if len(w) > 0 {
			at = w[0]
		}
		if len(w) == 3 {
			v := uint16(w[1])<<8 | uint16(w[2])
			regs[at] = v
			if wrote != nil {
				wrote(at, v)
			}
		}
		for i := range r {
			r[i] = byte(regs[at] >> (8 - 8*(i&1)))
		}
		return nil
	}
}

// Stuck is a bus whose data line hangs: everything is acknowledged, and every
// byte reads as level.
func Stuck(level byte) Chip {
	return func(w, r []byte) error {
		for i := range r {
			r[i] = level
		}
		return nil
	}
}

// ErrNACK is what the kernel says where nobody answers, as i2c-bcm2835 does.
var ErrNACK = fmt.Errorf("i2c transfer: %w", syscall.EREMOTEIO)
