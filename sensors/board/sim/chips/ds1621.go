package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// ds1621 is Maxim's DS1621; commands are those of its data sheet 19-7540,
// table 3. Its configuration is kept in an EEPROM.
type ds1621 struct {
	world   World
	command byte
	config  byte // POL and 1SHOT
	raw     uint16
	done    bool
	conversion
}

func init() { models["ds1621"] = func(w World) Chip { return &ds1621{world: w} } }

func (c *ds1621) Reset(sensors.Instant) {
	*c = ds1621{world: c.world, config: c.config, raw: 0xc400, done: true} // -60 °C
}

func (c *ds1621) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.command = w[0]
	switch {
	case c.command == 0xee && c.config&1 != 0: // start
		c.begin(now, time.Second)
		c.done = false
	case c.command == 0xee:
		c.repeat(now, time.Second)
		c.done = false
	case c.command == 0x22: // stop: what is under way ends
		c.repeats = false
	case c.command == 0xac && len(w) >= 2:
		c.config = w[1] & 3
	}
	return nil
}

func (c *ds1621) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	fill(r, 0xff)
	switch c.command {
	case 0xaa:
		for i := range r {
			r[i] = byte(c.raw >> (8 * (1 - i%2)))
		}
	case 0xac:
		r[0] = c.config | 0x08
		if c.done {
			r[0] |= 0x80
		}
	}
	return nil
}

func (c *ds1621) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok {
		c.raw = uint16(code(c.world(at, "temperature"), 0.5, 9)) << 7
		c.done = !c.repeats
	}
}
