package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// ltr559 is an LTR-559ALS-01 below light with as much infrared as a third of
// what its other diode sees.
type ltr559 struct {
	world World
	bytes8
	conversion
}

func init() { models["ltr559"] = func(w World) Chip { return &ltr559{world: w} } }

func (c *ltr559) Reset(sensors.Instant) {
	*c = ltr559{world: c.world}
	c.regs[0x85], c.regs[0x86], c.regs[0x87] = 0x03, 0x92, 0x05
}

func (c *ltr559) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	if len(w) < 2 || c.pointer != 0x80 && c.pointer != 0x85 {
		return nil
	}
	if c.pointer == 0x80 && w[1]&0x02 != 0 {
		c.Reset(now)
		return nil
	}
	c.regs[c.pointer] = w[1]
	c.conversion = conversion{}
	if c.regs[0x80]&1 != 0 {
		c.repeat(now.Add(10*time.Millisecond), max(c.integration(), c.rate())*11/10)
	}
	return nil
}

func (c *ltr559) integration() time.Duration {
	return [8]time.Duration{100, 50, 200, 400, 150, 250, 300, 350}[c.regs[0x85]>>3&7] * time.Millisecond
}

func (c *ltr559) rate() time.Duration {
	return [8]time.Duration{50, 100, 200, 500, 1000, 2000, 2000, 2000}[c.regs[0x85]&7] * time.Millisecond
}

func (c *ltr559) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if last := int(c.pointer) + len(r) - 1; c.pointer <= 0x8b && last >= 0x8b {
		defer func() { c.regs[0x8c] &^= 0x04 }()
	}
	c.fetch(r)
	return nil
}

func (c *ltr559) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	gain := [8]float64{1, 2, 4, 8, 0, 0, 48, 96}[c.regs[0x80]>>2&7]
	counts := c.world(at, "illuminance") / (1.7743 + 1.1059/3) * gain * c.integration().Seconds() * 10
	for i, v := range []uint32{count(counts/3, 1, 16), count(counts, 1, 16)} {
		c.regs[0x88+2*i], c.regs[0x89+2*i] = byte(v), byte(v>>8)
	}
	c.regs[0x8c] = 0x04 | c.regs[0x80]&0x1c<<2
}
