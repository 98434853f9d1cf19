package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// dps310 is Infineon's DPS310 by its data sheet, revision 1.2. Its coefficients
// are those of a real chip, which were published in a question to Infineon
// (DPS310-Pressure-Sensor, issue 30).
type dps310 struct {
	world    World
	internal bool // its coefficients are those of the other temperature sensor
	fused    bool // its fuse is wrong
	fixed    bool // until the next reset
	booted   sensors.Instant
	bytes8
	conversion
}

func init() {
	models["dps310"] = func(w World) Chip { return &dps310{world: w} }
	models["dps310-internal"] = func(w World) Chip { return &dps310{world: w, internal: true} }
	models["dps310-fuse"] = func(w World) Chip { return &dps310{world: w, fused: true} }
}

var dps310Coefficients = struct{ c0, c1, c00, c10, c01, c11, c20, c21, c30 int64 }{222, -297, 79832, -56308, -2295, 1444, -9701, 111, -1289}

func (c *dps310) Reset(now sensors.Instant) {
	*c = dps310{world: c.world, internal: c.internal, fused: c.fused, booted: now}
	k := &dps310Coefficients
	copy(c.regs[0x10:], []byte{
		byte(k.c0 >> 4), byte(k.c0<<4) | byte(k.c1>>8&0x0f), byte(k.c1),
		byte(k.c00 >> 12), byte(k.c00 >> 4), byte(k.c00<<4) | byte(k.c10>>16&0x0f), byte(k.c10 >> 8), byte(k.c10),
		byte(k.c01 >> 8), byte(k.c01), byte(k.c11 >> 8), byte(k.c11), byte(k.c20 >> 8), byte(k.c20),
		byte(k.c21 >> 8), byte(k.c21), byte(k.c30 >> 8), byte(k.c30),
	})
	c.regs[0x0d], c.regs[0x28], c.regs[0x32] = 0x10, 0x80, 0x02
	if c.internal {
		c.regs[0x28] = 0
	}
	if c.fused {
		c.regs[0x32] = 0
	}
}

func (c *dps310) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	for i, v := range w[1:] {
		switch reg := w[0] + byte(i); {
		case reg == 0x0c && v&0x0f == 0x09:
			c.Reset(now)
		case reg == 0x08:
			c.mode(now, v&7)
		case reg == 0x62 && c.regs[0x0e] == 0xa5 && c.regs[0x0f] == 0x96:
			c.fixed = v&2 != 0
		case reg == 0x06, reg == 0x07, reg == 0x09, reg == 0x0e, reg == 0x0f:
			c.regs[reg] = v
		}
	}
	return nil
}

// dps310Times are by the number of samples: table 16.
var dps310Times = [8]time.Duration{micros(3600), micros(5200), micros(8400), micros(14800), micros(27600), micros(53200), micros(104400), micros(206800)}

func (c *dps310) mode(now sensors.Instant, mode byte) {
	c.conversion = conversion{}
	c.regs[0x08] = mode
	var takes time.Duration
	if mode&1 != 0 {
		takes += dps310Times[c.regs[0x06]&7]
	}
	if mode&2 != 0 {
		takes += dps310Times[c.regs[0x07]&7]
	}
	switch {
	case takes == 0:
	case mode&4 != 0:
		c.repeat(now, takes)
	case mode == 1, mode == 2:
		c.begin(now, takes)
	}
}

func (c *dps310) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.regs[0x08] &= 0x37
	if up := now.Sub(c.booted); up >= 12*time.Millisecond {
		c.regs[0x08] |= 0x40
		if up >= 40*time.Millisecond {
			c.regs[0x08] |= 0x80
		}
	}
	from := c.pointer
	c.fetch(r)
	for i := range r {
		switch at := from + byte(i); {
		case at <= 0x02:
			c.regs[0x08] &^= 0x10
		case at <= 0x05:
			c.regs[0x08] &^= 0x20
		}
	}
	return nil
}

func (c *dps310) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	mode := c.regs[0x08] & 7
	if mode&4 == 0 {
		c.regs[0x08] &^= 7
	}
	if mode&2 != 0 {
		t := c.world(at, "temperature")
		if c.fused && !c.fixed {
			t += 40
		}
		if c.internal != (c.regs[0x07]&0x80 == 0) { // the other sensor's raw values mean nothing here
			t -= 24
		}
		k := &dps310Coefficients
		c.put(3, dps310Scale(c.regs[0x07]), 1<<3, func(x float64) float64 { return float64(k.c0)/2 + float64(k.c1)*x }, t)
		c.regs[0x08] |= 0x20
	}
	if mode&1 != 0 {
		t := float64(int32(uint32(c.regs[3])<<24|uint32(c.regs[4])<<16|uint32(c.regs[5])<<8)>>8) / dps310Scale(c.regs[0x07])
		c.put(0, dps310Scale(c.regs[0x06]), 1<<2, func(x float64) float64 { return dps310Pressure(x, t) }, c.world(at, "pressure"))
		c.regs[0x08] |= 0x10
	}
}

// dps310Scale is of so many samples: table 9.
func dps310Scale(cfg byte) float64 {
	return [8]float64{524288, 1572864, 3670016, 7864320, 253952, 516096, 1040384, 2088960}[cfg&7]
}

// dps310Pressure is in Pa.
func dps310Pressure(p, t float64) float64 {
	k := &dps310Coefficients
	v := float64(k.c00) + float64(k.c10)*p + float64(k.c20)*p*p + float64(k.c30)*p*p*p
	return v + float64(k.c01)*t + float64(k.c11)*t*p + float64(k.c21)*t*p*p
}

// put stores the raw value for which f comes nearest to want. More than 8
// samples need the bit of the shift, without which the result overflows.
func (c *dps310) put(reg byte, scale float64, shift byte, f func(x float64) float64, want float64) {
	raw := int32(invert(24, want, func(raw float64) float64 { return f((raw - 1<<23) / scale) })) - 1<<23
	if c.regs[0x06+reg/3]&7 > 3 && c.regs[0x09]&shift == 0 {
		raw <<= 3
	}
	c.regs[reg], c.regs[reg+1], c.regs[reg+2] = byte(raw>>16), byte(raw>>8), byte(raw)
}
