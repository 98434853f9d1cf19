package i2c

import "time"

// tsl is TAOS's TSL2561 (TAOS059) or ams's TSL2591 (DS000338). Their values are
// what both diodes count at the greatest gain of a TSL2561, or at gain 1 of a
// TSL2591: "all" and "infrared".
type tsl struct {
	pointed
	kind          *tslKind
	all, infrared int
}

// A tslKind is how they differ: by the command's bits, where what is, and what a
// setting does.
type tslKind struct {
	id      [2]uint8 // register, content
	setting uint8    // register with gain and time
	at      uint8    // the results'
	valid   uint8    // register with the bit that a result is there; 0: none
	on      uint8    // of register 0, so that it measures
	reads   uint8    // what register 0 reads of what was written
	preset  uint8    // the setting after power-up
	takes   func(setting uint8) time.Duration
	scale   func(setting uint8) (num, den int)
	most    func(setting uint8) int
}

var tslKinds = map[string]*tslKind{
	"tsl2561": {
		id: [2]uint8{0x0a, 0x50}, setting: 1, at: 0x0c, on: 0x03, reads: 0x03, preset: 0x02,
		takes: func(setting uint8) time.Duration {
			return [4]time.Duration{13700, 101000, 402000}[setting&3] * time.Microsecond
		},
		scale: func(setting uint8) (int, int) {
			num := [4]int{11, 81, 322}[setting&3] // of 322: "Timing Register"
			if setting&0x10 == 0 {
				return num, 322 * 16
			}
			return num, 322
		},
		most: func(setting uint8) int { return [4]int{5047, 37177, 65535}[setting&3] },
	},
	"tsl2591": {
		id: [2]uint8{0x12, 0x50}, setting: 1, at: 0x14, valid: 0x13, on: 0x03, reads: 0xff,
		takes: func(setting uint8) time.Duration { return time.Duration(setting&7+1) * 100 * time.Millisecond },
		scale: func(setting uint8) (int, int) {
			return [4]int{1, 25, 428, 9876}[setting>>4&3] * int(setting&7+1), 1
		},
		most: func(setting uint8) int {
			if setting&7 == 0 {
				return 36863
			}
			return 65535
		},
	},
}

func newTSL(model string) *tsl {
	t := &tsl{kind: tslKinds[model]}
	t.powerOn[t.kind.id[0]], t.powerOn[t.kind.setting] = t.kind.id[1], t.kind.preset
	return t
}

func (t *tsl) Set(values map[string]int) error {
	return assign(values, map[string]*int{"all": &t.all, "infrared": &t.infrared})
}

// Write: bit 7 tells that a register follows in the low bits.
func (t *tsl) Write(now time.Time, p []byte) bool {
	t.settle(now)
	if len(p) == 0 || p[0]&0x80 == 0 {
		return true
	}
	if t.kind.valid != 0 && p[0]&0x60 == 0x60 {
		return true // a special function, of interrupts
	}
	message := append([]byte{p[0] & t.mask()}, p[1:]...)
	return t.take(message, func(register, v uint8) {
		switch {
		case register == 0:
			t.now[0] = v & t.kind.reads
			if v&t.kind.on != t.kind.on {
				t.stop()
				t.ends()
			} else if !t.under {
				t.begin(now, t.kind.takes(t.now[t.kind.setting]), true)
			}
		case register == t.kind.id[0] || register >= t.kind.at:
		default:
			t.now[register] = v
			if register == t.kind.setting && t.under {
				t.begin(now, t.kind.takes(v), true)
				t.ends()
			}
		}
	})
}

// mask is the register in a command.
func (t *tsl) mask() uint8 {
	if t.kind.valid != 0 {
		return 0x1f
	}
	return 0x0f
}

// ends tells that there is no result of the present setting.
func (t *tsl) ends() {
	if t.kind.valid != 0 {
		t.now[t.kind.valid] &^= 1
	}
}

func (t *tsl) settle(now time.Time) {
	if !t.done(now) {
		return
	}
	setting := t.now[t.kind.setting]
	num, den := t.kind.scale(setting)
	for i, counts := range []int{t.all, t.infrared} {
		v := min(counts*num/den, t.kind.most(setting))
		at := int(t.kind.at) + 2*i
		t.now[at], t.now[at+1] = byte(v), byte(v>>8)
	}
	if t.kind.valid != 0 {
		t.now[t.kind.valid] |= 1
	}
}

func (t *tsl) Read(now time.Time, p []byte) bool {
	t.settle(now)
	return t.fill(p)
}

// ltr559 is Lite-On's LTR-559ALS-01, its light sensor. Values are counts at gain
// 1 and 100 ms: "all" and "infrared".
type ltr559 struct {
	pointed
	all, infrared int
}

// Registers of the LTR-559's data sheet.
const (
	ltr559Control = 0x80
	ltr559Rate    = 0x85
	ltr559Data    = 0x88 // infrared first
	ltr559Status  = 0x8c
	ltr559New     = 0x04
)

