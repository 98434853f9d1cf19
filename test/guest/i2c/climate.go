package i2c

import (
	"encoding/binary"
	"time"
)

// hdc1080 is TI's HDC1080 (SNAS672). Values are its results of 14 bits, in the
// highest of 16: "temperature" and "humidity".
type hdc1080 struct {
	words
	temperature, humidity int
	measured              answerer
}

const hdc1080Both = 1 << 12 // of register 2: section 8.6.3

func newHDC1080() *hdc1080 {
	h := &hdc1080{}
	h.setPowerOn(2, hdc1080Both)
	h.setPowerOn(0xfe, 0x5449)
	h.setPowerOn(0xff, 0x1050)
	return h
}

func (h *hdc1080) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &h.temperature, "humidity": &h.humidity})
}

// Write: to point at a result begins a measurement (section 8.5).
func (h *hdc1080) Write(now time.Time, p []byte) bool {
	if h.measured.busy(now) {
		return false
	}
	v, ok := h.address(p)
	if ok && h.pointer == 2 {
		h.setWord(2, v&^(1<<11))
		if v&0x8000 != 0 {
			h.Reset(now)
		}
	}
	h.measured.answer = nil
	if len(p) == 1 && h.pointer <= 1 {
		const each = 6500 * time.Microsecond // 14 bits: section 6.5
		results := []int{h.temperature, h.humidity}[h.pointer:]
		if h.word(2)&hdc1080Both == 0 {
			results = results[:1]
		}
		h.measured.ready = now.Add(time.Duration(len(results)) * each)
		for _, v := range results {
			h.measured.answer = binary.BigEndian.AppendUint16(h.measured.answer, uint16(v)&^3)
		}
	}
	return true
}

func (h *hdc1080) Read(now time.Time, p []byte) bool {
	if h.pointer > 1 {
		return h.words.Read(now, p)
	}
	return h.measured.Read(now, p)
}

// hdc302x is TI's HDC302x (SNAS778), whose commands resemble the SHT3x's. It has
// no alerts.
type hdc302x struct {
	answerer
	temperature, humidity int
	heater, auto          bool
}

// The commands of table 7-3.
const (
	hdc302xAuto         = 0x2737 // ten times a second
	hdc302xExit         = 0x3093
	hdc302xReadAuto     = 0xe000
	hdc302xHeaterOn     = 0x306d
	hdc302xHeaterOff    = 0x3066
	hdc302xStatus       = 0xf32d
	hdc302xClear        = 0x3041
	hdc302xReset        = 0x30a2
	hdc302xManufacturer = 0x3781
)

func (h *hdc302x) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &h.temperature, "humidity": &h.humidity})
}

func (h *hdc302x) Reset(now time.Time) {
	h.answerer.Reset(now)
	h.heater, h.auto = false, false
}

func (h *hdc302x) Write(now time.Time, p []byte) bool {
	command, ok := h.command(now, p)
	if !ok {
		return len(p) == 0 && !h.busy(now)
	}
	if d, measures := map[uint16]time.Duration{0x2400: 12500, 0x240b: 7500, 0x2416: 5000, 0x24ff: 3700}[command]; measures {
		h.give(now.Add(d*time.Microsecond), 0xff, uint16(h.temperature), uint16(h.humidity)) // table 6.5
		return true
	}
	switch command {
	case hdc302xAuto:
		h.auto = true
	case hdc302xExit:
		h.auto = false
	case hdc302xReadAuto:
		if h.auto {
			h.give(now, 0xff, uint16(h.temperature), uint16(h.humidity))
		}
	case 0xe002, 0xe003: // the lowest and the highest so far, which aren't kept
		h.give(now, 0xff, uint16(h.temperature))
	case 0xe004, 0xe005:
		h.give(now, 0xff, uint16(h.humidity))
	case hdc302xHeaterOn, hdc302xHeaterOff:
		h.heater = command == hdc302xHeaterOn
	case hdc302xStatus:
		status := uint16(0)
		if h.heater {
			status |= 1 << 13
		}
		h.give(now, 0xff, status)
	case hdc302xManufacturer:
		h.give(now, 0xff, 0x3000)
	case 0x3683, 0x3684, 0x3685: // NIST ID
		h.give(now, 0xff, command^0x1234)
	case hdc302xReset:
		h.Reset(now)
	case hdc302xClear:
	default:
		return false
	}
	return true
}

// aht20 is Aosong's AHT20 (version 1.1). Values are its results of 20 bits:
// "humidity" and "temperature".
type aht20 struct {
	conversion
	calibrated            bool
	humidity, temperature int
	result                [7]byte
}

func (a *aht20) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &a.temperature, "humidity": &a.humidity})
}

func (a *aht20) Reset(time.Time) {
	a.stop()
	a.calibrated, a.result = false, [7]byte{}
}

