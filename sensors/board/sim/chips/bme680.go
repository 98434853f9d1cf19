package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// bme680 is a BME680 by Bosch's BST-BME680-DS001, or a BME688, which has another
// converter of gas. The compensation is the one in integers that Bosch publishes
// beside that of the data sheet. No data sheet tells when the flag of new data is
// cleared: here by the begin of a measurement in a BME680, and by a read in a
// BME688, so that a driver has to do with both.
type bme680 struct {
	world World
	high  bool // a BME688
	bytes8
	conversion
	settings [256]byte // as they were when the measurement began
}

func init() {
	models["bme680"] = func(w World) Chip { return &bme680{world: w} }
	models["bme688"] = func(w World) Chip { return &bme680{world: w, high: true} }
}

// bme680Calibration is for T, P and H that of a real chip, which somebody
// published with what it measured (github.com/wrclark/bme680).
var bme680Calibration = struct {
	t1, t2, t3                              int64
	p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 int64
	h1, h2, h3, h4, h5, h6, h7              int64
	gh1, gh2, gh3, heatRange, heatValue     int64
	rangeError                              int64
}{
	t1: 26203, t2: 26519, t3: 3,
	p1: 35008, p2: -10284, p3: 88, p4: 9692, p5: -202, p6: 30, p7: 24, p8: -516, p9: -3469, p10: 30,
	h1: 794, h2: 1007, h3: 0, h4: 45, h5: 20, h6: 120, h7: -100,
	gh1: -30, gh2: -5969, gh3: 18, heatRange: 1, heatValue: 44, rangeError: -3,
}

func (c *bme680) Reset(sensors.Instant) {
	*c = bme680{world: c.world, high: c.high}
	k := &bme680Calibration
	word := func(reg int, v int64) { binary.LittleEndian.PutUint16(c.regs[reg:], uint16(v)) }
	for reg, v := range map[int]int64{0x8a: k.t2, 0x8e: k.p1, 0x90: k.p2, 0x94: k.p4, 0x96: k.p5, 0x9c: k.p8, 0x9e: k.p9, 0xe9: k.t1, 0xeb: k.gh2} {
		word(reg, v)
	}
	for reg, v := range map[int]int64{
		0x8c: k.t3, 0x92: k.p3, 0x98: k.p7, 0x99: k.p6, 0xa0: k.p10,
		0xe1: k.h2 >> 4, 0xe2: k.h2&0x0f<<4 | k.h1&0x0f, 0xe3: k.h1 >> 4, 0xe4: k.h3, 0xe5: k.h4, 0xe6: k.h5, 0xe7: k.h6, 0xe8: k.h7,
		0xed: k.gh1, 0xee: k.gh3, 0x00: k.heatValue, 0x02: k.heatRange<<4 | 0x01, 0x04: k.rangeError << 4,
	} {
		c.regs[reg] = byte(v)
	}
	c.regs[0xd0] = 0x61
	if c.high {
		c.regs[0xf0] = 1
	}
	copy(c.regs[0x1f:], []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0}) // section 5.2
}

func (c *bme680) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	for ; len(w) >= 2; w = w[2:] { // pairs of register and value: section 6.2.1
		switch reg, v := w[0], w[1]; {
		case reg == 0xe0 && v == 0xb6:
			c.Reset(now)
		case reg == 0x74:
			c.regs[reg] = v
			c.mode(now, v&3)
		case reg >= 0x50 && reg <= 0x72, reg == 0x75:
			c.regs[reg] = v
		}
	}
	return nil
}

// mode begins a forced measurement, or ends what is under way.
func (c *bme680) mode(now sensors.Instant, mode byte) {
	c.conversion = conversion{}
	if mode != 1 { // the other modes of a BME688 aren't modelled
		return
	}
	c.settings = c.regs
	if !c.high {
		c.regs[0x1d] &^= 0x80
	}
	c.begin(now, c.climate()+c.heating()+c.slow(5*477))
}

// slow is the time that a slow chip takes.
func (c *bme680) slow(us int) time.Duration { return time.Duration(us) * time.Microsecond * 11 / 10 }

// climate is how long temperature, pressure and humidity take.
func (c *bme680) climate() time.Duration {
	n := samples(c.settings[0x74]>>5) + samples(c.settings[0x74]>>2) + samples(c.settings[0x72])
	return c.slow(1000 + 4*477 + 1963*int(n))
}

// heating is the time of set-point 0: section 5.3.3.3.
func (c *bme680) heating() time.Duration {
	if !c.gas() {
		return 0
	}
	v := c.settings[0x64]
	return time.Duration(int(v&0x3f)<<(2*(v>>6))) * time.Millisecond
}

// gas tells whether it is measured: a BME688 has another bit for that.
func (c *bme680) gas() bool {
	if c.high {
		return c.settings[0x71]&0x20 != 0
	}
	return c.settings[0x71]&0x10 != 0
}

func (c *bme680) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.regs[0x1d] &= 0x80
	if c.running {
		c.regs[0x1d] |= 0x20 // measuring
		if now.Sub(c.began) >= c.climate() {
			c.regs[0x1d] |= 0x40 // gas measuring
		}
	}
	from := c.pointer
	c.fetch(r)
	if c.high && from == 0x1d {
		c.regs[0x1d] &^= 0x80
	}
	return nil
}

