package chips

import (
	"encoding/binary"

	"example.org/dormouse/sensors"
)

// bmp180 is Bosch's BMP180 with the calibration of its data sheet's example,
// BST-BMP180-DS000, section 3.5.
type bmp180 struct {
	world World
	bytes8
	conversion
}

func init() { models["bmp180"] = func(w World) Chip { return &bmp180{world: w} } }

var bmp180Example = [11]int{408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868}

func (c *bmp180) Reset(sensors.Instant) {
	*c = bmp180{world: c.world}
	for i, v := range bmp180Example {
		binary.BigEndian.PutUint16(c.regs[0xaa+2*i:], uint16(v))
	}
	c.regs[0xd0], c.regs[0xf6] = 0x55, 0x80
}

func (c *bmp180) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	if len(w) < 2 {
		return nil
	}
	switch {
	case c.pointer == 0xe0 && w[1] == 0xb6:
		c.Reset(now)
	case c.pointer == 0xf4:
		c.regs[0xf4] = w[1]
		c.running = false
		if w[1]&0x20 != 0 {
			takes := micros(4500)
			if w[1]&0x1f == 0x14 {
				takes = micros([4]float64{4500, 7500, 13500, 25500}[w[1]>>6])
			}
			c.begin(now, takes)
		}
	}
	return nil
}

func (c *bmp180) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.fetch(r)
	return nil
}

func (c *bmp180) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	control := c.regs[0xf4]
	c.regs[0xf4] &^= 0x20
	ut := invert(16, c.world(at, "temperature"), func(raw float64) float64 { return bmp180B5(raw) / 160 })
	switch control & 0x1f {
	case 0x0e:
		binary.BigEndian.PutUint16(c.regs[0xf6:], uint16(ut))
		c.regs[0xf8] = 0
	case 0x14:
		oss := int(control >> 6)
		up := invert(16+oss, c.world(at, "pressure"), func(raw float64) float64 { return bmp180Pressure(raw/float64(int(1)<<oss), bmp180B5(float64(ut))) })
		up <<= 8 - oss
		c.regs[0xf6], c.regs[0xf7], c.regs[0xf8] = byte(up>>16), byte(up>>8), byte(up)
	}
}

// The compensation in floating point, from the same section.

func bmp180B5(ut float64) float64 {
	k := func(i int) float64 { return float64(bmp180Example[i]) }
	x1 := (ut - k(5)) * k(4) / 32768
	return x1 + k(9)*2048/(x1+k(10))
}

func bmp180Pressure(up, b5 float64) float64 {
	k := func(i int) float64 { return float64(bmp180Example[i]) }
	b6 := b5 - 4000
	b3 := (k(0)*4 + k(7)*b6*b6/4096/2048 + k(1)*b6/2048) / 4
	x3 := (k(2)*b6/8192 + k(6)*b6*b6/4096/65536) / 4
	b4 := k(3) * (x3 + 32768) / 32768
	p := (up - b3) * 50000 * 2 / b4
	x1 := p / 256 * p / 256 * 3038 / 65536
	return p + (x1-7357*p/65536+3791)/16
}
