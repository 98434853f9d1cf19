package i2c

import "time"

// tmp102 is TI's TMP102 (SBOS397). Temperatures are in 1/16 °C.
type tmp102 struct {
	words
	temperature int
	ready       time.Time
	converting  bool
}

// Bits of the configuration register (SBOS397, section 7.5.3).
const (
	tmp102OneShot  = 1 << 15
	tmp102Shutdown = 1 << 8
	tmp102Extended = 1 << 4
	tmp102ReadOnly = 0x6020 // the resolution bits and AL
)

// tmp102Conversion is the longest conversion time (section 6.5).
const tmp102Conversion = 35 * time.Millisecond

func newTMP102() *tmp102 {
	t := &tmp102{}
	t.setPowerOn(1, 0x60a0)
	t.setPowerOn(2, 0x4b00)
	t.setPowerOn(3, 0x5000)
	return t
}

func (t *tmp102) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &t.temperature})
}

// Reset: the temperature reads 0 °C until the first conversion ends (7.5.2).
func (t *tmp102) Reset(now time.Time) {
	t.words.Reset(now)
	t.converting, t.ready = true, now.Add(tmp102Conversion)
}

func (t *tmp102) Write(now time.Time, p []byte) bool {
	t.settle(now)
	v, ok := t.address(p)
	switch {
	case !ok || t.pointer == 0: // the temperature is read-only
	case t.pointer == 1:
		start := v&tmp102OneShot != 0 || v&tmp102Shutdown == 0
		t.setWord(1, v&^(tmp102ReadOnly|tmp102OneShot)|tmp102ReadOnly)
		if start && !t.converting {
			t.converting, t.ready = true, now.Add(tmp102Conversion)
		}
	default:
		t.setWord(t.pointer, v)
	}
	return true
}

func (t *tmp102) settle(now time.Time) {
	if t.converting && !now.Before(t.ready) {
		t.converting = t.word(1)&tmp102Shutdown == 0 // continuous mode goes on
		if t.word(1)&tmp102Extended != 0 {
			t.setWord(0, uint16(t.temperature<<3)|1)
		} else {
			t.setWord(0, uint16(t.temperature<<4))
		}
	}
}

// Read: the one-shot bit reads 1 when a single conversion has ended.
func (t *tmp102) Read(now time.Time, p []byte) bool {
	t.settle(now)
	config := t.word(1)
	if config&tmp102Shutdown != 0 && !t.converting {
		t.setWord(1, config|tmp102OneShot)
	}
	ok := t.words.Read(now, p)
	t.setWord(1, config)
	return ok
}

// lm75 is the classic LM75 (SNIS153): 9 bits, a configuration of one byte.
// Temperatures are in 1/2 °C.
type lm75 struct {
	words
	temperature int
}

func newLM75() *lm75 {
	l := &lm75{}
	l.setPowerOn(2, 0x4b00)
	l.setPowerOn(3, 0x5000)
	return l
}

func (l *lm75) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &l.temperature})
}

func (l *lm75) Write(_ time.Time, p []byte) bool {
	v, ok := l.address(p)
	switch {
	case l.pointer == 1 && len(p) > 1:
		l.setWord(1, uint16(p[1])<<8|uint16(p[1])) // one byte, read as often as wanted
	case ok && l.pointer > 1:
		l.setWord(l.pointer, v)
	}
	return true
}

// Read: while the chip is shut down (bit 0) the last temperature stays.
func (l *lm75) Read(now time.Time, p []byte) bool {
	if l.word(1)&1 == 0 {
		l.setWord(0, uint16(l.temperature<<7))
	}
	return l.words.Read(now, p)
}
