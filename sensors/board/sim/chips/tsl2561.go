package chips

import (
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// tsl2561 is a TSL2561T (TAOS059N) below light of which a quarter is infrared.
type tsl2561 struct {
	world World
	bytes8
	conversion
}

func init() { models["tsl2561"] = func(w World) Chip { return &tsl2561{world: w} } }

func (c *tsl2561) Reset(sensors.Instant) {
	*c = tsl2561{world: c.world}
	c.regs[0x01], c.regs[0x0a] = 0x02, 0x50
}

func (c *tsl2561) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	if w[0]&0x80 == 0 { // no command
		return nil
	}
	c.pointer = w[0] & 0x0f
	if len(w) < 2 || c.pointer > 1 {
		return nil
	}
	c.regs[c.pointer] = w[1] & [2]byte{0x03, 0x1b}[c.pointer]
	c.conversion = conversion{}
	if c.regs[0] == 3 && c.regs[1]&3 != 3 {
		nominal := [3]float64{13700, 101000, 402000}[c.regs[1]&3]
		c.repeat(now, time.Duration(nominal*735/690)*time.Microsecond) // the slowest oscillator
	}
	return nil
}

func (c *tsl2561) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.fetch(r)
	return nil
}

func (c *tsl2561) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	counts := c.world(at, "illuminance") / (0.0304 - 0.062*math.Pow(0.25, 1.4))
	if c.regs[1]&0x10 == 0 {
		counts /= 16
	}
	counts *= [3]float64{0.034, 0.252, 1}[c.regs[1]&3]
	for i, v := range []uint32{count(counts, 1, 16), count(counts/4, 1, 16)} {
		c.regs[0x0c+2*i], c.regs[0x0d+2*i] = byte(v), byte(v>>8)
	}
}
