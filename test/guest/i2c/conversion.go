package i2c

import "time"

// A conversion is what a chip does between a command and its result.
type conversion struct {
	ready time.Time
	under bool // one is under way, or they follow each other
	again bool // they follow each other
	// least is how long one takes at least, in milliseconds: where the bus is so slow
	// that a driver would else not see that it has begun.
	least int
}

// begin begins a conversion that takes so long, or conversions that follow each
// other.
func (c *conversion) begin(now time.Time, d time.Duration, again bool) {
	c.ready, c.under, c.again = now.Add(max(d, time.Duration(c.least)*time.Millisecond)), true, again
}

func (c *conversion) stop() { c.under = false }

// done tells that there is a result: once for one conversion, and always from
// the first on where they follow each other, since what is measured may have
// changed meanwhile.
func (c *conversion) done(now time.Time) bool {
	if !c.under || now.Before(c.ready) {
		return false
	}
	c.under = c.again
	return true
}

// pointed is a chip of byte registers whose pointer counts on.
type pointed struct {
	memory
	conversion
	pointer uint8
}

func (p *pointed) Reset(time.Time) {
	p.now, p.pointer = p.powerOn, 0
	p.stop()
}

// take gives what was written, byte by byte, to store.
func (p *pointed) take(message []byte, store func(register, v uint8)) bool {
	if len(message) > 0 {
		p.pointer = message[0]
		for _, v := range message[1:] {
			store(p.pointer, v)
			p.pointer++
		}
	}
	return true
}

// takePairs does so for a chip that doesn't count on when it is written: pairs
// of register and value follow each other.
func (p *pointed) takePairs(message []byte, store func(register, v uint8)) bool {
	if len(message) > 0 {
		p.pointer = message[0]
	}
	for ; len(message) >= 2; message = message[2:] {
		store(message[0], message[1])
	}
	return true
}

func (p *pointed) fill(out []byte) bool { return p.fillThen(out, func(uint8) {}) }

// fillThen tells which registers were read, after each.
func (p *pointed) fillThen(out []byte, read func(register uint8)) bool {
	for i := range out {
		out[i] = p.now[p.pointer]
		read(p.pointer)
		p.pointer++
	}
	return true
}
