package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// bme280 is Bosch's BME280; sections and tables are those of its data sheet
// BST-BME280-DS002, revision 1.6; or, dry, its BMP280, which has all but the
// registers of humidity: BST-BMP280-DS001, section 4.2.
type bme280 struct {
	dry       bool
	world     World
	registers [256]byte
	pointer   byte
	ctrlHum   byte // as latched by the last write to ctrl_meas, section 5.4.3
	booted    sensors.Instant
	measured  sensors.Instant // when the conversion under way began; zero: none
	ready     sensors.Instant // when it ends
}

// Registers, section 5.3.
const (
	bmeID       = 0xd0
	bmeReset    = 0xe0
	bmeCtrlHum  = 0xf2
	bmeStatus   = 0xf3
	bmeCtrlMeas = 0xf4
	bmeConfig   = 0xf5
	bmeData     = 0xf7 // pressure, temperature (20 bits each), humidity (16)
)

// calibration is a chip's own, table 16: temperature and pressure are those of
// the worked example in the BMP280's data sheet (BST-BMP280-DS001, section
// 3.12), humidity is of the size that real chips have.
var calibration = struct {
	t1     uint16
	t2, t3 int16
	p1     uint16
	p      [8]int16 // P2 to P9
	h1     uint8
	h2     int16
	h3     uint8
	h4, h5 int16
	h6     int8
}{
	t1: 27504, t2: 26435, t3: -1000,
	p1: 36477, p: [8]int16{-10685, 3024, 2855, 140, -7, 15500, -14600, 6000},
	h1: 75, h2: 362, h3: 0, h4: 313, h5: 50, h6: 30,
}

func init() {
	models["bme280"] = func(w World) Chip { return &bme280{world: w} }
	models["bmp280"] = func(w World) Chip { return &bme280{world: w, dry: true} }
}

func (c *bme280) Reset(now sensors.Instant) {
	c.registers, c.pointer, c.ctrlHum = [256]byte{}, 0, 0
	c.booted, c.measured = now, 0
	k := &calibration
	put := func(register int, v uint16) { binary.LittleEndian.PutUint16(c.registers[register:], v) }
	put(0x88, k.t1)
	put(0x8a, uint16(k.t2))
	put(0x8c, uint16(k.t3))
	put(0x8e, k.p1)
	for i, p := range k.p {
		put(0x90+2*i, uint16(p))
	}
	c.store(skippedTP, skippedTP, skippedH)
	if c.dry {
		c.registers[bmeID] = 0x58
		return
	}
	c.registers[0xa1] = k.h1
	put(0xe1, uint16(k.h2))
	c.registers[0xe3] = k.h3
	c.registers[0xe4] = byte(k.h4 >> 4)
	c.registers[0xe5] = byte(k.h4&0x0f) | byte(k.h5<<4)
	c.registers[0xe6] = byte(k.h5 >> 4)
	c.registers[0xe7] = byte(k.h6)
	c.registers[bmeID] = 0x60
}

// What a channel reads that was not measured, section 5.4.
const (
	skippedTP = 0x80000
	skippedH  = 0x8000
)

func (c *bme280) store(p, t, h uint32) {
	copy(c.registers[bmeData:], []byte{
		byte(p >> 12), byte(p >> 4), byte(p << 4),
		byte(t >> 12), byte(t >> 4), byte(t << 4),
	})
	if !c.dry {
		binary.BigEndian.PutUint16(c.registers[bmeData+6:], uint16(h))
	}
}

// write takes pairs of register and value (section 6.2.1); the last register
// alone is where the next read begins.
func (c *bme280) Write(now sensors.Instant, w []byte) error {
	c.settle(now)
	c.pointer = w[0]
	for ; len(w) >= 2; w = w[2:] {
		switch register, v := w[0], w[1]; register {
		case bmeReset:
			if v == 0xb6 {
				c.Reset(now)
			}
		case bmeCtrlHum:
			if !c.dry {
				c.registers[register] = v & 0x07
			}
		case bmeConfig:
			c.registers[register] = v
		case bmeCtrlMeas:
			c.registers[register] = v
			c.ctrlHum = c.registers[bmeCtrlHum]
			c.measured = 0
			if v&3 != 0 {
				c.measured, c.ready = now, now.Add(c.duration())
			}
		}
	}
	return nil
}

func (c *bme280) Read(now sensors.Instant, r []byte) error {
	c.settle(now)
	c.registers[bmeStatus] = 0
	if c.measured != 0 && now.Before(c.ready) {
		c.registers[bmeStatus] |= 1 << 3 // measuring
	}
	if now.Before(c.booted.Add(2 * time.Millisecond)) {
		c.registers[bmeStatus] |= 1 // im_update: start-up takes 2 ms, table 1
	}
	for i := range r {
		r[i] = c.registers[c.pointer]
		c.pointer++
	}
	return nil
}

