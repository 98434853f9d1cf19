package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// tmp117 is TI's TMP117; sections are those of its data sheet, SNOSD82D.
type tmp117 struct {
	world World
	words16
	conversion
}

func init() { models["tmp117"] = func(w World) Chip { return &tmp117{world: w} } }

const tmp117Ready = 0x2000 // Data_Ready, section 7.6.3

func (c *tmp117) Reset(now sensors.Instant) {
	*c = tmp117{world: c.world}
	c.regs[0], c.regs[1], c.regs[2], c.regs[3], c.regs[15] = 0x8000, 0x0220, 0x6000, 0x8000, 0x0117
	c.repeat(now, c.takes())
}

// takes is by AVG, at the longest 17.5 ms a sample; the pauses of the
// continuous mode aren't modelled.
func (c *tmp117) takes() time.Duration {
	return micros(17500) * [4]time.Duration{1, 8, 32, 64}[c.regs[1]>>5&3]
}

func (c *tmp117) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 0x0f
	if len(w) < 3 {
		return nil
	}
	v := binary.BigEndian.Uint16(w[1:])
	switch {
	case c.pointer == 1 && v&2 != 0: // Soft_Reset
		c.Reset(now)
	case c.pointer == 1:
		c.regs[1] = v&0x0ffc | c.regs[1]&tmp117Ready
		c.running = false
		switch v >> 10 & 3 {
		case 3:
			c.begin(now, c.takes())
		case 0, 2:
			c.repeat(now, c.takes())
		}
	case c.pointer >= 2 && c.pointer <= 8:
		c.regs[c.pointer] = v
	}
	return nil
}

func (c *tmp117) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.fetch(r)
	if c.pointer <= 1 {
		c.regs[1] &^= tmp117Ready
	}
	return nil
}

func (c *tmp117) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok {
		c.regs[0] = uint16(code(c.world(at, "temperature"), 1.0/128, 16))
		c.regs[1] |= tmp117Ready
		if !c.repeats { // one shot: it is shut down
			c.regs[1] = c.regs[1]&^0x0c00 | 0x0400
		}
	}
}
