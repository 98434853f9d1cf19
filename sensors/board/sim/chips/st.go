package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// st is one of ST's chips, which differ in their registers: LPS22HB
// (DocID027083), LPS25H (DocID023722) and HTS221 (DocID026333). A read counts on
// where counts, or bit 7 of the register, says so.
type st struct {
	world World
	kind  stKind
	bytes8
	conversion
	still bool // the read under way stays at its register
}

type stKind struct {
	id, control byte // the content of 0x0f, and the first control register
	second      byte // of the second after power-up
	awake       byte // the bit without which nothing is measured
	flag        byte // of the register, by which a read counts on; 0: by bit 4 of the second control register
	split       byte // the first register of the second result
	last        byte // the last register of all results
	takes       time.Duration
	calibrate   func(c *st)
	store       func(c *st, at sensors.Instant)
}

func init() {
	add := func(name string, k stKind) { models[name] = func(w World) Chip { return &st{world: w, kind: k} } }
	pressure := func(c *st, at sensors.Instant) {
		p := code(c.world(at, "pressure")/100, 1.0/4096, 24)
		c.regs[0x28], c.regs[0x29], c.regs[0x2a] = byte(p), byte(p>>8), byte(p>>16)
	}
	add("lps22hb", stKind{id: 0xb1, control: 0x10, second: 0x10, split: 0x2b, last: 0x2c, takes: micros(13400), store: func(c *st, at sensors.Instant) {
		pressure(c, at)
		binary.LittleEndian.PutUint16(c.regs[0x2b:], uint16(code(c.world(at, "temperature"), 0.01, 16)))
	}})
	add("lps25h", stKind{id: 0xbd, control: 0x20, awake: 0x80, flag: 0x80, split: 0x2b, last: 0x2c, takes: 40 * time.Millisecond, store: func(c *st, at sensors.Instant) {
		pressure(c, at)
		binary.LittleEndian.PutUint16(c.regs[0x2b:], uint16(code(c.world(at, "temperature")-42.5, 1.0/480, 16)))
	}})
	add("hts221", stKind{id: 0xbc, control: 0x20, awake: 0x80, flag: 0x80, split: 0x2a, last: 0x2b, takes: 80 * time.Millisecond, calibrate: func(c *st) {
		// 20 % is 1000 and 70 % -9000; 10 °C is -200 and 30 °C 600.
		copy(c.regs[0x30:], []byte{40, 140, 80, 240, 0, 0, 0xe8, 0x03, 0, 0, 0xd8, 0xdc, 0x38, 0xff, 0x58, 0x02})
	}, store: func(c *st, at sensors.Instant) {
		t := c.world(at, "temperature")
		if c.regs[0x21]&2 != 0 { // the heater
			t += 3
		}
		binary.LittleEndian.PutUint16(c.regs[0x28:], uint16(code(1000-(c.world(at, "humidity")-0.2)*20000, 1, 16)))
		binary.LittleEndian.PutUint16(c.regs[0x2a:], uint16(code((t-15)*40, 1, 16)))
	}})
}

func (c *st) Reset(sensors.Instant) {
	*c = st{world: c.world, kind: c.kind}
	c.regs[0x0f], c.regs[c.kind.control+1] = c.kind.id, c.kind.second
	if c.kind.calibrate != nil {
		c.kind.calibrate(c)
	}
}

func (c *st) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	first, second := c.kind.control, c.kind.control+1
	c.pointer = w[0] &^ c.kind.flag
	c.still = c.kind.flag != 0 && w[0]&c.kind.flag == 0 || c.kind.flag == 0 && c.regs[second]&0x10 == 0
	if len(w) < 2 {
		return nil
	}
	switch v := w[1]; {
	case c.pointer == first:
		c.regs[first] = v
		c.run(now)
	case c.pointer == second && v&0x84 != 0 && c.kind.id != 0xbc: // reboot or reset
		c.Reset(now)
	case c.pointer == second:
		c.regs[second] = v
		if v&1 != 0 {
			c.run(now)
		}
	}
	return nil
}

// run begins what the two control registers ask for.
func (c *st) run(now sensors.Instant) {
	rate := c.regs[c.kind.control] & 0x70
	if c.kind.id == 0xbc {
		rate = c.regs[c.kind.control] & 3
	}
	awake := c.regs[c.kind.control]&c.kind.awake == c.kind.awake
	switch {
	case awake && rate != 0:
		c.repeat(now, c.kind.takes)
	case awake && c.regs[c.kind.control+1]&1 != 0:
		c.begin(now, c.kind.takes)
	default:
		c.conversion = conversion{}
	}
}

func (c *st) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	for i := range r {
		switch c.pointer {
		case c.kind.split - 1: // the status tells of what wasn't read to its end
			c.regs[0x27] &^= 1
		case c.kind.last:
			c.regs[0x27] &^= 2
		}
		r[i] = c.regs[c.pointer]
		if !c.still {
			c.pointer++
		}
	}
	return nil
}

func (c *st) settle(now sensors.Instant) {
	if at, ok := c.ended(now); ok {
		c.kind.store(c, at)
		c.regs[0x27] |= 3
		c.regs[c.kind.control+1] &^= 1
	}
}