// duration is the longest that a measurement takes, section 9.1.
func (c *bme280) duration() time.Duration {
	us := 1250.
	if n := c.oversampling(5); n > 0 {
		us += 2300 * n
	}
	if n := c.oversampling(2); n > 0 {
		us += 2300*n + 575
	}
	if n := samples(c.ctrlHum); n > 0 {
		us += 2300*n + 575
	}
	return micros(us)
}

func (c *bme280) oversampling(shift int) float64 {
	return samples(c.registers[bmeCtrlMeas] >> shift)
}

// samples decodes an osrs field, tables 20, 23 and 24.
func samples(osrs byte) float64 {
	switch osrs &= 7; {
	case osrs == 0:
		return 0
	case osrs >= 5:
		return 16
	default:
		return float64(int(1) << (osrs - 1))
	}
}

// settle finishes the measurement that has ended by now.
func (c *bme280) settle(now sensors.Instant) {
	if c.measured == 0 || now.Before(c.ready) {
		return
	}
	at := c.measured
	if c.registers[bmeCtrlMeas]&3 == 3 { // normal mode goes on measuring
		at = now
	} else {
		c.registers[bmeCtrlMeas] &^= 3
		c.measured = 0
	}
	t, p, h := uint32(skippedTP), uint32(skippedTP), uint32(skippedH)
	fine := 0.
	if n := c.oversampling(5); n > 0 {
		t = resolved(invert(20, c.world(at, "temperature"), func(raw float64) float64 { return fineTemperature(raw) / 5120 }), n)
		fine = fineTemperature(float64(t))
	}
	if n := c.oversampling(2); n > 0 {
		p = resolved(invert(20, c.world(at, "pressure"), func(raw float64) float64 { return pressure(raw, fine) }), n)
	}
	if samples(c.ctrlHum) > 0 {
		h = invert(16, 100*c.world(at, "humidity"), func(raw float64) float64 { return humidity(raw, fine) })
	}
	c.store(p, t, h)
}

// resolved drops the bits that a result hasn't at an oversampling of n: it has
// 16 at one and one more with each doubling, tables 21 and 22 (filter off).
func resolved(raw uint32, n float64) uint32 {
	missing := 4 - uint32(math.Log2(n))
	return raw >> missing << missing
}

// invert finds the raw value of so many bits for which f comes nearest to
// want, by bisection; f rises or falls all the way.
func invert(bits int, want float64, f func(raw float64) float64) uint32 {
	low, high := 0., float64(int(1)<<bits-1)
	rising := f(high) > f(low)
	for high-low > 1 {
		middle := math.Floor((low + high) / 2)
		if f(middle) < want == rising {
			low = middle
		} else {
			high = middle
		}
	}
	if math.Abs(f(low)-want) < math.Abs(f(high)-want) {
		return uint32(low)
	}
	return uint32(high)
}

// The compensation in floating point, BST-BME280-DS002 appendix 8.1.

// fineTemperature is t_fine: the temperature in units of 1/5120 °C.
func fineTemperature(raw float64) float64 {
	k := &calibration
	a := raw/131072 - float64(k.t1)/8192
	return (raw/16384-float64(k.t1)/1024)*float64(k.t2) + a*a*float64(k.t3)
}

// pressure is in pascals.
func pressure(raw, fine float64) float64 {
	var p [10]float64 // as numbered in the data sheet
	p[1] = float64(calibration.p1)
	for i, v := range calibration.p {
		p[i+2] = float64(v)
	}
	x := fine/2 - 64000
	offset := x*x*p[6]/32768 + x*p[5]*2
	offset = offset/4 + p[4]*65536
	gain := (p[3]*x*x/524288 + p[2]*x) / 524288
	gain = (1 + gain/32768) * p[1]
	pa := (1048576 - raw - offset/4096) * 6250 / gain
	return pa + (p[9]*pa*pa/2147483648+pa*p[8]/32768+p[7])/16
}

// humidity is in percent.
func humidity(raw, fine float64) float64 {
	k := &calibration
	x := fine - 76800
	h := (raw - (float64(k.h4)*64 + float64(k.h5)/16384*x)) *
		(float64(k.h2) / 65536 * (1 + float64(k.h6)/67108864*x*(1+float64(k.h3)/67108864*x)))
	return h * (1 - float64(k.h1)*h/524288)
}
