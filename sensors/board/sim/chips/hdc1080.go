package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// hdc1080 is TI's HDC1080; sections are those of its data sheet, SNAS672A.
type hdc1080 struct {
	world World
	words16
	conversion
}

func init() { models["hdc1080"] = func(w World) Chip { return &hdc1080{world: w} } }

func (c *hdc1080) Reset(sensors.Instant) {
	*c = hdc1080{world: c.world}
	c.regs[2] = 0x1000
	c.regs[0xfb], c.regs[0xfc], c.regs[0xfd] = 0x0412, 0xa5f0, 0x3300
	c.regs[0xfe], c.regs[0xff] = 0x5449, 0x1050
}

func (c *hdc1080) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	switch {
	case len(w) >= 3 && c.pointer == 2:
		c.regs[2] = binary.BigEndian.Uint16(w[1:]) & 0x3700
	case len(w) == 1 && c.pointer <= 1: // section 8.5.1: to point at a result begins
		c.begin(now, 13*time.Millisecond)
	}
	return nil
}

// read goes on to the next register, and doesn't acknowledge as long as a
// measurement is under way, or none was made: section 8.5.2.
func (c *hdc1080) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if c.pointer <= 1 && (c.running || c.regs[0] == 0 && c.regs[1] == 0) {
		return Nack
	}
	for i := range r {
		r[i] = byte(c.regs[c.pointer+byte(i/2)] >> (8 * (1 - i%2)))
	}
	return nil
}

func (c *hdc1080) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	t := c.world(at, "temperature")
	if c.regs[2]&0x2000 != 0 { // the heater
		t += 3
	}
	temperature, humidity := uint16(count(t+40, 165.0/65536, 16)), uint16(count(c.world(at, "humidity"), 1.0/65536, 16))
	both := c.regs[2]&0x1000 != 0 // one after the other: section 8.6.3
	if both || c.pointer == 0 {
		c.regs[0] = temperature &^ 3
		if c.regs[2]&0x0400 != 0 { // 11 bits
			c.regs[0] &^= 0x1f
		}
	}
	if both || c.pointer == 1 {
		c.regs[1] = humidity &^ 3
		if c.regs[2]&0x0300 != 0 {
			c.regs[1] &^= 0x3f
		}
	}
}
