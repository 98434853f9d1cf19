package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// ina is one of TI's monitors of current and power: INA219 (SBOS448), INA226
// (SBOS547), INA260 (SBOS656), INA3221 (SBOS576). Its shunt has 0.1 Ω.
type ina struct {
	world World
	words16
	conversion
	kind inaKind
	done bool // CNVR or CVRF
}

// inaKind is what tells them apart.
type inaKind struct {
	config   uint16 // after power-up
	writable uint16
	id       uint16 // of register 0xff; 0: none
	flags    byte   // the register with the flag that a conversion has ended; 2: that of the voltage
	flag     uint16
	takes    func(config uint16) time.Duration
	store    func(c *ina, at sensors.Instant)
}

func init() {
	add := func(name string, k inaKind) {
		models[name] = func(w World) Chip { return &ina{world: w, kind: k} }
	}
	add("ina219", inaKind{config: 0x399f, writable: 0x3fff, flags: 2, flag: 2, takes: ina219Takes, store: func(c *ina, at sensors.Instant) {
		c.regs[1] = uint16(clampTo(c.world(at, "current")*0.1/10e-6, 32000))
		c.regs[2] = uint16(count(c.world(at, "voltage"), 0.004, 13)) << 3
	}})
	add("ina226", inaKind{config: 0x4127, writable: 0x0fff, id: 0x2260, flags: 6, flag: 8, takes: inaTakes(2), store: func(c *ina, at sensors.Instant) {
		c.regs[1] = uint16(code(c.world(at, "current")*0.1, 2.5e-6, 16))
		c.regs[2] = uint16(count(c.world(at, "voltage"), 1.25e-3, 15))
	}})
	add("ina260", inaKind{config: 0x6127, writable: 0x0fff, id: 0x2270, flags: 6, flag: 8, takes: inaTakes(2), store: func(c *ina, at sensors.Instant) {
		c.regs[1] = uint16(code(c.world(at, "current"), 1.25e-3, 16))
		c.regs[2] = uint16(count(c.world(at, "voltage"), 1.25e-3, 15))
	}})
	add("ina3221", inaKind{config: 0x7127, writable: 0x7fff, id: 0x3220, flags: 15, flag: 1, takes: inaTakes(6), store: func(c *ina, at sensors.Instant) {
		for i, label := range []string{"ch1", "ch2", "ch3"} {
			c.regs[2*i+1] = uint16(code(c.world(at, "current "+label)*0.1, 40e-6, 13)) << 3
			c.regs[2*i+2] = uint16(code(c.world(at, "voltage "+label), 8e-3, 13)) << 3
		}
	}})
}

func clampTo(v, most float64) int16 { return int16(math.Round(min(max(v, -most), most))) }

// ina219Takes is by SADC and BADC, section 8.6.2.1, the longest times.
func ina219Takes(config uint16) time.Duration {
	one := func(adc uint16) time.Duration {
		switch {
		case adc&8 == 0:
			return micros([4]float64{93, 163, 304, 586}[adc&3])
		case adc == 8:
			return micros(586)
		}
		return micros(585 * float64(int(1)<<(adc-8)))
	}
	return one(config>>7&15) + one(config>>3&15)
}

// inaTakes is so many conversions, averaged as AVG says.
func inaTakes(conversions float64) func(config uint16) time.Duration {
	return func(config uint16) time.Duration {
		times := [8]float64{154, 224, 365, 646, 1210, 2328, 4572, 9068}
		samples := [8]float64{1, 4, 16, 64, 128, 256, 512, 1024}
		return micros(conversions / 2 * samples[config>>9&7] * (times[config>>6&7] + times[config>>3&7]))
	}
}

func (c *ina) Reset(now sensors.Instant) {
	*c = ina{world: c.world, kind: c.kind}
	c.regs[0] = c.kind.config
	if c.kind.id != 0 {
		c.regs[0xfe], c.regs[0xff] = 0x5449, c.kind.id
	}
	c.repeat(now, c.kind.takes(c.regs[0]))
}

func (c *ina) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	if len(w) < 3 {
		return nil
	}
	v := binary.BigEndian.Uint16(w[1:])
	switch c.pointer {
	case 0:
		if v&0x8000 != 0 {
			c.Reset(now)
			return nil
		}
		c.regs[0] = v&c.kind.writable | c.kind.config&^c.kind.writable
		c.running, c.done = false, false
		switch mode := v & 7; {
		case mode&3 == 0: // powered down
		case mode&4 != 0:
			c.repeat(now, c.kind.takes(c.regs[0]))
		default:
			c.begin(now, c.kind.takes(c.regs[0]))
		}
	case 5: // calibration, which nothing here uses; the INA3221 has a result there
		if c.kind.id != 0x3220 {
			c.regs[5] = v
		}
	}
	return nil
}

func (c *ina) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	flags := c.pointer == c.kind.flags
	if flags && c.done {
		c.regs[c.pointer] |= c.kind.flag
	}
	c.fetch(r)
	if flags {
		c.regs[c.pointer] &^= c.kind.flag
		c.done = c.done && c.kind.flags == 2 // the others' is cleared by this
	}
	return nil
}

func (c *ina) settle(now sensors.Instant) {
	mode := c.regs[0] & 3
	at, ok := c.ended(now)
	if !ok {
		return
	}
	kept := c.regs
	c.kind.store(c, at)
	for i := range 3 { // only what the mode names is measured
		if mode&1 == 0 {
			c.regs[2*i+1] = kept[2*i+1]
		}
		if mode&2 == 0 {
			c.regs[2*i+2] = kept[2*i+2]
		}
	}
	c.done = true
}
