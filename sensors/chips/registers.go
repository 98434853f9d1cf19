// Package chips drives sensor chips on an I2C bus, one file each: a table of
// facts from the data sheet, a probe (New), and one Sense that begins a
// conversion, waits, reads, checks, and leaves the chip asleep.
//
// A driver knows neither the bus's device node nor the schedule: both are
// behind sensors.Env. docs/drivers-howto.md tells how to add a chip.
package chips

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/crc"
	"periph.io/x/conn/v3/i2c"
)

// A device is a chip as its driver talks to it: in transactions that don't
// begin once the context has ended, with memory of its own so that a steady
// poll doesn't allocate. It is part of a sensor, which is used by one
// goroutine at a time.
type device struct {
	dev    *i2c.Dev
	others string // advice until the first answer: where else the chip can be
	out    [2]byte
	in     []byte // the last answer as it came
	data   []byte // and without its checksums
	// refusal is why the last read of a poll had no answer.
	refusal error
	trace   *slog.Logger // of each transaction; nil: not wanted
}

// longest is how many bytes a driver by hand reads at most in one transaction.
const longest = 32

// newDevice is the chip at the options bus and addr; addresses are those it
// can have.
func newDevice(e sensors.Env, addresses []string) device {
	d := device{dev: e.I2C(), in: make([]byte, longest), data: make([]byte, longest)}
	here := e.Options().Address("addr").String()
	if log := e.Log(); log.Enabled(context.Background(), slog.LevelDebug) {
		d.trace = log
	}
	others := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return a == here })
	switch n := len(others); {
	case n > 3:
		d.others = fmt.Sprintf("another address from %s to %s", addresses[0], addresses[len(addresses)-1])
	case n > 0:
		d.others = "addr=" + strings.Join(others, " or addr=")
	}
	return d
}

func (d *device) tx(ctx context.Context, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.dev.Tx(w, r)
	if d.trace != nil {
		d.trace.Debug("I2C transaction", "wrote", fmt.Sprintf("% x", w), "read", fmt.Sprintf("% x", r), "err", err)
	}
	if d.others == "" {
		return err
	}
	if err == nil {
		d.others = ""
		return nil
	}
	if sensors.ReasonOf(err) == sensors.NoAnswer {
		return fmt.Errorf("%w; the chip can also be set to %s", err, d.others)
	}
	return err
}

// acquireBus keeps the bus for the transactions until releaseBus, where that can
// be: else the others' transactions come between, those of nine sensors at the
// worst.
func (d *device) acquireBus() {
	if bus, ok := d.dev.Bus.(sensors.ExclusiveBus); ok {
		bus.Acquire()
	}
}

func (d *device) releaseBus() {
	if bus, ok := d.dev.Bus.(sensors.ExclusiveBus); ok {
		bus.Release()
	}
}

// read reads n bytes from reg on. They are valid until the next read.
func (d *device) read(ctx context.Context, reg byte, n int) ([]byte, error) {
	d.out[0] = reg
	if err := d.tx(ctx, d.out[:1], d.in[:n]); err != nil {
		return nil, fmt.Errorf("read register 0x%02x: %w", reg, err)
	}
	return d.in[:n], nil
}

// readTwice is read for what is kept and has no checksum: a second read must
// give the same.
func (d *device) readTwice(ctx context.Context, reg byte, n int) ([]byte, error) {
	p, err := d.read(ctx, reg, n)
	if err != nil {
		return nil, err
	}
	first := d.data[:copy(d.data, p)]
	if p, err = d.read(ctx, reg, n); err != nil {
		return nil, err
	}
	if !bytes.Equal(first, p) {
		return nil, errUnequal(fmt.Sprintf("register 0x%02x", reg), first, p)
	}
	return p, nil
}

// errUnequal is what two reads tell that should be the same.
func errUnequal(what string, first, second []byte) error {
	return sensors.Errorf(sensors.Checksum, "%s reads 0x%x and then 0x%x, and should stay the same: the bus is disturbed, or another program uses the chip", what, first, second)
}

// readChecked writes w, if there is any, reads n bytes, checksums not counted,
// and checks them. What it returns is valid until the next read.
func (d *device) readChecked(ctx context.Context, w []byte, sum *checksum, n int) ([]byte, error) {
	raw := d.in[:sum.raw(n)]
	if err := d.tx(ctx, w, raw); err != nil {
		return nil, err
	}
	if sum == nil {
		return d.data[:copy(d.data, raw)], nil
	}
	begin := sum.init
	if sum.smbus {
		// System Management Bus specification 3.1, section 6.4: the sum is of all
		// bytes on the bus.
		if len(w) > 0 {
			begin = crc.Sum8(sum.poly, begin, byte(d.dev.Addr<<1))
			begin = crc.Sum8(sum.poly, begin, w...)
		}
		begin = crc.Sum8(sum.poly, begin, byte(d.dev.Addr<<1|1))
	}
	data := d.data[:0]
	for at := 0; at < len(raw); at += sum.every + 1 {
		word, got := raw[at:at+sum.every], raw[at+sum.every]
		if want := crc.Sum8(sum.poly, begin, word...); got != want {
			return nil, sensors.Errorf(sensors.Checksum, "the answer % x has the checksum 0x%02x and not 0x%02x: the bus is disturbed or stuck, or another chip answers", raw, got, want)
		}
		data = append(data, word...)
	}
	return data, nil
}

// raw is how many bytes an answer with n bytes of data has.
func (c *checksum) raw(n int) int {
	if c == nil {
		return n
	}
	return n + n/c.every
}

// write writes one byte.
func (d *device) write(ctx context.Context, reg, v byte) error {
	d.out[0], d.out[1] = reg, v
	if err := d.tx(ctx, d.out[:2], nil); err != nil {
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

// errStuck is what a register that can't be so tells. Where another chip on the
// bus answers as it did before, the bus isn't to blame.
func (d *device) errStuck(what string, v any) error {
	if bus, ok := d.dev.Bus.(sensors.Witness); ok {
		if other, ok := bus.Witness(d.dev.Addr); ok {
			return sensors.Errorf(sensors.Identity, "%s reads 0x%02x, while the chip at %s answers as it should: this is another chip, or it has no supply", what, v, sensors.Address(other))
		}
	}
	return sensors.Errorf(sensors.Identity, "%s reads 0x%02x: %w, or the chip has no supply: check SDA, SCL and their pull-ups", what, v, sensors.ErrStuck)
}
