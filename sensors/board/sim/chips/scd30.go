package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// scd30 is Sensirion's SCD30 by its interface description, version 1.0. What it
// keeps in its memory outlasts a reset.
type scd30 struct {
	commands
	conversion
	measures bool // kept in its memory
	interval uint16
	kept     []uint16 // the last result
	fresh    bool     // it wasn't read
}

func init() {
	models["scd30"] = func(w World) Chip { return &scd30{commands: commands{world: w}, measures: true, interval: 2} }
	models["scd30-new"] = func(w World) Chip { return &scd30{commands: commands{world: w}, interval: 2} } // never told to measure
	models["scd30-slow"] = func(w World) Chip { return &scd30{commands: commands{world: w}, measures: true, interval: 5} }
}

func (c *scd30) Reset(now sensors.Instant) {
	c.commands.Reset(now)
	c.ready = now.Add(2 * time.Second)
	c.conversion, c.kept, c.fresh = conversion{}, []uint16{0, 0, 0, 0, 0, 0}, false
	if c.measures {
		c.repeat(c.ready, time.Duration(c.interval)*time.Second)
	}
}

func (c *scd30) Write(now sensors.Instant, w []byte) error {
	if now.Before(c.ready) && c.answer == nil || len(w) != 2 && len(w) != 5 {
		return Nack
	}
	c.settle(now)
	c.answer, c.ready = nil, now
	command := binary.BigEndian.Uint16(w)
	if len(w) == 5 {
		if crcSensirion(w[2:4]) != w[4] {
			return Nack
		}
		c.set(now, command, binary.BigEndian.Uint16(w[2:]))
		return nil
	}
	switch command {
	case 0x0104: // stop continuous measurement
		c.measures, c.conversion = false, conversion{}
	case 0x4600:
		c.reply(now, c.interval)
	case 0x0202: // data ready
		var ready uint16
		if c.fresh {
			ready = 1
		}
		c.reply(now, ready)
	case 0x0300: // read measurement
		c.reply(now, c.kept...)
		c.fresh = false
	case 0x5306: // automatic calibration
		c.reply(now, 1)
	case 0xd100: // firmware version
		c.reply(now, 0x0342)
	case 0xd304: // soft reset
		c.Reset(now)
	default:
		return Nack
	}
	return nil
}

// reply has an answer after 3 ms, in which it can be asked again.
func (c *scd30) reply(now sensors.Instant, words ...uint16) { c.say(now, 3*time.Millisecond, words...) }

func (c *scd30) set(now sensors.Instant, command, argument uint16) {
	switch command {
	case 0x0010: // continuous measurement, with a pressure in mbar or 0
		if !c.measures {
			c.measures = true
			c.repeat(now, time.Duration(c.interval)*time.Second)
		}
	case 0x4600:
		if argument >= 2 && argument <= 1800 {
			c.interval = argument
			if c.measures {
				c.repeat(now, time.Duration(argument)*time.Second)
			}
		}
	}
}

func (c *scd30) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	c.kept = c.kept[:0]
	for _, v := range []float64{c.world(at, "carbon_dioxide"), c.world(at, "temperature"), 100 * c.world(at, "humidity")} {
		bits := math.Float32bits(float32(v))
		c.kept = append(c.kept, uint16(bits>>16), uint16(bits))
	}
	c.fresh = true
}