func (c *bme680) settle(now sensors.Instant) {
	at, ok := c.ended(now)
	if !ok {
		return
	}
	c.regs[0x74] &^= 3
	c.regs[0x1d] |= 0x80
	c.regs[0x1e]++
	skipped := []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0}
	copy(c.regs[0x1f:], skipped)
	if samples(c.settings[0x74]>>5) == 0 {
		return
	}
	adcT := invert(20, 100*c.world(at, "temperature"), func(raw float64) float64 { return float64(bme680Temperature(bme680Fine(int64(raw)))) })
	fine := bme680Fine(int64(adcT))
	c.put20(0x22, adcT)
	if samples(c.settings[0x74]>>2) > 0 {
		c.put20(0x1f, invert(20, c.world(at, "pressure"), func(raw float64) float64 { return float64(bme680Pressure(int64(raw), fine)) }))
	}
	if samples(c.settings[0x72]) > 0 {
		adcH := invert(16, 1e5*c.world(at, "humidity"), func(raw float64) float64 { return float64(bme680Humidity(int64(raw), fine)) })
		binary.BigEndian.PutUint16(c.regs[0x25:], uint16(adcH))
	}
	c.putGas(at)
}

func (c *bme680) put20(reg int, v uint32) {
	c.regs[reg], c.regs[reg+1], c.regs[reg+2] = byte(v>>12), byte(v>>4), byte(v<<4)
}

// putGas is a dummy where the gas isn't measured: section 5.3.5.5.
func (c *bme680) putGas(at sensors.Instant) {
	reg := 0x2a
	if c.high {
		reg = 0x2c
	}
	if !c.gas() {
		c.regs[reg], c.regs[reg+1] = 0, 0
		return
	}
	want := c.world(at, "resistance")
	var best, scale uint32
	off := math.Inf(1)
	for r := range uint32(16) {
		adc := invert(10, want, func(raw float64) float64 { return c.ohms(int64(raw), int(r)) })
		if d := math.Abs(c.ohms(int64(adc), int(r)) - want); d < off {
			best, scale, off = adc, r, d
		}
	}
	flags := uint32(0x20)
	if c.settings[0x70]&8 == 0 && c.settings[0x5a] > 0 && c.heating() >= 20*time.Millisecond { // section 3.3.5
		flags |= 0x10
	}
	c.regs[reg], c.regs[reg+1] = byte(best>>2), byte(best<<6|flags|scale)
}

func (c *bme680) ohms(adc int64, scale int) float64 {
	if c.high {
		return float64(100 * (10000 * (262144 >> scale) / (4096 + 3*(adc-512))))
	}
	one := (1340 + 5*bme680Calibration.rangeError) * bme680Ranges[scale][0] >> 16
	two := adc<<15 - 16777216 + one
	return float64((bme680Ranges[scale][1]*one>>9 + two>>1) / two)
}

// bme680Ranges are Bosch's two tables for the converter of a BME680.
var bme680Ranges = [16][2]int64{
	{2147483647, 4096000000}, {2147483647, 2048000000}, {2147483647, 1024000000}, {2147483647, 512000000},
	{2147483647, 255744255}, {2126008810, 127110228}, {2147483647, 64000000}, {2130303777, 32258064},
	{2147483647, 16016016}, {2147483647, 8000000}, {2143188679, 4000000}, {2136746228, 2000000},
	{2147483647, 1000000}, {2126008810, 500000}, {2147483647, 250000}, {2147483647, 125000},
}

// bme680Fine is the temperature in 1/5120 °C.
func bme680Fine(adc int64) int64 {
	k := &bme680Calibration
	d := adc>>3 - k.t1<<1
	return d*k.t2>>11 + (d>>1*(d>>1)>>12)*(k.t3<<4)>>14
}

// bme680Temperature is in 0.01 °C.
func bme680Temperature(fine int64) int64 { return (fine*5 + 128) >> 8 }

// bme680Pressure is in Pa.
func bme680Pressure(adc, fine int64) int64 {
	k := &bme680Calibration
	v := fine>>1 - 64000
	square := v >> 2 * (v >> 2)
	offset := square>>11*k.p6>>2 + v*k.p5<<1
	offset = offset>>2 + k.p4<<16
	gain := (square>>13*(k.p3<<5)>>3 + k.p2*v>>1) >> 18
	gain = (32768 + gain) * k.p1 >> 15
	p := (1048576 - adc - offset>>12) * 3125 * 2 / gain
	a := k.p9 * (p >> 3 * (p >> 3) >> 13) >> 12
	b := p >> 2 * k.p8 >> 13
	d := p >> 8 * (p >> 8) * (p >> 8) * k.p10 >> 17
	return p + (a+b+d+k.p7<<7)>>4
}

// bme680Humidity is in 0.001 %.
func bme680Humidity(adc, fine int64) int64 {
	k := &bme680Calibration
	t := bme680Temperature(fine)
	x := adc - k.h1*16 - t*k.h3/100>>1
	x *= k.h2 * (t*k.h4/100 + t*(t*k.h5/100)>>6/100 + 1<<14) >> 10
	curve := (k.h6<<7 + t*k.h7/100) >> 4
	return (x + curve*(x>>14*(x>>14)>>10)>>1) >> 10 * 1000 >> 12
}
