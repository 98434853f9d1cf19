package i2c

import (
	"encoding/binary"
	"time"
)

// sht4x is Sensirion's SHT4x (data sheet of SHT40, SHT41, SHT45, section 4).
type sht4x struct {
	temperature, humidity, badCRC int

	answer []byte
	ready  time.Time
	seen   [6]byte // the last answer, for Memory
}

// sht4xDurations are the longest measurement times, by command (table 5). The
// heater's commands heat for 1 s or 0.1 s and then measure.
var sht4xDurations = map[byte]time.Duration{
	0xfd: 8300 * time.Microsecond,
	0xf6: 4500 * time.Microsecond,
	0xe0: 1600 * time.Microsecond,
	0x39: 1100 * time.Millisecond,
	0x32: 110 * time.Millisecond,
	0x2f: 1100 * time.Millisecond,
	0x24: 110 * time.Millisecond,
	0x1e: 1100 * time.Millisecond,
	0x15: 110 * time.Millisecond,
}

func (s *sht4x) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &s.temperature, "humidity": &s.humidity, "bad_crc": &s.badCRC})
}

func (s *sht4x) Reset(time.Time) { s.answer = nil }

func (s *sht4x) Memory() []byte { return s.seen[:] }

// Write: a busy chip answers nothing, not even its address.
func (s *sht4x) Write(now time.Time, p []byte) bool {
	if s.answer != nil && now.Before(s.ready) {
		return false
	}
	if len(p) != 1 {
		return len(p) == 0 // an address probe is answered
	}
	s.answer = nil
	switch d, measures := sht4xDurations[p[0]]; {
	case measures:
		s.answer, s.ready = s.words(uint16(s.temperature), uint16(s.humidity)), now.Add(d)
	case p[0] == 0x89: // the serial number
		s.answer, s.ready = s.words(0x0f4c, 0x1a25), now
	case p[0] == 0x94: // soft reset
	default:
		return false
	}
	return true
}

func (s *sht4x) words(a, b uint16) []byte {
	p := make([]byte, 6)
	for i, v := range []uint16{a, b} {
		w := p[3*i:]
		binary.BigEndian.PutUint16(w, v)
		w[2] = crc8(w[:2])
		if s.badCRC != 0 {
			w[2] ^= 0x01
		}
	}
	return p
}

// Read: nothing measured, or not yet, or read before, is a NACK.
func (s *sht4x) Read(now time.Time, p []byte) bool {
	if s.answer == nil || now.Before(s.ready) {
		return false
	}
	for i := range p {
		p[i] = 0xff
	}
	copy(p, s.answer)
	copy(s.seen[:], s.answer)
	s.answer = nil
	return true
}

// crc8 is polynomial 0x31, initial value 0xFF (section 4.4).
func crc8(p []byte) byte { return crc8From(0xff, p) }

// crc8From has another initial value.
func crc8From(crc byte, p []byte) byte {
	for _, b := range p {
		crc ^= b
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x31
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
