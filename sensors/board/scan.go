package board

import (
	"context"
	"errors"
	"fmt"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

// The addresses that a chip can have: UM10204 (I2C-bus specification, rev. 7),
// table 4, reserves those below and above.
const (
	firstAddress = 0x08
	lastAddress  = 0x77
)

// Answers are what Scan found out about a bus.
type Answers struct {
	Addresses []uint16 // at which a chip answers
	Failed    []error  // addresses of which that isn't known
	// ReadOnly tells that the adapter can't do quick writes, so that a chip that
	// has nothing to say at the moment, as an idle SHT4x, may have kept silent.
	ReadOnly bool
}

// quickBus is a bus of this package or of sim. Quick sends a chip its address
// for writing and no byte: SMBus calls it a quick write. The error is
// EOPNOTSUPP where the adapter can't.
type quickBus interface {
	Quick(addr uint16) error
}

// Scan finds out at which addresses of a bus a chip answers. Those that held
// says of are left alone. After two failures in a row, and when ctx ends, the
// bus is given up: beside the error there is what was known before, or nil
// where a transaction hangs in the kernel, which can't be cancelled.
//
// Which transaction does an unknown chip the least harm is the kernel's choice
// (drivers/i2c/i2c-core-base.c, i2c_default_probe) and that of i2cdetect(8): a
// quick write, but at 0x30 to 0x37 and 0x50 to 0x5f, where EEPROMs live that
// may be write-protected or corrupted by one (Atmel's AT24RF08), one byte is
// read. It is read everywhere where the adapter can't do quick writes.
func Scan(ctx context.Context, b Board, number sensors.Bus, held func(addr uint16) bool) (*Answers, error) {
	bus, err := b.OpenBus(number)
	if err != nil {
		return nil, err
	}
	type result struct {
		answers *Answers
		err     error
	}
	done := make(chan result, 1)
	go func() {
		answers := &Answers{}
		err := answers.ask(ctx, b, number, bus, held)
		done <- result{answers, errors.Join(err, bus.Close())}
	}()
	select {
	case r := <-done:
		return r.answers, r.err
	case <-ctx.Done():
		return nil, sensors.Errorf(sensors.Timeout, "%s hangs: a transaction doesn't end: does a chip hold SDA or SCL low? Cut its supply to free the bus: %w", number, ctx.Err())
	}
}

func (a *Answers) ask(ctx context.Context, b Board, number sensors.Bus, bus i2c.Bus, held func(addr uint16) bool) error {
	asked, failures := 0, 0
	for addr := uint16(firstAddress); addr <= lastAddress; addr++ {
		if held(addr) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: not all of it was scanned: %w", bus, err)
		}
		err := a.askAlone(b, number, bus, addr)
		if errors.Is(err, lock.ErrLocked) {
			a.Failed = append(a.Failed, err)
			continue
		}
		asked++
		switch {
		case err == nil:
			a.Addresses = append(a.Addresses, addr)
			failures = 0
		case sensors.ReasonOf(err) == sensors.NoAnswer:
			failures = 0
		case failures > 0:
			return fmt.Errorf("%s is given up after two failures: is SDA or SCL held low by a chip, or without its pull-up? Cut the chips' supply to free it: %w", bus, err)
		default:
			a.Failed = append(a.Failed, err)
			failures++
		}
	}
	if len(a.Addresses) == asked && asked > 1 {
		a.Addresses = nil
		return sensors.Errorf(sensors.Identity, "%s is stuck: every address answers: SDA has no pull-up, is shorted, or is held low by a chip; cut the chips' supply to free it", bus)
	}
	return nil
}

// askAlone asks unless another process measures there: the question could take
// the result away from it.
func (a *Answers) askAlone(b Board, number sensors.Bus, bus i2c.Bus, addr uint16) error {
	chip, err := b.Lock(sensors.Claim{Kind: sensors.I2CWire, Bus: int(number), Address: sensors.Address(addr)})
	if errors.Is(err, lock.ErrLocked) {
		return sensors.Errorf(sensors.Busy, "another process of this program measures at %s on %s at this moment: scan again: %w", sensors.Address(addr), number, err)
	}
	if err != nil {
		return err
	}
	err = a.askOne(bus, addr)
	return errors.Join(err, chip.Close())
}

func (a *Answers) askOne(bus i2c.Bus, addr uint16) error {
	quick, ok := bus.(quickBus)
	a.ReadOnly = a.ReadOnly || !ok
	if !a.ReadOnly && !(addr >= 0x30 && addr <= 0x37 || addr >= 0x50 && addr <= 0x5f) {
		err := quick.Quick(addr)
		if !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		a.ReadOnly = true
	}
	return bus.Tx(addr, nil, make([]byte, 1))
}
