package chips

import (
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// words16 are 16-bit registers behind a pointer, most significant byte first. A
// longer read repeats the register.
type words16 struct {
	pointer byte
	regs    [256]uint16
}

func (c *words16) fetch(r []byte) {
	for i := range r {
		r[i] = byte(c.regs[c.pointer] >> (8 * (1 - i%2)))
	}
}

// bytes8 are byte registers behind a pointer that goes on by itself.
type bytes8 struct {
	pointer byte
	regs    [256]byte
}

func (c *bytes8) fetch(r []byte) {
	for i := range r {
		r[i] = c.regs[c.pointer]
		c.pointer++
	}
}

// A conversion is a measurement under way.
type conversion struct {
	began   sensors.Instant
	takes   time.Duration
	running bool
	repeats bool // for ever, one after another
}

func (c *conversion) begin(now sensors.Instant, takes time.Duration) {
	*c = conversion{began: now, takes: takes, running: true}
}

func (c *conversion) repeat(now sensors.Instant, takes time.Duration) {
	*c = conversion{began: now, takes: takes, running: true, repeats: true}
}

// ended tells when the latest measurement that has ended by now was begun; it
// tells each but once.
func (c *conversion) ended(now sensors.Instant) (began sensors.Instant, ok bool) {
	if !c.running || now.Before(c.began.Add(c.takes)) {
		return 0, false
	}
	if !c.repeats {
		c.running = false
		return c.began, true
	}
	n := now.Sub(c.began) / c.takes
	began = c.began.Add((n - 1) * c.takes)
	c.began = c.began.Add(n * c.takes)
	return began, true
}

// code is v/step as a number of so many bits in two's complement, at its ends
// where it is beyond them.
func code(v, step float64, bits int) uint32 {
	most := math.Ldexp(1, bits-1)
	n := int64(min(max(math.Round(v/step), -most), most-1))
	return uint32(n) & uint32(1<<bits-1)
}

// count is v/step as a positive number of so many bits.
func count(v, step float64, bits int) uint32 {
	return uint32(min(max(math.Round(v/step), 0), math.Ldexp(1, bits)-1))
}
