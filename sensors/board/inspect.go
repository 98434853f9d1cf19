package board

import (
	"errors"
	"fmt"

	"example.org/dormouse/sensors"
)

// An Inspector is a Board that can be looked at without taking anything from
// it. Both boards are one.
type Inspector interface {
	Board
	// Buses lists the I2C buses by number.
	Buses() ([]sensors.Bus, error)
	// LineInfo tells where a line is and who holds it.
	LineInfo(ref sensors.LineRef) (LineInfo, error)
}

// A LineInfo is what the kernel knows of a line.
type LineInfo struct {
	Chip     string // "gpiochip0 (pinctrl-rp1)"
	Offset   int
	Name     string // the kernel's; may be empty
	Held     bool   // somebody uses it
	Consumer string // who, as they call themselves; may be empty
	Output   bool
}

// Probe reads one byte from an address and returns nil if a chip answers. It
// writes nothing, so it changes no chip's state but a register pointer or a
// pending answer. A chip that has nothing to tell (an idle SHT4x) may keep
// silent: only its driver's own probe is certain.
func Probe(b Board, bus sensors.Bus, addr uint16) error {
	opened, err := b.OpenBus(bus)
	if err != nil {
		return err
	}
	err = opened.Tx(addr, nil, make([]byte, 1))
	if closeErr := opened.Close(); closeErr != nil {
		return errors.Join(err, fmt.Errorf("close %s: %w", bus, closeErr))
	}
	return err
}
