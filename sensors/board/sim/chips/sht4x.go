package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// sht4x is Sensirion's SHT4x; sections and tables are those of its data sheet,
// version 6.5.
type sht4x struct {
	world  World
	answer []byte          // what the next read gets; nil: nothing to tell
	ready  sensors.Instant // until when it acknowledges nothing
}

// sht4xSerial is this chip's serial number.
const sht4xSerial = 0x0d05e1a7

// Commands (table 8) with the longest time they take (tables 5 and 6).
var sht4xMeasures = map[byte]time.Duration{
	0xfd: micros(8300), // high precision
	0xf6: micros(4500), // medium
	0xe0: micros(1600), // low
	// heater on at 200, 110 and 20 mW for 1 s or 0.1 s, then high precision
	0x39: micros(1.1e6), 0x32: micros(1.1e5),
	0x2f: micros(1.1e6), 0x24: micros(1.1e5),
	0x1e: micros(1.1e6), 0x15: micros(1.1e5),
}

func init() { models["sht4x"] = func(w World) Chip { return &sht4x{world: w} } }

func (c *sht4x) Reset(now sensors.Instant) {
	c.answer, c.ready = nil, now.Add(time.Millisecond) // table 5: power-up
}

func (c *sht4x) Write(now sensors.Instant, w []byte) error {
	if now.Before(c.ready) || len(w) != 1 {
		return Nack
	}
	switch command := w[0]; command {
	case 0x94: // soft reset
		c.Reset(now)
	case 0x89: // serial number
		c.answer, c.ready = words(sht4xSerial>>16, sht4xSerial&0xffff), now.Add(time.Millisecond)
	default:
		takes, ok := sht4xMeasures[command]
		if !ok {
			return Nack
		}
		// Section 4.6: T = -45 + 175 S/65535, RH = -6 + 125 S/65535.
		c.answer = words(sixteen((c.world(now, "temperature")+45)/175), sixteen((100*c.world(now, "humidity")+6)/125))
		c.ready = now.Add(takes)
	}
	return nil
}

// read gives an answer once; the chip doesn't acknowledge while it is busy or
// has nothing to tell (section 4.3).
func (c *sht4x) Read(now sensors.Instant, r []byte) error {
	if now.Before(c.ready) || c.answer == nil {
		return Nack
	}
	fill(r, 0xff) // beyond its end nobody drives the bus
	copy(r, c.answer)
	c.answer = nil
	return nil
}

// Busy tells that the chip acknowledges nothing at a moment.
func (c *sht4x) Busy(at sensors.Instant) bool { return at.Before(c.ready) }

func sixteen(ratio float64) uint16 {
	return uint16(math.Round(min(max(ratio, 0), 1) * 65535))
}

// words are two words, each followed by its checksum.
func words(a, b uint16) []byte {
	var out []byte
	for _, w := range []uint16{a, b} {
		out = binary.BigEndian.AppendUint16(out, w)
		out = append(out, crcSensirion(out[len(out)-2:]))
	}
	return out
}

// crcSensirion is x⁸+x⁵+x⁴+1 beginning with 0xff, section 4.4, by long
// division of one number.
func crcSensirion(word []byte) byte {
	rest := (uint32(word[0])<<8|uint32(word[1]))<<8 ^ 0xff0000
	for bit := 23; bit >= 8; bit-- {
		if rest>>bit&1 == 1 {
			rest ^= 0x131 << (bit - 8)
		}
	}
	return byte(rest)
}
