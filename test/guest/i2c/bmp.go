package i2c

import (
	"encoding/binary"
	"time"
)

// bmp180 is Bosch's BMP180 (BST-BMP180-DS000). Values are its results, "ut" of
// 16 bits and "up" of 19, as at the highest oversampling, and "least", the
// conversion's.
type bmp180 struct {
	pointed
	ut, up int
}

const (
	bmp180Control = 0xf4
	bmp180Out     = 0xf6
	bmp180Busy    = 0x20 // Sco: section 4.3
)

func newBMP180() *bmp180 {
	b := &bmp180{}
	// AC1 to MD of the data sheet's worked example, section 3.5.
	for i, v := range []int{408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868} {
		binary.BigEndian.PutUint16(b.powerOn[0xaa+2*i:], uint16(v))
	}
	b.powerOn[0xd0], b.powerOn[0xd1] = 0x55, 0x02
	b.powerOn[bmp180Out] = 0x80
	return b
}

func (b *bmp180) Set(values map[string]int) error {
	return assign(values, map[string]*int{"ut": &b.ut, "up": &b.up, "least": &b.least})
}

func (b *bmp180) Write(now time.Time, p []byte) bool {
	b.settle(now)
	return b.take(p, func(register, v uint8) {
		switch {
		case register == 0xe0 && v == 0xb6:
			b.Reset(now)
		case register == bmp180Control:
			b.now[register] = v
			if v&bmp180Busy == 0 {
				return
			}
			d := 4500 * time.Microsecond
			if v&0x1f == 0x14 { // pressure: table 8
				d = [4]time.Duration{4500, 7500, 13500, 25500}[v>>6] * time.Microsecond
			}
			b.begin(now, d, false)
		}
	})
}

func (b *bmp180) settle(now time.Time) {
	if !b.done(now) {
		return
	}
	control := b.now[bmp180Control]
	b.now[bmp180Control] = control &^ bmp180Busy
	switch control & 0x1f {
	case 0x0e:
		binary.BigEndian.PutUint16(b.now[bmp180Out:], uint16(b.ut))
		b.now[bmp180Out+2] = 0
	case 0x14:
		lost := 3 - control>>6 // bits that this oversampling hasn't
		b.put24(bmp180Out, b.up>>lost<<lost<<5)
	}
}

func (b *bmp180) Read(now time.Time, p []byte) bool {
	b.settle(now)
	return b.fill(p)
}

// bmp388 is Bosch's BMP388 (BST-BMP388-DS001). Values are its results of 24 bits:
// "temperature" and "pressure".
type bmp388 struct {
	pointed
	pressure, temperature int
}

// Registers of section 4.3.
const (
	bmp388Status = 0x03
	bmp388Data   = 0x04
	bmp388Event  = 0x10
	bmp388Power  = 0x1b
	bmp388OSR    = 0x1c
	bmp388Calib  = 0x31
	bmp388Cmd    = 0x7e
)

func newBMP388() *bmp388 {
	b := &bmp388{}
	b.powerOn[0] = 0x50
	b.powerOn[bmp388Status], b.powerOn[bmp388Event], b.powerOn[bmp388OSR] = 0x10, 0x01, 0x02
	copy(b.powerOn[bmp388Data:], []byte{0, 0, 0x80, 0, 0, 0x80})
	// T1 27504, T2 18975, T3 -10; P1 2900, P2 -3200, P3 35, P4 1, P5 25300, P6
	// 30500, P7 -7, P8 -7, P9 16500, P10 20, P11 -60: section 3.11.1.
	c := b.powerOn[bmp388Calib:]
	for at, v := range map[int]int{0: 27504, 2: 18975, 5: 2900, 7: -3200, 11: 25300, 13: 30500, 17: 16500} {
		binary.LittleEndian.PutUint16(c[at:], uint16(v))
	}
	for at, v := range map[int]int{4: -10, 9: 35, 10: 1, 15: -7, 16: -7, 19: 20, 20: -60} {
		c[at] = byte(v)
	}
	return b
}

func (b *bmp388) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &b.temperature, "pressure": &b.pressure})
}

// duration is section 3.9.2.
func (b *bmp388) duration() time.Duration {
	us := 234
	if b.now[bmp388Power]&1 != 0 {
		us += 392 + 2020<<(b.now[bmp388OSR]&7)
	}
	if b.now[bmp388Power]&2 != 0 {
		us += 163 + 2020<<(b.now[bmp388OSR]>>3&7)
	}
	return time.Duration(us) * time.Microsecond
}

// Write takes pairs of register and value after the first, as a BMP280 does.
func (b *bmp388) Write(now time.Time, p []byte) bool {
	b.settle(now)
	return b.takePairs(p, func(register, v uint8) { b.store(now, register, v) })
}

func (b *bmp388) store(now time.Time, register, v uint8) {
	switch {
	case register == bmp388Cmd && v == 0xb6:
		b.Reset(now)
	case register == bmp388Power:
		b.now[register] = v
		switch mode := v >> 4 & 3; mode {
		case 0:
			b.stop()
		default:
			b.begin(now, b.duration(), mode == 3)
		}
	case register >= 0x15 && register <= 0x1f:
		b.now[register] = v
	}
}

func (b *bmp388) settle(now time.Time) {
	if !b.done(now) {
		return
	}
	for sensor, v := range []int{b.pressure, b.temperature} {
		if b.now[bmp388Power]>>sensor&1 != 0 {
			at := bmp388Data + 3*sensor
			b.now[at], b.now[at+1], b.now[at+2] = byte(v), byte(v>>8), byte(v>>16)
			b.now[bmp388Status] |= 0x20 << sensor
		}
	}
	if !b.under { // forced mode falls asleep
		b.now[bmp388Power] &^= 0x30
	}
}

// Read clears that a result is new.
func (b *bmp388) Read(now time.Time, p []byte) bool {
	b.settle(now)
	return b.fillThen(p, func(register uint8) {
		switch register {
		case bmp388Data + 2:
			b.now[bmp388Status] &^= 0x20
		case bmp388Data + 5:
			b.now[bmp388Status] &^= 0x40
		case bmp388Event:
			b.now[bmp388Event] = 0
		}
	})
}

// BMP180 holds the data sheet's worked example: 15.0 °C and 69964 Pa. Values: ut
// of 16 bits, up of 19.
func BMP180() Spec {
	return Spec{Model: "bmp180", Values: map[string]int{"ut": 27898, "up": 23843 << 3}}
}

// BMP388 has results of 24 bits. Values: temperature, pressure.
func BMP388() Spec {
	return Spec{Model: "bmp388", Values: map[string]int{"temperature": 8_400_000, "pressure": 6_900_000}}
}
