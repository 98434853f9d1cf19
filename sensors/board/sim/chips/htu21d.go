package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// htu21d is TE's HTU21D, Sensirion's SHT21 or Silicon Labs' Si7021, which have
// one set of commands (Si7021-A20, section 5.1).
type htu21d struct {
	world       World
	id          byte // SNB3, the first of the electronic ID
	temperature time.Duration
	humidity    time.Duration
	user        byte
	answer      []byte
	ready       sensors.Instant
}

func init() {
	models["htu21d"] = func(w World) Chip {
		return &htu21d{world: w, id: 0x32, temperature: micros(50000), humidity: micros(16000)}
	}
	models["sht2x"] = func(w World) Chip {
		return &htu21d{world: w, id: 0xa3, temperature: micros(85000), humidity: micros(29000)}
	}
	models["si7021"] = func(w World) Chip {
		return &htu21d{world: w, id: 0x15, temperature: micros(10800), humidity: micros(22800)}
	}
}

func (c *htu21d) Reset(now sensors.Instant) {
	heater := c.user & 0x04
	c.user, c.answer, c.ready = 0x02|heater, nil, now.Add(15*time.Millisecond)
}

func (c *htu21d) Write(now sensors.Instant, w []byte) error {
	if now.Before(c.ready) {
		return Nack
	}
	c.answer = nil
	switch {
	case len(w) == 1 && w[0] == 0xf3:
		t := c.world(now, "temperature")
		if c.user&0x04 != 0 {
			t += 3
		}
		c.say(now, c.temperature, uint16(count(t+46.85, 175.72/16384, 14))<<2)
	case len(w) == 1 && w[0] == 0xf5:
		c.say(now, c.humidity, uint16(count(c.world(now, "humidity")+0.06, 1.25/16384, 14))<<2|2)
	case len(w) == 1 && w[0] == 0xe7:
		c.answer = []byte{c.user}
	case len(w) == 2 && w[0] == 0xe6:
		c.user = w[1]
	case len(w) == 1 && w[0] == 0xfe:
		c.Reset(now)
	case len(w) == 2 && w[0] == 0xfc && w[1] == 0xc9:
		c.say(now, 0, uint16(c.id)<<8|0xff)
	default:
		return Nack
	}
	return nil
}

// say is a word and its checksum, x⁸+x⁵+x⁴+1 beginning with 0.
func (c *htu21d) say(now sensors.Instant, after time.Duration, word uint16) {
	if c.user&0x81 != 0 { // fewer bits: 12 of a temperature, 8 of a humidity
		word &^= 0xfc
	}
	c.answer = []byte{byte(word >> 8), byte(word), crc31(uint32(word), 16)}
	c.ready = now.Add(after)
}

// crc31 is the remainder of the lowest bits of v by x⁸+x⁵+x⁴+1.
func crc31(v uint32, bits int) byte {
	rest := v << 8
	for bit := bits + 7; bit >= 8; bit-- {
		if rest>>bit&1 == 1 {
			rest ^= 0x131 << (bit - 8)
		}
	}
	return byte(rest)
}

func (c *htu21d) Read(now sensors.Instant, r []byte) error {
	if now.Before(c.ready) || c.answer == nil {
		return Nack
	}
	fill(r, 0xff)
	copy(r, c.answer)
	c.answer = nil
	return nil
}
