package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// commands is a chip of 16-bit commands in Sensirion's manner: an answer is
// read once, with a checksum after each word, and until it is ready the chip
// doesn't acknowledge.
type commands struct {
	world  World
	answer []byte
	ready  sensors.Instant // until when it acknowledges nothing
	heater bool
	asleep bool
	// periodic tells that it measures by itself, and hears few commands.
	periodic bool
}

func (c *commands) Reset(now sensors.Instant) {
	*c = commands{world: c.world, ready: now.Add(time.Millisecond)}
}

func (c *commands) say(now sensors.Instant, after time.Duration, words ...uint16) {
	c.answer = nil
	for _, w := range words {
		c.answer = binary.BigEndian.AppendUint16(c.answer, w)
		c.answer = append(c.answer, crcSensirion(c.answer[len(c.answer)-2:]))
	}
	c.ready = now.Add(after)
}

func (c *commands) Read(now sensors.Instant, r []byte) error {
	if now.Before(c.ready) || c.answer == nil || c.asleep {
		return Nack
	}
	fill(r, 0xff) // beyond its end nobody drives the bus
	copy(r, c.answer)
	c.answer = nil
	return nil
}

// temperature is warmed by the chip's heater.
func (c *commands) temperature(at sensors.Instant) float64 {
	t := c.world(at, "temperature")
	if c.heater {
		t += 3
	}
	return t
}

// sht3x is Sensirion's SHT3x or STS3x (section 4 of the SHT3x data sheet,
// version 6), or TI's HDC302x (SNAS778), which has other identities.
type sht3x struct {
	commands
	humid bool
	ti    bool
}

func init() {
	models["sht3x"] = func(w World) Chip { return &sht3x{commands: commands{world: w}, humid: true} }
	models["sts3x"] = func(w World) Chip { return &sht3x{commands: commands{world: w}} }
	models["hdc302x"] = func(w World) Chip { return &sht3x{commands: commands{world: w}, humid: true, ti: true} }
}

func (c *sht3x) Reset(now sensors.Instant) { c.commands.Reset(now) }

var (
	sht3xTimes   = map[uint16]time.Duration{0x2400: micros(15500), 0x240b: micros(6500), 0x2416: micros(4500)}
	hdc302xTimes = map[uint16]time.Duration{0x2400: micros(15000), 0x240b: micros(9000), 0x2416: micros(6000), 0x24ff: micros(4500)}
)

func (c *sht3x) Write(now sensors.Instant, w []byte) error {
	if now.Before(c.ready) || len(w) != 2 {
		return Nack
	}
	command, times := binary.BigEndian.Uint16(w), sht3xTimes
	if c.ti {
		times = hdc302xTimes
	}
	c.answer = nil
	switch takes, measures := times[command]; {
	case command == 0x3093: // break
		c.periodic = false
	case c.periodic:
		return Nack
	case measures:
		t := sixteen((c.temperature(now) + 45) / 175)
		if c.humid {
			c.say(now, takes, t, sixteen(c.world(now, "humidity")))
		} else {
			c.say(now, takes, t)
		}
	case command == 0x2032 || command == 0x2130: // one measurement in two seconds, or one a second
		c.periodic = true
	case command == 0x3066, command == 0x306d:
		c.heater = command == 0x306d
	case command == 0xf32d: // status
		status := uint16(0x8010)
		if c.heater {
			status |= 0x2000
		}
		c.say(now, 0, status)
	case command == 0x30a2: // soft reset
		c.Reset(now)
	default:
		return c.identify(now, command)
	}
	return nil
}

func (c *sht3x) identify(now sensors.Instant, command uint16) error {
	switch {
	case !c.ti && command == 0x3682:
		c.say(now, time.Millisecond, 0x0e3a, 0x51c7)
	case c.ti && command == 0x3781:
		c.say(now, 0, 0x3000)
	case c.ti && command >= 0x3683 && command <= 0x3685:
		c.say(now, 0, 0x1b40+command)
	default:
		return Nack
	}
	return nil
}

// shtc3 is Sensirion's SHTC3; sections are those of its data sheet, version 3.
type shtc3 struct{ commands }

func init() { models["shtc3"] = func(w World) Chip { return &shtc3{commands{world: w}} } }

func (c *shtc3) Reset(now sensors.Instant) {
	c.commands.Reset(now)
	c.ready = now.Add(micros(240))
}

func (c *shtc3) Write(now sensors.Instant, w []byte) error {
	if len(w) != 2 || now.Before(c.ready) {
		return Nack
	}
	command := binary.BigEndian.Uint16(w)
	if c.asleep && command != 0x3517 { // section 5.1
		return Nack
	}
	c.answer = nil
	t, h := c.temperature(now), c.world(now, "humidity")
	switch command {
	case 0x3517: // wake up
		c.asleep, c.ready = false, now.Add(micros(240))
	case 0xb098: // sleep
		c.asleep = true
	case 0xefc8: // ID
		c.say(now, 0, 0x0887)
	case 0x7866, 0x609c: // temperature first, normal and low power
		takes := micros(12100)
		if command == 0x609c {
			takes = micros(800)
		}
		c.say(now, takes, uint16(count(t+45, 175.0/65536, 16)), uint16(count(h, 1.0/65536, 16)))
	case 0x805d: // soft reset
		c.Reset(now)
	default:
		return Nack
	}
	return nil
}
