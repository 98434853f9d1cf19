package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// adt7410 is Analog Devices' ADT7410; tables are those of its data sheet,
// revision C.
type adt7410 struct {
	world World
	bytes8
	conversion
}

func init() { models["adt7410"] = func(w World) Chip { return &adt7410{world: w} } }

func (c *adt7410) Reset(now sensors.Instant) {
	*c = adt7410{world: c.world}
	copy(c.regs[4:], []byte{0x20, 0x00, 0x05, 0x00, 0x49, 0x80, 0x05, 0xcb}) // limits, hysteresis, ID
	c.repeat(now, 240*time.Millisecond)
}

func (c *adt7410) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 0x3f
	if w[0] == 0x2f {
		c.Reset(now)
		return nil
	}
	for i, v := range w[1:] {
		switch reg := int(c.pointer) + i; {
		case reg == 3: // configuration, table 11
			c.regs[3] = v
			c.running = false
			switch v >> 5 & 3 {
			case 1:
				c.begin(now, 240*time.Millisecond)
			case 0, 2:
				c.repeat(now, 240*time.Millisecond)
			}
		case reg >= 4 && reg <= 10:
			c.regs[reg] = v
		}
	}
	return nil
}

func (c *adt7410) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if c.running { // table 10: the status reads busy
		c.regs[2] |= 0x80
	} else {
		c.regs[2] &^= 0x80
	}
	c.fetch(r)
	return nil
}

func (c *adt7410) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	v := uint16(code(c.world(at, "temperature"), 1.0/128, 16))
	if c.regs[3]&0x80 == 0 { // 13 bits and three flags
		v &^= 7
	}
	c.regs[0], c.regs[1] = byte(v>>8), byte(v)
	if !c.repeats {
		c.regs[3] |= 3 << 5 // shut down
	}
}
