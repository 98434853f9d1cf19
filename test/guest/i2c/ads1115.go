package i2c

import (
	"math"
	"time"
)

// ads1115 is TI's ADS1115 (SBAS444), its inputs in microvolts.
type ads1115 struct {
	words
	ain        [4]int
	ready      time.Time
	converting bool
}

// Bits of the config register (SBAS444, section 8.1.3).
const (
	adsOS         = 1 << 15
	adsSingleShot = 1 << 8
)

var (
	// adsFullScale is the range by the PGA field, in microvolts.
	adsFullScale = [8]int{6144000, 4096000, 2048000, 1024000, 512000, 256000, 256000, 256000}
	// adsRate is the data rate by the DR field, in samples per second.
	adsRate = [8]int{8, 16, 32, 64, 128, 250, 475, 860}
	// adsInputs are the positive and negative input by the MUX field; −1 is ground.
	adsInputs = [8][2]int{{0, 1}, {0, 3}, {1, 3}, {2, 3}, {0, -1}, {1, -1}, {2, -1}, {3, -1}}
)

func newADS1115() *ads1115 {
	a := &ads1115{}
	a.setPowerOn(1, 0x8583)
	a.setPowerOn(2, 0x8000)
	a.setPowerOn(3, 0x7fff)
	return a
}

func (a *ads1115) Set(values map[string]int) error {
	return assign(values, map[string]*int{"ain0": &a.ain[0], "ain1": &a.ain[1], "ain2": &a.ain[2], "ain3": &a.ain[3]})
}

func (a *ads1115) Reset(now time.Time) {
	a.words.Reset(now)
	a.converting = false
}

func (a *ads1115) Write(now time.Time, p []byte) bool {
	a.settle(now)
	v, ok := a.address(p)
	switch {
	case !ok || a.pointer == 0 || a.pointer > 3:
	case a.pointer == 1:
		a.setWord(1, v&^adsOS)
		if v&adsSingleShot == 0 || v&adsOS != 0 {
			a.converting, a.ready = true, now.Add(a.duration())
		}
	default:
		a.setWord(a.pointer, v)
	}
	return true
}

// duration is one conversion at the slow end of the oscillator's ±10 %, with
// the 25 µs that a single shot takes to wake.
func (a *ads1115) duration() time.Duration {
	rate := adsRate[a.word(1)>>5&7]
	return time.Second*11/10/time.Duration(rate) + 25*time.Microsecond
}

func (a *ads1115) settle(now time.Time) {
	if !a.converting || now.Before(a.ready) {
		return
	}
	config := a.word(1)
	a.converting = config&adsSingleShot == 0 // continuous mode goes on
	in := adsInputs[config>>12&7]
	microvolts := a.ain[in[0]]
	if in[1] >= 0 {
		microvolts -= a.ain[in[1]]
	}
	full := adsFullScale[config>>9&7]
	code := math.Round(float64(microvolts) * 32768 / float64(full))
	a.setWord(0, uint16(int16(min(max(code, math.MinInt16), math.MaxInt16))))
}

// Read: OS reads 0 during a conversion, 1 otherwise.
func (a *ads1115) Read(now time.Time, p []byte) bool {
	a.settle(now)
	config := a.word(1)
	if !a.converting {
		a.setWord(1, config|adsOS)
	}
	ok := a.words.Read(now, p)
	a.setWord(1, config)
	return ok
}
