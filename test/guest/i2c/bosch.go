package i2c

import (
	"encoding/binary"
	"time"
)

// bosch is a BMP280 (BST-BMP280-DS001) or a BME280 (BST-BME280-DS002).
type bosch struct {
	memory
	pointer          uint8
	humid            bool
	adcT, adcP, adcH int
	activeHum        uint8 // ctrl_hum, in force since ctrl_meas was last written
	ready            time.Time
	converting       bool
}

// Registers of section 4.2 (BMP280) and 5.3 (BME280).
const (
	boschID       = 0xd0
	boschReset    = 0xe0
	boschCtrlHum  = 0xf2
	boschStatus   = 0xf3
	boschCtrlMeas = 0xf4
	boschConfig   = 0xf5
	boschData     = 0xf7
)

func newBosch(humid bool) *bosch {
	b := &bosch{humid: humid}
	b.powerOn[boschID] = 0x58
	// T1…T3 and P1…P9 of the data sheet's worked example, section 3.12.
	for i, v := range []int{27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000} {
		binary.LittleEndian.PutUint16(b.powerOn[0x88+2*i:], uint16(v))
	}
	copy(b.powerOn[boschData:], []byte{0x80, 0, 0, 0x80, 0, 0}) // nothing measured yet
	if humid {
		b.powerOn[boschID] = 0x60
		b.powerOn[0xa1] = 75
		// H2 361, H3 0, H4 325 = 0x145, H5 50 = 0x032, H6 30: H4 and H5 share 0xE5.
		copy(b.powerOn[0xe1:], []byte{0x69, 0x01, 0x00, 0x14, 0x25, 0x03, 30})
		copy(b.powerOn[boschData+6:], []byte{0x80, 0})
	}
	return b
}

func (b *bosch) Set(values map[string]int) error {
	fields := map[string]*int{"adc_T": &b.adcT, "adc_P": &b.adcP}
	if b.humid {
		fields["adc_H"] = &b.adcH
	}
	return assign(values, fields)
}

func (b *bosch) Reset(time.Time) {
	b.now, b.pointer, b.activeHum, b.converting = b.powerOn, 0, 0, false
}

// Write takes pairs of register and value after the first: the chip doesn't
// increment on writing (section 5.2.1).
func (b *bosch) Write(now time.Time, p []byte) bool {
	b.settle(now)
	if len(p) > 0 {
		b.pointer = p[0]
	}
	for ; len(p) >= 2; p = p[2:] {
		b.store(now, p[0], p[1])
	}
	return true
}

func (b *bosch) store(now time.Time, reg, v uint8) {
	switch {
	case reg == boschReset && v == 0xb6:
		pointer := b.pointer
		b.Reset(now)
		b.pointer = pointer
	case reg == boschConfig, reg == boschCtrlHum && b.humid:
		b.now[reg] = v
	case reg == boschCtrlMeas:
		b.now[reg] = v
		b.activeHum = b.now[boschCtrlHum] & 7
		if b.converting = v&3 != 0; b.converting {
			b.ready = now.Add(b.duration())
		}
	}
}

// duration is the longest time of a measurement: BMP280 section 3.8.1,
// BME280 section 9.1.
func (b *bosch) duration() time.Duration {
	ctrl := b.now[boschCtrlMeas]
	us := 1250
	if n := oversampling(ctrl >> 5); n > 0 {
		us += 2300 * n
	}
	if n := oversampling(ctrl >> 2); n > 0 {
		us += 2300*n + 575
	}
	if n := oversampling(b.activeHum); n > 0 {
		us += 2300*n + 575
	}
	return time.Duration(us) * time.Microsecond
}

// oversampling is the number of samples for an osrs code; 0 skips.
func oversampling(code uint8) int {
	if code &= 7; code == 0 {
		return 0
	}
	return 1 << (min(code, 5) - 1)
}

// settle ends a conversion whose time has passed.
func (b *bosch) settle(now time.Time) {
	if b.converting && !now.Before(b.ready) {
		ctrl := b.now[boschCtrlMeas]
		b.converting = ctrl&3 == 3 // normal mode goes on
		if !b.converting {
			b.now[boschCtrlMeas] = ctrl &^ 3 // forced mode falls asleep
		}
		b.put20(boschData, ctrl>>2, b.adcP)
		b.put20(boschData+3, ctrl>>5, b.adcT)
		if b.humid {
			v := b.adcH
			if b.activeHum == 0 {
				v = 0x8000
			}
			binary.BigEndian.PutUint16(b.now[boschData+6:], uint16(v))
		}
	}
	b.now[boschStatus] = 0
	if b.converting {
		b.now[boschStatus] = 1 << 3
	}
}

// put20 stores a 20-bit result, or the pattern of a skipped measurement.
func (b *bosch) put20(reg int, osrs uint8, v int) {
	if oversampling(osrs) == 0 {
		v = 0x80000
	}
	b.put24(reg, v<<4)
}

func (b *bosch) Read(now time.Time, p []byte) bool {
	b.settle(now)
	for i := range p {
		p[i] = b.now[b.pointer]
		b.pointer++
	}
	return true
}
