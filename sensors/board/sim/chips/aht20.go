package chips

import (
	"bytes"
	"time"

	"example.org/dormouse/sensors"
)

// aht20 is Aosong's AHT20 (version 1.1) or AHT10, which has no checksum and is
// not calibrated until it is told so.
type aht20 struct {
	world  World
	old    bool // an AHT10
	status byte
	data   [5]byte
	booted sensors.Instant
	conversion
}

func init() {
	models["aht20"] = func(w World) Chip { return &aht20{world: w} }
	models["aht10"] = func(w World) Chip { return &aht20{world: w, old: true} }
}

func (c *aht20) Reset(now sensors.Instant) {
	*c = aht20{world: c.world, old: c.old, status: 0x10, booted: now}
	if !c.old {
		c.status |= 0x08
	}
}

func (c *aht20) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	switch {
	case now.Before(c.booted.Add(100 * time.Millisecond)):
		return Nack // section 5.4: it wants so long after power-up
	case len(w) == 3 && bytes.Equal(w[1:], []byte{0x08, 0x00}) && (w[0] == 0xe1 || w[0] == 0xbe):
		c.status |= 0x08
	case bytes.Equal(w, []byte{0xac, 0x33, 0x00}):
		c.begin(now, 80*time.Millisecond)
	case bytes.Equal(w, []byte{0xba}):
		c.Reset(now)
	}
	return nil
}

func (c *aht20) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	if now.Before(c.booted.Add(100 * time.Millisecond)) {
		return Nack
	}
	status := c.status
	if c.running {
		status |= 0x80
	}
	answer := append([]byte{status}, c.data[:]...)
	if !c.old {
		answer = append(answer, crcOf(answer))
	}
	fill(r, 0xff)
	copy(r, answer)
	return nil
}

func (c *aht20) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	h, t := count(c.world(at, "humidity"), 1.0/(1<<20), 20), count(c.world(at, "temperature")+50, 200.0/(1<<20), 20)
	c.data = [5]byte{byte(h >> 12), byte(h >> 4), byte(h<<4) | byte(t>>16), byte(t >> 8), byte(t)}
}

// crcOf is x⁸+x⁵+x⁴+1 beginning with 0xff, of any number of bytes, bit by bit.
func crcOf(data []byte) byte {
	sum := byte(0xff)
	for _, b := range data {
		for bit := 7; bit >= 0; bit-- {
			carry := sum>>7 != b>>bit&1
			sum <<= 1
			if carry {
				sum ^= 0x31
			}
		}
	}
	return sum
}
