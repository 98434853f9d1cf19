package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// lm75 is a chip of the LM75 family whose configuration has one byte: TI's
// LM75 (SNIS153) and TMP75 (SBOS288), NXP's LM75B.
type lm75 struct {
	world   World
	bits    int
	oneShot bool // a TMP75
	words16
	conversion
}

func init() {
	models["lm75"] = func(w World) Chip { return &lm75{world: w, bits: 9} }
	models["lm75b"] = func(w World) Chip { return &lm75{world: w, bits: 11} }
	models["tmp75"] = func(w World) Chip { return &lm75{world: w, bits: 12, oneShot: true} }
}

const (
	lm75Shutdown = 1 << 0
	lm75OneShot  = 1 << 7
	lm75Takes    = 300 * time.Millisecond // the longest of the family
)

func (c *lm75) Reset(now sensors.Instant) {
	*c = lm75{world: c.world, bits: c.bits, oneShot: c.oneShot}
	c.regs[2], c.regs[3] = 0x4b00, 0x5000
	c.repeat(now, lm75Takes)
}

func (c *lm75) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 3
	switch {
	case len(w) < 2 || c.pointer == 0:
	case c.pointer == 1:
		was, is := c.regs[1]>>8, uint16(w[1])
		c.regs[1] = (is &^ lm75OneShot) << 8
		switch {
		case is&lm75Shutdown == 0 && was&lm75Shutdown != 0:
			c.repeat(now, lm75Takes)
		case is&lm75Shutdown != 0 && c.oneShot && is&lm75OneShot != 0:
			c.begin(now, lm75Takes)
		case is&lm75Shutdown != 0:
			c.running = false
		}
	case len(w) >= 3:
		c.regs[c.pointer] = binary.BigEndian.Uint16(w[1:]) & 0xfff0
	}
	return nil
}

func (c *lm75) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if c.pointer == 1 {
		fill(r, byte(c.regs[1]>>8))
		return nil
	}
	c.fetch(r)
	return nil
}

func (c *lm75) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok {
		c.regs[0] = uint16(code(c.world(at, "temperature"), 128/float64(int(1)<<(c.bits-1)), c.bits)) << (16 - c.bits)
	}
}
