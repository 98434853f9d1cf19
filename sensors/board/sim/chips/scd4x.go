package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// scd4x is Sensirion's SCD40 or SCD41, by their data sheet's list of commands.
type scd4x struct {
	commands
	conversion
	single bool     // an SCD41
	result []uint16 // that wasn't read yet
}

func init() {
	models["scd40"] = func(w World) Chip { return &scd4x{commands: commands{world: w}} }
	models["scd41"] = func(w World) Chip { return &scd4x{commands: commands{world: w}, single: true} }
}

func (c *scd4x) Reset(now sensors.Instant) {
	c.commands.Reset(now)
	c.ready = now.Add(time.Second) // after power-up
	c.conversion, c.result = conversion{}, nil
}

func (c *scd4x) Write(now sensors.Instant, w []byte) error {
	if len(w) != 2 || now.Before(c.ready) {
		return Nack
	}
	c.settle(now)
	command := binary.BigEndian.Uint16(w)
	if c.periodic && command != 0xec05 && command != 0xe4b8 && command != 0x3f86 { // no others are heard
		return Nack
	}
	c.answer = nil
	switch command {
	case 0x21b1: // start periodic measurement
		c.periodic, c.result = true, nil
		c.repeat(now, 5*time.Second)
	case 0x3f86: // stop it
		c.periodic, c.conversion, c.ready = false, conversion{}, now.Add(500*time.Millisecond)
	case 0x219d: // single shot
		if !c.single {
			return Nack
		}
		c.begin(now, 5*time.Second)
		c.ready = now.Add(5 * time.Second)
	case 0xe4b8: // data ready
		status := uint16(0x8000)
		if c.result != nil {
			status |= 6
		}
		c.say(now, time.Millisecond, status)
	case 0xec05: // read measurement
		if c.result != nil {
			c.say(now, time.Millisecond, c.result...)
		}
		c.result = nil
	case 0x3682: // serial number
		c.say(now, time.Millisecond, 0xf896, 0x9f07, 0x3bbe)
	case 0x3646: // reinitialise
		c.commands.Reset(now)
		c.ready = now.Add(30 * time.Millisecond)
	default:
		return Nack
	}
	return nil
}

func (c *scd4x) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok {
		c.result = []uint16{uint16(count(c.world(at, "carbon_dioxide"), 1, 16)), sixteen((c.world(at, "temperature") + 45) / 175), sixteen(c.world(at, "humidity"))}
	}
}
