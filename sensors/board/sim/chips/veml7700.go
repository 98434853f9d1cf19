package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// veml7700 is a VEML7700 with an oscillator that is a fifth slow.
type veml7700 struct {
	world World
	regs  [8]uint16 // the low byte stands first on the bus
	at    byte
	conversion
}

func init() { models["veml7700"] = func(w World) Chip { return &veml7700{world: w} } }

func (c *veml7700) Reset(sensors.Instant) {
	*c = veml7700{world: c.world}
	c.regs[0], c.regs[7] = 0x0001, 0xc481
}

// times are the integration's by bits 9 to 6 of ALS_CONF, in ms.
var veml7700Times = map[uint16]float64{0b1100: 25, 0b1000: 50, 0: 100, 1: 200, 2: 400, 3: 800}

func (c *veml7700) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.at = w[0] & 7
	if len(w) < 3 || c.at > 3 {
		return nil
	}
	c.regs[c.at] = uint16(w[1]) | uint16(w[2])<<8
	if c.at != 0 {
		return nil
	}
	c.conversion = conversion{}
	if ms, ok := veml7700Times[c.regs[0]>>6&15]; ok && c.regs[0]&1 == 0 {
		c.repeat(now.Add(2500*time.Microsecond), micros(1200*ms))
	}
	return nil
}

func (c *veml7700) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	for i := range r {
		r[i] = byte(c.regs[c.at] >> (8 * (i % 2)))
	}
	return nil
}

func (c *veml7700) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	gain := [4]float64{1, 2, 0.125, 0.25}[c.regs[0]>>11&3]
	step := 0.0036 * (800 / veml7700Times[c.regs[0]>>6&15]) * (2 / gain)
	c.regs[4] = uint16(count(c.world(at, "illuminance"), step, 16))
	c.regs[5] = uint16(count(2*c.world(at, "illuminance"), step, 16))
}