func (a *aht20) Memory() []byte { return a.result[:] }

func (a *aht20) Write(now time.Time, p []byte) bool {
	a.settle(now)
	switch {
	case len(p) == 3 && p[0] == 0xbe && p[1]&0x08 != 0:
		a.calibrated = true
	case len(p) == 3 && p[0] == 0xac && p[1] == 0x33: // section 5.4
		a.begin(now, 80*time.Millisecond, false)
	case len(p) == 1 && p[0] == 0xba:
		a.Reset(now)
	}
	return true
}

func (a *aht20) settle(now time.Time) {
	if !a.done(now) {
		return
	}
	h, t := a.humidity, a.temperature
	copy(a.result[1:], []byte{byte(h >> 12), byte(h >> 4), byte(h<<4) | byte(t>>16), byte(t >> 8), byte(t)})
}

// Read begins with the status.
func (a *aht20) Read(now time.Time, p []byte) bool {
	a.settle(now)
	a.result[0] = 0x10
	if a.under {
		a.result[0] |= 0x80
	}
	if a.calibrated {
		a.result[0] |= 0x08
	}
	a.result[6] = crc8(a.result[:6])
	for i := range p {
		p[i] = 0xff
	}
	copy(p, a.result[:])
	return true
}

// scd4x is Sensirion's SCD40 or SCD41 (version 1). Values are the words of its
// results, "co2", "temperature" and "humidity", and how often it measures, in
// milliseconds: "interval", which is 5000 of the real one.
type scd4x struct {
	answerer
	conversion
	co2, temperature, humidity int
	interval                   int
	fresh                      bool
	measuring                  bool
}

// The commands of section 3.
const (
	scd4xStart  = 0x21b1
	scd4xStop   = 0x3f86
	scd4xShot   = 0x219d
	scd4xReady  = 0xe4b8
	scd4xRead   = 0xec05
	scd4xSerial = 0x3682
)

func (s *scd4x) Set(values map[string]int) error {
	return assign(values, map[string]*int{"co2": &s.co2, "temperature": &s.temperature, "humidity": &s.humidity, "interval": &s.interval})
}

func (s *scd4x) Reset(now time.Time) {
	s.answerer.Reset(now)
	s.stop()
	s.fresh, s.measuring = false, false
}

func (s *scd4x) Write(now time.Time, p []byte) bool {
	if len(p) < 2 {
		return len(p) == 0
	}
	if s.done(now) {
		s.fresh = true
	}
	interval := time.Duration(s.interval) * time.Millisecond
	s.answer = nil
	command := binary.BigEndian.Uint16(p)
	switch command {
	case scd4xReady:
		ready := uint16(0x8000)
		if s.fresh {
			ready |= 6
		}
		s.give(now.Add(time.Millisecond), 0xff, ready)
		return true
	case scd4xRead:
		if !s.fresh {
			return false
		}
		s.give(now.Add(time.Millisecond), 0xff, uint16(s.co2), uint16(s.temperature), uint16(s.humidity))
		if s.fresh = false; s.measuring {
			s.begin(now, interval, true)
		}
		return true
	case scd4xStop:
		s.stop()
		s.measuring, s.fresh = false, false
		return true
	}
	if s.measuring {
		return false // it takes no other commands meanwhile
	}
	switch command {
	case scd4xStart:
		s.measuring = true
		s.begin(now, interval, true)
	case scd4xShot:
		s.begin(now, interval, false)
	case scd4xSerial:
		s.give(now.Add(time.Millisecond), 0xff, 0xf896, 0x9f07, 0x3bbe)
	case 0x2318, 0x2313, 0x2322, 0xe000: // settings, which aren't kept
		s.give(now.Add(time.Millisecond), 0xff, 0)
	}
	return true
}

// HDC1080 measures temperature and humidity as the 16 bits of its results, of
// which the two lowest are 0.
func HDC1080(temperature, humidity int) Spec { return climate("hdc1080", temperature, humidity) }

// HDC302x measures temperature and humidity as raw 16-bit ticks.
func HDC302x(temperature, humidity int) Spec { return climate("hdc302x", temperature, humidity) }

// AHT20 measures temperature and humidity as raw 20-bit ticks.
func AHT20(temperature, humidity int) Spec { return climate("aht20", temperature, humidity) }

func climate(model string, temperature, humidity int) Spec {
	return Spec{Model: model, Values: map[string]int{"temperature": temperature, "humidity": humidity}}
}

// SCD4x measures carbon dioxide in ppm, and temperature and humidity as raw
// 16-bit ticks, every 5 s unless "interval" says otherwise, in milliseconds.
func SCD4x(co2, temperature, humidity int) Spec {
	s := climate("scd4x", temperature, humidity)
	s.Values["co2"], s.Values["interval"] = co2, 5000
	return s
}
