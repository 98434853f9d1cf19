package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// mcp9808 is Microchip's MCP9808; sections are those of its data sheet,
// DS25095A.
type mcp9808 struct {
	world World
	words16
	resolution byte
	conversion
}

func init() { models["mcp9808"] = func(w World) Chip { return &mcp9808{world: w} } }

func (c *mcp9808) Reset(now sensors.Instant) {
	*c = mcp9808{world: c.world, resolution: 3}
	c.regs[6], c.regs[7] = 0x0054, 0x0400
	c.repeat(now, c.duration())
}

// duration is typical, section 5.2.4, and a fifth more.
func (c *mcp9808) duration() time.Duration {
	return [4]time.Duration{30, 65, 130, 250}[c.resolution&3] * time.Millisecond * 6 / 5
}

func (c *mcp9808) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 0x0f // section 5.1
	switch {
	case c.pointer == 8 && len(w) >= 2:
		c.resolution = w[1] & 3
	case c.pointer == 1 && len(w) >= 3:
		was := c.regs[1]
		c.regs[1] = binary.BigEndian.Uint16(w[1:]) & 0x07ff
		if asleep := c.regs[1]&(1<<8) != 0; asleep {
			c.running = false
		} else if was&(1<<8) != 0 {
			c.repeat(now, c.duration())
		}
	case c.pointer >= 2 && c.pointer <= 4 && len(w) >= 3:
		c.regs[c.pointer] = binary.BigEndian.Uint16(w[1:]) & 0x1ffc
	}
	return nil
}

func (c *mcp9808) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if c.pointer == 8 {
		fill(r, c.resolution)
		return nil
	}
	c.fetch(r)
	return nil
}

func (c *mcp9808) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok { // section 5.1.3, with the limits at 0
		c.regs[5] = uint16(code(c.world(at, "temperature"), 0.0625, 13)) | 0xc000
	}
}
