package chips

import (
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// bh1750 is Rohm's BH1750FVI; pages are those of its data sheet, revision D.
type bh1750 struct {
	world World
	on    bool
	mode  byte // of the measurement under way
	time  byte // MTreg
	data  uint16
	conversion
}

func init() { models["bh1750"] = func(w World) Chip { return &bh1750{world: w} } }

// bh1750Time is MTreg after power-up: page 11.
const bh1750Time = 69

func (c *bh1750) Reset(sensors.Instant) { *c = bh1750{world: c.world, time: bh1750Time} }

// Write takes the instructions of page 5.
func (c *bh1750) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	for _, instruction := range w {
		switch {
		case instruction == 0x00:
			c.on, c.running = false, false
		case instruction == 0x01:
			c.on = true
		case instruction == 0x07 && c.on:
			c.data = 0
		case instruction&^0x07 == 0x40:
			c.time = instruction<<5 | c.time&0x1f
		case instruction&^0x1f == 0x60:
			c.time = c.time&0xe0 | instruction&0x1f
		case c.on && (instruction&^0x03 == 0x10 || instruction&^0x03 == 0x20) && instruction&3 != 2:
			takes := 180 * time.Millisecond // page 2, the longest
			if instruction&3 == 3 {
				takes = 24 * time.Millisecond
			}
			takes = takes * time.Duration(c.time) / bh1750Time
			c.mode = instruction
			if instruction&^3 == 0x20 {
				c.begin(now, takes)
			} else {
				c.repeat(now, takes)
			}
		}
	}
	return nil
}

func (c *bh1750) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	for i := range r {
		r[i] = byte(c.data >> (8 * (1 - i%2)))
	}
	return nil
}

func (c *bh1750) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	counts := c.world(at, "illuminance") * 1.2 * float64(c.time) / bh1750Time // pages 7 and 11
	if c.mode&3 == 1 {
		counts *= 2
	}
	c.data = uint16(min(math.Round(counts), 0xffff))
	c.on = c.on && c.repeats // after one measurement it powers down
}
