package i2c

import (
	"encoding/binary"
	"time"
)

// bme680 is Bosch's BME680 (BST-BME680-DS001). Values are its results: "adc_T"
// and "adc_P" of 20 bits, "adc_H" of 16, "adc_G" of 10 with its "range" of 4.
type bme680 struct {
	pointed
	t, p, h, gas, span int
}

// Registers of section 5.3.
const (
	bme680Field   = 0x1d // status, pressure from 0x1f, temperature, humidity
	bme680Gas     = 0x2a
	bme680Wait    = 0x64
	bme680CtrlGas = 0x71
	bme680CtrlHum = 0x72
	bme680Ctrl    = 0x74
)

func newBME680() *bme680 {
	b := &bme680{}
	b.powerOn[0xd0] = 0x61
	copy(b.powerOn[bme680Field+2:], []byte{0x80, 0, 0, 0x80, 0, 0, 0x80, 0})
	word := func(at, v int) { binary.LittleEndian.PutUint16(b.powerOn[at:], uint16(v)) }
	// T1 26125, T2 26370, T3 3; P1 36673, P2 -10515, P3 88, P4 7310, P5 -129, P7 46,
	// P6 30, P8 -3177, P9 -2379, P10 30: section 3.11.1, tables 11 to 13.
	for at, v := range map[int]int{0xe9: 26125, 0x8a: 26370, 0x8e: 36673, 0x90: -10515, 0x94: 7310, 0x96: -129, 0x9c: -3177, 0x9e: -2379, 0xeb: -5969} {
		word(at, v)
	}
	// H1 789 and H2 1019 share 0xE2; H3 0, H4 45, H5 20, H6 120, H7 -100; G1 -30, G2
	// -5969, G3 18.
	copy(b.powerOn[0xe1:], []byte{1019 >> 4, 1019&0xf<<4 | 789&0xf, 789 >> 4, 0, 45, 20, 120, 0x9c})
	for at, v := range map[int]int{0x8c: 3, 0x92: 88, 0x98: 46, 0x99: 30, 0xa0: 30, 0xed: -30, 0xee: 18, 0x00: 44, 0x02: 0x10, 0x04: 0x30} {
		b.powerOn[at] = byte(v)
	}
	return b
}

func (b *bme680) Set(values map[string]int) error {
	return assign(values, map[string]*int{"adc_T": &b.t, "adc_P": &b.p, "adc_H": &b.h, "adc_G": &b.gas, "range": &b.span})
}

// heats tells whether gas is measured: section 5.3.3.4.
func (b *bme680) heats() bool { return b.now[bme680CtrlGas]&0x10 != 0 }

// duration is that of a forced measurement, by the data sheet's software.
func (b *bme680) duration() time.Duration {
	ctrl := b.now[bme680Ctrl]
	samples := oversampling(ctrl>>5) + oversampling(ctrl>>2) + oversampling(b.now[bme680CtrlHum])
	d := time.Duration(samples*1963+477*4) * time.Microsecond
	if b.heats() {
		wait := b.now[bme680Wait+b.now[bme680CtrlGas]&0xf] // six bits, and a factor of 4^n
		d += 477*5*time.Microsecond + time.Duration(wait&0x3f)<<(2*(wait>>6))*time.Millisecond
	}
	return d
}

// Write takes pairs of register and value after the first, as a BME280 does.
func (b *bme680) Write(now time.Time, p []byte) bool {
	b.settle(now)
	return b.takePairs(p, func(register, v uint8) {
		switch {
		case register == 0xe0 && v == 0xb6:
			b.Reset(now)
		case register >= 0x50 && register <= 0x75:
			b.now[register] = v
			if register == bme680Ctrl && v&3 == 1 {
				b.now[bme680Field] = 0x20
				if b.heats() {
					b.now[bme680Field] = 0x60
				}
				b.begin(now, b.duration(), false)
			}
		}
	})
}

func (b *bme680) settle(now time.Time) {
	if !b.done(now) {
		return
	}
	b.now[bme680Ctrl] &^= 3 // asleep
	b.now[bme680Field] = 0x80
	for i, v := range []int{b.p, b.t} {
		b.put24(bme680Field+2+3*i, v<<4)
	}
	binary.BigEndian.PutUint16(b.now[bme680Field+8:], uint16(b.h))
	b.now[bme680Gas], b.now[bme680Gas+1] = 0, 0
	if b.heats() { // valid, and the heater was stable
		binary.BigEndian.PutUint16(b.now[bme680Gas:], uint16(b.gas<<6|0x30|b.span))
	}
}

func (b *bme680) Read(now time.Time, p []byte) bool {
	b.settle(now)
	return b.fill(p)
}

// BME680 has results of 20, 20, 16 and 10 bits. Values: adc_T, adc_P, adc_H,
// adc_G, and range, the gas resistance's.
func BME680() Spec {
	return Spec{Model: "bme680", Values: map[string]int{"adc_T": 497_500, "adc_P": 350_000, "adc_H": 22_000, "adc_G": 500, "range": 5}}
}
