package i2c

import (
	"encoding/binary"
	"time"
)

// An answerer is a chip that answers a command once: a read before the answer is
// ready, or after it was fetched, isn't acknowledged.
type answerer struct {
	answer []byte
	ready  time.Time
	seen   [6]byte // the last answer, for Memory
}

func (a *answerer) Reset(time.Time) { a.answer = nil }

func (a *answerer) Memory() []byte { return a.seen[:] }

func (a *answerer) Read(now time.Time, p []byte) bool {
	if a.answer == nil || now.Before(a.ready) {
		return false
	}
	for i := range p {
		p[i] = 0xff
	}
	copy(p, a.answer)
	copy(a.seen[:], a.answer)
	a.answer = nil
	return true
}

// busy tells whether a question is still to be answered.
func (a *answerer) busy(now time.Time) bool { return a.answer != nil && now.Before(a.ready) }

// command is the command of 16 bits in a message. What wasn't fetched before is
// gone. Without ok there is none, or the chip is busy.
func (a *answerer) command(now time.Time, p []byte) (command uint16, ok bool) {
	if a.busy(now) || len(p) < 2 {
		return 0, false
	}
	a.answer = nil
	return binary.BigEndian.Uint16(p), true
}

// give has the chip answer words, each with its checksum, after a while.
func (a *answerer) give(at time.Time, initial byte, words ...uint16) {
	a.answer, a.ready = nil, at
	for _, w := range words {
		p := binary.BigEndian.AppendUint16(nil, w)
		a.answer = append(a.answer, append(p, crc8From(initial, p))...)
	}
}

// sht3x is Sensirion's SHT3x-DIS (data sheet, version 6, section 4), measuring on
// demand. It has no alerts: their limits read 0.
type sht3x struct {
	answerer
	temperature, humidity int
	heater                bool
}

// The commands of sections 4.3 to 4.11.
const (
	sht3xStatus    = 0xf32d
	sht3xClear     = 0x3041
	sht3xHeaterOn  = 0x306d
	sht3xHeaterOff = 0x3066
	sht3xReset     = 0x30a2
	sht3xBreak     = 0x3093
	sht3xSerial    = 0x3682 // of an application note, "Electronic Identification Code"
)

// sht3xDurations are the longest, by command without clock stretching (table 9
// and table 4).
var sht3xDurations = map[uint16]time.Duration{
	0x2400: 15500 * time.Microsecond, 0x240b: 6500 * time.Microsecond, 0x2416: 4500 * time.Microsecond,
}

func (s *sht3x) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &s.temperature, "humidity": &s.humidity})
}

func (s *sht3x) Reset(now time.Time) {
	s.answerer.Reset(now)
	s.heater = false
}

func (s *sht3x) Write(now time.Time, p []byte) bool {
	command, ok := s.command(now, p)
	if !ok {
		return len(p) == 0 && !s.busy(now)
	}
	if d, measures := sht3xDurations[command]; measures {
		s.give(now.Add(d), 0xff, uint16(s.temperature), uint16(s.humidity))
		return true
	}
	switch command {
	case sht3xStatus:
		status := uint16(0)
		if s.heater {
			status |= 1 << 13
		}
		s.give(now, 0xff, status)
	case sht3xHeaterOn, sht3xHeaterOff:
		s.heater = command == sht3xHeaterOn
	case sht3xSerial:
		s.give(now, 0xff, 0x1234, 0x5678)
	case sht3xReset:
		s.Reset(now)
	case sht3xClear, sht3xBreak:
	default:
		const readLimit = 0xe100 // and what it is, section 4.12
		if command&0xff00 != readLimit {
			return false
		}
		s.give(now, 0xff, 0)
	}
	return true
}

// htu21d is TE's HTU21D or Sensirion's SHT21 (sections 5 of both data sheets).
type htu21d struct {
	answerer
	temperature, humidity int // 14 and 12 bits, in the highest of 16
	user                  byte
}

func (h *htu21d) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &h.temperature, "humidity": &h.humidity})
}

func (h *htu21d) Reset(now time.Time) {
	h.answerer.Reset(now)
	h.user = 0x02 // 12 and 14 bits, heater off
}

// Write: with "hold" the chip stretches the clock until it has measured, for
// which the adapter would wait; here it has measured at once.
func (h *htu21d) Write(now time.Time, p []byte) bool {
	if h.answer != nil && now.Before(h.ready) {
		return false
	}
	if len(p) == 0 {
		return true
	}
	h.answer = nil
	const hold = 0x10 // the commands without it have this bit
	wait := func(d time.Duration) time.Time {
		if p[0]&hold == 0 {
			d = 0
		}
		return now.Add(d)
	}
	switch p[0] {
	case 0xe3, 0xf3: // bit 1 tells a humidity from a temperature
		h.give(wait(85*time.Millisecond), 0, uint16(h.temperature)&^3)
	case 0xe5, 0xf5:
		h.give(wait(29*time.Millisecond), 0, uint16(h.humidity)&^3|2)
	case 0xe6:
		if len(p) == 2 {
			h.user = p[1]
		}
	case 0xe7:
		h.answer, h.ready = []byte{h.user}, now
	case 0xfe:
		h.Reset(now)
	default:
		return false
	}
	return true
}
