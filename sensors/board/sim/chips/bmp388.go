package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// bmp388 is a BMP388 by Bosch's BST-BMP388-DS001. Its compensation is the one
// in integers that Bosch publishes beside that of the data sheet.
type bmp388 struct {
	world World
	bytes8
	conversion
}

func init() { models["bmp388"] = func(w World) Chip { return &bmp388{world: w} } }

// bmp388Calibration is that of no real chip, but like one: T1, T2, T3, P1 to
// P11, as they stand in the registers from 0x31 on.
var bmp388Calibration = struct{ t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11 int64 }{
	27800, 18900, -7, -1000, -1500, 35, 1, 25500, 31000, 3, -6, 16000, 13, -60}

func (c *bmp388) Reset(sensors.Instant) {
	*c = bmp388{world: c.world}
	k := &bmp388Calibration
	p := c.regs[0x31:0x31]
	for _, v := range []struct {
		v    int64
		size int
	}{{k.t1, 2}, {k.t2, 2}, {k.t3, 1}, {k.p1, 2}, {k.p2, 2}, {k.p3, 1}, {k.p4, 1}, {k.p5, 2}, {k.p6, 2}, {k.p7, 1}, {k.p8, 1}, {k.p9, 2}, {k.p10, 1}, {k.p11, 1}} {
		for i := range v.size {
			p = append(p, byte(v.v>>(8*i)))
		}
	}
	c.regs[0x00], c.regs[0x03], c.regs[0x10], c.regs[0x1c] = 0x50, 0x10, 0x01, 0x02
	c.regs[0x06], c.regs[0x09] = 0x80, 0x80
}

func (c *bmp388) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	for ; len(w) >= 2; w = w[2:] { // pairs of register and value
		c.write(now, w[0], w[1])
	}
	return nil
}

func (c *bmp388) write(now sensors.Instant, reg, v byte) {
	switch {
	case reg == 0x7e && v == 0xb6:
		c.Reset(now)
	case reg == 0x1c, reg == 0x1d, reg == 0x1f:
		c.regs[reg] = v
	case reg == 0x1b:
		c.power(now, v&0x33)
	}
}

// power changes the mode. A measurement is forced only from sleep: section 3.3.
func (c *bmp388) power(now sensors.Instant, v byte) {
	was := c.regs[0x1b] & 0x30
	c.regs[0x1b] = v
	takes := 234 * time.Microsecond
	if v&1 != 0 {
		takes += time.Duration(392+2020<<(c.regs[0x1c]&7)) * time.Microsecond
	}
	if v&2 != 0 {
		takes += time.Duration(163+2020<<(c.regs[0x1c]>>3&7)) * time.Microsecond
	}
	takes = takes * 115 / 100 // a slow one
	switch {
	case v&0x30 == 0:
		c.conversion = conversion{}
	case v&0x30 == 0x30:
		c.repeat(now, max(takes, 5*time.Millisecond))
	case was == 0:
		c.begin(now, takes)
	default:
		c.regs[0x1b] = v&0x03 | was
	}
}

func (c *bmp388) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	from := c.pointer
	c.fetch(r)
	for i := range r {
		switch at := from + byte(i); {
		case at >= 0x04 && at <= 0x06:
			c.regs[0x03] &^= 0x20
		case at >= 0x07 && at <= 0x09:
			c.regs[0x03] &^= 0x40
		case at == 0x10:
			c.regs[0x10] = 0
		}
	}
	return nil
}

func (c *bmp388) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	on := c.regs[0x1b]
	if on&0x30 != 0x30 {
		c.regs[0x1b] &= 0x03
	}
	ut := invert(24, c.world(at, "temperature"), func(raw float64) float64 { return float64(bmp388Linear(int64(raw))) * 25 / 16384 / 100 })
	if on&2 != 0 {
		c.put(0x07, ut)
	}
	if on&1 != 0 {
		linear := bmp388Linear(int64(ut))
		c.put(0x04, invert(24, c.world(at, "pressure"), func(raw float64) float64 { return bmp388Pressure(int64(raw), linear) }))
	}
	c.regs[0x03] |= on & 3 << 5
}

func (c *bmp388) put(reg int, raw uint32) {
	c.regs[reg], c.regs[reg+1], c.regs[reg+2] = byte(raw), byte(raw>>8), byte(raw>>16)
}

// bmp388Linear is the temperature in 1/65536 °C.
func bmp388Linear(ut int64) int64 {
	k := &bmp388Calibration
	d := ut - 256*k.t1
	return (k.t2*d*262144 + d*d*k.t3) / 4294967296
}

// bmp388Pressure is in Pa.
func bmp388Pressure(up, t int64) float64 {
	k := &bmp388Calibration
	square := t * t
	cube := square / 64 * t / 256
	offset := k.p5*140737488355328 + k.p8*cube/32 + k.p7*square*16 + k.p6*t*4194304
	slope := (k.p1-16384)*70368744177664 + k.p4*cube/32 + k.p3*square*4 + (k.p2-16384)*t*2097152
	curve := (k.p10*t + 65536*k.p9) * up / 8192 / 512 * up
	third := k.p11 * (up * up) / 65536 * up / 128
	return float64(offset/4+slope/16777216*up+curve+third) * 25 / 1099511627776 / 100
}