func newLTR559() *ltr559 {
	l := &ltr559{}
	copy(l.powerOn[ltr559Rate:], []byte{0x03, 0x92, 0x05})
	l.powerOn[0x82], l.powerOn[0x83], l.powerOn[0x84] = 0x7f, 0x01, 0x02
	return l
}

func (l *ltr559) Set(values map[string]int) error {
	return assign(values, map[string]*int{"all": &l.all, "infrared": &l.infrared})
}

func (l *ltr559) Write(now time.Time, p []byte) bool {
	l.settle(now)
	return l.take(p, func(register, v uint8) {
		if register >= ltr559Rate+1 && register <= ltr559Status {
			return
		}
		l.now[register] = v
		if register == ltr559Control && v&2 != 0 {
			l.Reset(now)
		}
		if register != ltr559Control && register != ltr559Rate {
			return
		}
		if l.stop(); l.now[ltr559Control]&1 != 0 {
			time100 := [8]time.Duration{10, 5, 20, 40, 15, 25, 30, 35}[l.now[ltr559Rate]>>3&7]
			l.begin(now, 10*time.Millisecond+time100*10*time.Millisecond, true)
		}
	})
}

func (l *ltr559) settle(now time.Time) {
	if !l.done(now) {
		return
	}
	gain := [8]int{1, 2, 4, 8, 0, 0, 48, 96}[l.now[ltr559Control]>>2&7]
	for i, counts := range []int{l.infrared, l.all} {
		v := min(counts*gain, 0xffff)
		l.now[ltr559Data+2*i], l.now[ltr559Data+2*i+1] = byte(v), byte(v>>8)
	}
	l.now[ltr559Status] = ltr559New | l.now[ltr559Control]>>2&7<<4
}

// Read: a result that was read is no longer new.
func (l *ltr559) Read(now time.Time, p []byte) bool {
	l.settle(now)
	was := l.pointer
	ok := l.fill(p)
	if was <= ltr559Data+3 && l.pointer > ltr559Data+3 && was >= ltr559Data {
		l.now[ltr559Status] &^= ltr559New
	}
	return ok
}

// veml7700 is Vishay's VEML7700 or VEML6030 (84286, 84366): words, the low byte
// first. Light is in counts at gain 1/8 and 100 ms.
type veml7700 struct {
	memory
	conversion
	pointer uint8
	light   int
}

// Of register 0, ALS_CONF.
const veml7700Shutdown = 1

func newVEML7700() *veml7700 {
	v := &veml7700{}
	v.powerOn[0] = veml7700Shutdown
	return v
}

func (v *veml7700) Set(values map[string]int) error {
	return assign(values, map[string]*int{"light": &v.light})
}

func (v *veml7700) Reset(time.Time) {
	v.now, v.pointer = v.powerOn, 0
	v.stop()
}

// times are the integration times by their code, in 25 ms.
func (v *veml7700) times() int {
	return map[byte]int{0b1100: 1, 0b1000: 2, 0: 4, 1: 8, 2: 16, 3: 32}[v.now[1]<<2&0x0c|v.now[0]>>6]
}

func (v *veml7700) Write(now time.Time, p []byte) bool {
	v.settle(now)
	if len(p) > 0 {
		v.pointer = p[0] & 7
	}
	if len(p) < 3 || v.pointer == 4 || v.pointer == 5 {
		return true
	}
	copy(v.now[2*v.pointer:], p[1:3])
	if v.pointer == 0 {
		if v.stop(); v.now[0]&veml7700Shutdown == 0 {
			v.begin(now, time.Duration(v.times())*25*time.Millisecond+2500*time.Microsecond, true)
		}
	}
	return true
}

func (v *veml7700) settle(now time.Time) {
	if v.done(now) {
		gain := [4]int{8, 16, 1, 2}[v.now[1]>>3&3] // in eighths
		counts := min(v.light*gain*v.times()/4, 0xffff)
		v.now[8], v.now[9] = byte(counts), byte(counts>>8)
		v.now[10], v.now[11] = v.now[8], v.now[9] // white light
	}
}

func (v *veml7700) Read(now time.Time, p []byte) bool {
	v.settle(now)
	for i := range p {
		p[i] = v.now[2*int(v.pointer)+i%2]
	}
	return true
}

// TSL2561 measures light, in counts of both its diodes at gain 16 and 402 ms.
func TSL2561(all, infrared int) Spec { return diodes("tsl2561", all, infrared) }

// TSL2591 measures light, in counts of both its diodes at gain 1 and 100 ms.
func TSL2591(all, infrared int) Spec { return diodes("tsl2591", all, infrared) }

// LTR559 measures light, in counts of both its diodes at gain 1 and 100 ms.
func LTR559(all, infrared int) Spec { return diodes("ltr559", all, infrared) }

func diodes(model string, all, infrared int) Spec {
	return Spec{Model: model, Values: map[string]int{"all": all, "infrared": infrared}}
}

// VEML7700 measures light, in counts at gain 1/8 and 100 ms.
func VEML7700(light int) Spec {
	return Spec{Model: "veml7700", Values: map[string]int{"light": light}}
}
