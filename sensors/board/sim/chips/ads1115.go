package chips

import (
	"encoding/binary"
	"fmt"
	"math"

	"example.org/dormouse/sensors"
)

// ads1115 is Texas Instruments' ADS1115; sections and tables are those of its
// data sheet SBAS444, revision D.
type ads1115 struct {
	world     World
	pointer   byte
	registers [4]uint16 // conversion, config, Lo_thresh, Hi_thresh
	latched   uint16    // config of the conversion under way
	started   sensors.Instant
	ready     sensors.Instant
	running   bool
	short     bool // an ADS1015: 12 bits, and other rates
}

// Bits of the config register, table 8.
const (
	adsStart  = 1 << 15 // written: begin; read: no conversion is under way
	adsSingle = 1 << 8
)

func init() {
	models["ads1115"] = func(w World) Chip { return &ads1115{world: w} }
	models["ads1015"] = func(w World) Chip { return &ads1115{world: w, short: true} }
}

func (c *ads1115) Reset(now sensors.Instant) {
	*c = ads1115{world: c.world, short: c.short, registers: [4]uint16{0, 0x8583, 0x8000, 0x7fff}} // tables 7 to 9
}

func (c *ads1115) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 3
	if len(w) < 3 || c.pointer == 0 {
		return nil
	}
	v := binary.BigEndian.Uint16(w[1:])
	if c.pointer != 1 {
		c.registers[c.pointer] = v
		return nil
	}
	c.registers[1] = v &^ adsStart
	switch {
	// A start is heard in power-down only; continuous mode needs none.
	case v&adsSingle == 0 || v&adsStart != 0 && !c.running:
		c.running, c.latched = true, v
		c.started, c.ready = now, now.Add(micros(1.1e6/c.rate(v))) // ±10 %, section 6.5
	case c.running && c.latched&adsSingle == 0: // section 7.4.2: it ends the conversion under way
		c.latched |= adsSingle
		c.started, c.ready = now, now.Add(micros(1.1e6/c.rate(c.latched)))
	}
	return nil
}

func (c *ads1115) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	v := c.registers[c.pointer]
	if c.pointer == 1 && !c.running {
		v |= adsStart
	}
	for i := range r {
		r[i] = byte(v >> (8 * (1 - i%2)))
	}
	return nil
}

func (c *ads1115) settle(now sensors.Instant) {
	if !c.running || now.Before(c.ready) {
		return
	}
	at := c.started
	if c.latched&adsSingle != 0 {
		c.running = false
	} else {
		at = now
	}
	volts, full := c.input(at), adsFullScale(c.latched)
	raw := math.Round(volts / full * 32768)
	c.registers[0] = uint16(int16(min(max(raw, -32768), 32767)))
	if c.short {
		c.registers[0] &^= 0x000f
	}
}

// input is the voltage that the multiplexer connects, table 8.
func (c *ads1115) input(at sensors.Instant) float64 {
	in := func(n uint16) float64 { return c.world(at, fmt.Sprintf("voltage a%d", n)) }
	switch mux := c.latched >> 12 & 7; mux {
	case 0:
		return in(0) - in(1)
	case 1, 2, 3:
		return in(mux-1) - in(3)
	default:
		return in(mux - 4)
	}
}

// adsFullScale is the range of the programmable amplifier in volts, table 8.
func adsFullScale(config uint16) float64 {
	return [8]float64{6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256}[config>>9&7]
}

// rate is in samples per second, table 8; of an ADS1015 SBAS473, table 6.
func (c *ads1115) rate(config uint16) float64 {
	if c.short {
		return [8]float64{128, 250, 490, 920, 1600, 2400, 3300, 3300}[config>>5&7]
	}
	return [8]float64{8, 16, 32, 64, 128, 250, 475, 860}[config>>5&7]
}
