package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// tmp102 is Texas Instruments' TMP102; sections and tables are those of its
// data sheet SBOS397, revision H.
type tmp102 struct {
	world     World
	pointer   byte
	registers [4]uint16 // temperature, configuration, T_LOW, T_HIGH
	started   sensors.Instant
	running   bool // a conversion, or many in continuous mode
}

// Bits of the configuration register, table 10.
const (
	tmpExtended = 1 << 4
	tmpShutdown = 1 << 8
	tmpOneShot  = 1 << 15
	// Writable are all but the resolution (read only), the alert bit and the
	// one-shot bit, which means something else when it is read.
	tmpWritable = 0x1fd0
	tmpFixed    = 0x6020
)

const tmpConversion = 35 * time.Millisecond // section 6.5, the longest

func init() { models["tmp102"] = func(w World) Chip { return &tmp102{world: w} } }

func (c *tmp102) Reset(now sensors.Instant) {
	c.pointer = 0
	c.registers = [4]uint16{0, 0x60a0, 0x4b00, 0x5000} // sections 7.5.2 to 7.5.4
	c.started, c.running = now, true
}

func (c *tmp102) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0] & 3
	if len(w) < 3 || c.pointer == 0 {
		return nil
	}
	v := binary.BigEndian.Uint16(w[1:])
	if c.pointer != 1 {
		c.registers[c.pointer] = v &^ 7
		return nil
	}
	shutDown := c.registers[1]&tmpShutdown != 0
	c.registers[1] = v&tmpWritable | tmpFixed
	switch {
	case v&tmpShutdown == 0 && shutDown, v&tmpShutdown != 0 && v&tmpOneShot != 0:
		c.started, c.running = now, true
	case v&tmpShutdown != 0:
		c.running = false
	}
	return nil
}

func (c *tmp102) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	v := c.registers[c.pointer]
	if c.pointer == 1 && c.registers[1]&tmpShutdown != 0 && !c.running {
		v |= tmpOneShot // section 7.3.6: reads 0 while it converts
	}
	for i := range r { // a longer read repeats the register
		r[i] = byte(v >> (8 * (1 - i%2)))
	}
	return nil
}

// lastTick is when the latest conversion of continuous mode began, table 9.
func (c *tmp102) lastTick(now sensors.Instant) sensors.Instant {
	period := [4]time.Duration{4 * time.Second, time.Second, 250 * time.Millisecond, 125 * time.Millisecond}[c.registers[1]>>6&3]
	return c.started.Add(now.Sub(c.started) / period * period)
}

// settle stores the conversion that has ended last by now.
func (c *tmp102) settle(now sensors.Instant) {
	if !c.running {
		return
	}
	at := c.started
	if c.registers[1]&tmpShutdown == 0 {
		at = c.lastTick(now)
		if now.Before(at.Add(tmpConversion)) {
			if at == c.started {
				return
			}
			at = c.lastTick(at.Add(-1))
		}
	} else {
		if now.Before(at.Add(tmpConversion)) {
			return
		}
		c.running = false
	}
	// Tables 4 and 6: 1/16 °C in 12 or, extended, 13 bits, left-justified.
	sixteenths := math.Round(c.world(at, "temperature") * 16)
	if c.registers[1]&tmpExtended != 0 {
		c.registers[0] = uint16(int16(min(max(sixteenths, -4096), 4095)))<<3 | 1
		return
	}
	c.registers[0] = uint16(int16(min(max(sixteenths, -2048), 2047))) << 4
}
