package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// tsl2591 is a TSL2591 (ams DS000338) below light of which a quarter is
// infrared.
type tsl2591 struct {
	world World
	bytes8
	conversion
}

func init() { models["tsl2591"] = func(w World) Chip { return &tsl2591{world: w} } }

func (c *tsl2591) Reset(sensors.Instant) {
	*c = tsl2591{world: c.world}
	c.regs[0x12] = 0x50
}

func (c *tsl2591) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	if w[0]&0xe0 != 0xa0 { // no normal command
		return nil
	}
	c.pointer = w[0] & 0x1f
	if len(w) < 2 || c.pointer > 1 {
		return nil
	}
	if c.pointer == 1 && w[1]&0x80 != 0 {
		c.Reset(now)
		return nil
	}
	c.regs[c.pointer] = w[1]
	c.conversion, c.regs[0x13] = conversion{}, 0
	if c.regs[0]&3 == 3 {
		c.repeat(now, c.time())
	}
	return nil
}

// time is that of the slowest oscillator.
func (c *tsl2591) time() time.Duration {
	return time.Duration(1+c.regs[1]&7) * 108 * time.Millisecond
}

func (c *tsl2591) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.fetch(r)
	return nil
}

func (c *tsl2591) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	gain := [4]float64{1, 25, 428, 9876}[c.regs[1]>>4&3]
	counts := c.world(at, "illuminance") / (0.75 * 0.75) * float64(100*(1+int(c.regs[1]&7))) * gain / 408
	most := uint32(65535)
	if c.regs[1]&7 == 0 {
		most = 36863
	}
	for i, v := range []uint32{count(counts, 1, 16), count(counts/4, 1, 16)} {
		v = min(v, most)
		c.regs[0x14+2*i], c.regs[0x15+2*i] = byte(v), byte(v>>8)
	}
	c.regs[0x13] = 0x01
}
