// Package chips drives sensor chips on an I2C bus, one file each: a table of
// facts from the data sheet, a probe (New), and one Sense that begins a
// conversion, waits, reads, checks, and leaves the chip asleep.
//
// A driver knows neither the bus's device node nor the schedule: both are
// behind sensors.Env. docs/drivers-howto.md tells how to add a chip.
package chips

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/i2c"
)

// A device is a chip as its driver talks to it: in transactions that don't
// begin once the context has ended, with memory of its own so that a steady
// poll doesn't allocate. It is part of a sensor, which is used by one
// goroutine at a time.
type device struct {
	dev    *i2c.Dev
	others string // advice until the first answer: where else the chip can be
	out    [3]byte
	in     [26]byte
}

// newDevice is the chip at the options bus and addr; addresses are those it
// can have.
func newDevice(e sensors.Env, addresses []string) device {
	d := device{dev: e.I2C()}
	here := e.Options().Address("addr").String()
	others := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return a == here })
	if len(others) > 0 {
		d.others = "addr=" + strings.Join(others, " or addr=")
	}
	return d
}

func (d *device) tx(ctx context.Context, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.dev.Tx(w, r)
	if err == nil {
		d.others = ""
	}
	if d.others != "" && sensors.ReasonOf(err) == sensors.NoAnswer {
		return fmt.Errorf("%w; the chip can also be set to %s", err, d.others)
	}
	return err
}

// read reads n bytes from reg on. They are valid until the next read.
func (d *device) read(ctx context.Context, reg byte, n int) ([]byte, error) {
	d.out[0] = reg
	if err := d.tx(ctx, d.out[:1], d.in[:n]); err != nil {
		return nil, fmt.Errorf("read register 0x%02x: %w", reg, err)
	}
	return d.in[:n], nil
}

// write writes one byte.
func (d *device) write(ctx context.Context, reg, v byte) error {
	d.out[0], d.out[1] = reg, v
	if err := d.tx(ctx, d.out[:2], nil); err != nil {
		return fmt.Errorf("write register 0x%02x: %w", reg, err)
	}
	return nil
}

// word reads a big-endian 16-bit register.
func (d *device) word(ctx context.Context, reg byte) (uint16, error) {
	p, err := d.read(ctx, reg, 2)
	if err != nil {
		return 0, err
	}
	return uint16(p[0])<<8 | uint16(p[1]), nil
}

// writeWord writes a big-endian 16-bit register.
func (d *device) writeWord(ctx context.Context, reg byte, v uint16) error {
	d.out[0], d.out[1], d.out[2] = reg, byte(v>>8), byte(v)
	if err := d.tx(ctx, d.out[:3], nil); err != nil {
		return fmt.Errorf("write register 0x%02x: %w", reg, err)
	}
	return nil
}

// stuck tells whether all bytes are 0x00 or all 0xFF: what a bus reads whose
// data line hangs.
func stuck(p []byte) bool {
	for _, b := range p {
		if b != p[0] {
			return false
		}
	}
	return p[0] == 0x00 || p[0] == 0xff
}

// errStuck is what a register that can't be so tells.
func errStuck(what string, v any) error {
	return sensors.Errorf(sensors.Identity, "%s reads 0x%02x: the bus is stuck, or the chip has no supply: check SDA, SCL and their pull-ups", what, v)
}
