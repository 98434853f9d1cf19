package chips

import (
	"encoding/binary"
	"time"
)

// bme680Calibration is each chip's own: sections 3.3 and 3.4 tell where each
// parameter is. The formulas are the data sheet's in floating point: those in
// integers overflow (pressure) or lose the ambient temperature (heater).
type bme680Calibration struct {
	t1, t2, t3                              float64
	p1, p2, p3, p4, p5, p6, p7, p8, p9, p10 float64
	h1, h2, h3, h4, h5, h6, h7              float64
	gh1, gh2, gh3                           float64
	heatRange, heatValue, rangeError        float64
}

// load takes the blocks from 0x8A (23 bytes), 0xE1 (14) and 0x00 (5).
func (c *bme680Calibration) load(p []byte) {
	u16 := func(at int) float64 { return float64(binary.LittleEndian.Uint16(p[at:])) }
	s16 := func(at int) float64 { return float64(int16(binary.LittleEndian.Uint16(p[at:]))) }
	s8 := func(at int) float64 { return float64(int8(p[at])) }
	u8 := func(at int) float64 { return float64(p[at]) }
	c.t1, c.t2, c.t3 = u16(31), s16(0), s8(2)
	c.p1, c.p2, c.p3, c.p4, c.p5 = u16(4), s16(6), s8(8), s16(10), s16(12)
	c.p6, c.p7, c.p8, c.p9, c.p10 = s8(15), s8(14), s16(18), s16(20), u8(22)
	// H1 and H2 have 12 bits, and share a byte.
	c.h1 = float64(int(p[25])<<4 | int(p[24]&0x0f))
	c.h2 = float64(int(p[23])<<4 | int(p[24]>>4))
	c.h3, c.h4, c.h5, c.h6, c.h7 = s8(26), s8(27), s8(28), u8(29), s8(30)
	c.gh1, c.gh2, c.gh3 = s8(35), s16(33), s8(36)
	c.heatRange, c.heatValue, c.rangeError = float64(p[39]>>4&3), s8(37), float64(int8(p[41])>>4)
}

// temperature is in °C; fine is what pressure needs.
func (c *bme680Calibration) temperature(adc float64) (t, fine float64) {
	d := adc/131072 - c.t1/8192
	fine = (adc/16384-c.t1/1024)*c.t2 + d*d*c.t3*16
	return fine / 5120, fine
}

// pressure is in pascals; infinite or not a number where the calibration can't
// be so.
func (c *bme680Calibration) pressure(adc, fine float64) float64 {
	v := fine/2 - 64000
	offset := (v*v*c.p6/131072+v*c.p5*2)/4 + c.p4*65536
	gain := (1 + (c.p3*v*v/16384+c.p2*v)/524288/32768) * c.p1
	p := (1048576 - adc - offset/4096) * 6250 / gain
	k := p / 256
	return p + (c.p9*p*p/2147483648+c.p8*p/32768+k*k*k*c.p10/131072+c.p7*128)/16
}

// humidity is 1 for saturated air, and may be a little beyond 0 and 1.
func (c *bme680Calibration) humidity(adc, t float64) float64 {
	x := adc - c.h1*16 - c.h3/2*t
	x *= c.h2 / 262144 * (1 + c.h4/16384*t + c.h5/1048576*t*t)
	return (x + (c.h6/16384+c.h7/2097152*t)*x*x) / 100
}

// Errors of the ranges of a BME680's converter in percent: section 3.4.1.
var (
	bme680Slope = [16]float64{5: -1, 7: -0.8, 10: -0.2, 11: -0.5, 13: -1}
	bme680Scale = [16]float64{4: 0.1, 5: 0.7, 7: -0.8, 8: -0.1}
)

// gasLow is a BME680's resistance in ohms.
func (c *bme680Calibration) gasLow(adc, scale int) float64 {
	slope := (1340 + 5*c.rangeError) * (1 + bme680Slope[scale]/100)
	return 1 / ((1 + bme680Scale[scale]/100) * 0.125e-6 * float64(int(1)<<scale) * (float64(adc-512)/slope + 1))
}

// gasHigh is a BME688's resistance in ohms: its data sheet, section 3.4.1.
func gasHigh(adc, scale int) float64 {
	return 1e6 * float64(int(262144)>>scale) / float64(4096+3*(adc-512))
}

// heater is the target of the heater's resistance for a temperature, both in °C:
// section 3.3.5.
func (c *bme680Calibration) heater(target, ambient float64) byte {
	slope := c.gh2/32768*0.0005 + 0.00235
	v := (c.gh1/16+49)*(1+slope*target) + c.gh3/1024*ambient
	v = 3.4 * (v*4/(4+c.heatRange)/(1+c.heatValue*0.002) - 25)
	return byte(min(max(v, 0), 255))
}

// bme680Wait is the code of a heating time, and the time that it then is: 6 bits
// in steps of 1, 4, 16 or 64 ms (section 5.3.3.3).
func bme680Wait(d time.Duration) (code byte, waits time.Duration) {
	ms, shift := d.Milliseconds(), 0
	for ; ms > 63 && shift < 6; shift += 2 {
		ms >>= 2
	}
	return byte(ms) | byte(shift)<<5, time.Duration(ms<<shift) * time.Millisecond
}
