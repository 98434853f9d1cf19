package i2c

import "time"

// ds1621 is Maxim's DS1621 (19-7540). Temperatures are in 1/2 °C. Its counters,
// which would tell more than that, aren't modelled.
type ds1621 struct {
	memory
	conversion
	command     byte
	temperature int
}

// The commands of table 3. Those of two bytes are where their value is in
// memory.
const (
	ds1621High   = 0xa1
	ds1621Low    = 0xa2
	ds1621Value  = 0xaa
	ds1621Config = 0xac
	ds1621Start  = 0xee
	ds1621Stop   = 0x22

	ds1621Done    = 0x80 // of the configuration
	ds1621OneShot = 0x01

	// ds1621Conversion is the usual time (t_TC; at most it is 1 s).
	ds1621Conversion = 750 * time.Millisecond
)

func newDS1621() *ds1621 {
	d := &ds1621{}
	d.powerOn[ds1621Config] = 0x08 | ds1621Done
	return d
}

func (d *ds1621) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &d.temperature})
}

// Reset: the temperature reads -60 °C until the first conversion ends.
func (d *ds1621) Reset(time.Time) {
	config := d.now[ds1621Config] & 0x03 // in EEPROM
	d.now, d.command = d.powerOn, 0
	d.now[ds1621Config] |= config
	d.now[ds1621Value] = 0xc4
	d.stop()
}

// limits are in half degrees at two registers that would overlap.
const ds1621LimitAt = 0x10

func (d *ds1621) at(command byte) (at, n int) {
	switch command {
	case ds1621High:
		return ds1621LimitAt, 2
	case ds1621Low:
		return ds1621LimitAt + 2, 2
	case ds1621Value:
		return ds1621Value, 2
	case ds1621Config:
		return ds1621Config, 1
	}
	return 0, 0
}

func (d *ds1621) Write(now time.Time, p []byte) bool {
	d.settle(now)
	if len(p) == 0 {
		return true
	}
	d.command = p[0]
	at, n := d.at(p[0])
	switch {
	case p[0] == ds1621Start:
		d.begin(now, ds1621Conversion, d.now[ds1621Config]&ds1621OneShot == 0)
		d.now[ds1621Config] &^= ds1621Done
	case p[0] == ds1621Stop:
		d.stop()
		d.now[ds1621Config] |= ds1621Done
	case p[0] == ds1621Config && len(p) == 2:
		d.now[at] = d.now[at]&ds1621Done | 0x08 | p[1]&0x63
	case p[0] != ds1621Value && n == 2 && len(p) == 3:
		copy(d.now[at:], []byte{p[1], p[2] & 0x80})
	}
	return true
}

func (d *ds1621) settle(now time.Time) {
	if d.done(now) {
		d.now[ds1621Value], d.now[ds1621Value+1] = byte(d.temperature>>1), byte(d.temperature<<7)
		if !d.under {
			d.now[ds1621Config] |= ds1621Done
		}
	}
}

func (d *ds1621) Read(now time.Time, p []byte) bool {
	d.settle(now)
	at, n := d.at(d.command)
	for i := range p {
		p[i] = 0xff
		if i < n {
			p[i] = d.now[at+i]
		}
	}
	return true
}

// tmp117 is TI's TMP117 (SNOSD82). Temperatures are in 1/128 °C.
type tmp117 struct {
	words
	conversion
	temperature int
}

// Bits of the configuration (SNOSD82, section 7.6.3), of which the results are
// read-only.
const (
	tmp117Ready    = 1 << 13
	tmp117Shutdown = 1 << 10
	tmp117OneShot  = 3 << 10
	tmp117Writable = 0x0ffc
)

func newTMP117() *tmp117 {
	t := &tmp117{}
	t.setPowerOn(0, 0x8000)
	t.setPowerOn(1, 0x0220)
	t.setPowerOn(2, 0x6000)
	t.setPowerOn(3, 0x8000)
	t.setPowerOn(0x0f, 0x0117)
	return t
}

func (t *tmp117) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &t.temperature})
}

func (t *tmp117) Reset(now time.Time) {
	t.words.Reset(now)
	t.begin(now, t.duration(), true)
}

// duration is 15.5 ms for each of the samples by AVG.
func (t *tmp117) duration() time.Duration {
	return [4]time.Duration{1, 8, 32, 64}[t.word(1)>>5&3] * 15500 * time.Microsecond
}

func (t *tmp117) Write(now time.Time, p []byte) bool {
	t.settle(now)
	v, ok := t.address(p)
	switch {
	case !ok || t.pointer == 0 || t.pointer == 0x0f:
	case t.pointer == 1:
		t.setWord(1, t.word(1)&^tmp117Writable|v&tmp117Writable)
		switch v & tmp117OneShot {
		case tmp117Shutdown:
			t.stop()
		default:
			t.begin(now, t.duration(), v&tmp117OneShot != tmp117OneShot)
		}
	default:
		t.setWord(t.pointer, v)
	}
	return true
}

func (t *tmp117) settle(now time.Time) {
	if t.done(now) {
		t.setWord(0, uint16(t.temperature+int(int16(t.word(7)))))
		t.setWord(1, t.word(1)|tmp117Ready)
		if !t.under {
			t.setWord(1, t.word(1)&^tmp117OneShot|tmp117Shutdown)
		}
	}
}

// Read clears that data is ready, with the configuration and with the result.
func (t *tmp117) Read(now time.Time, p []byte) bool {
	t.settle(now)
	ok := t.words.Read(now, p)
	if t.pointer <= 1 {
		t.setWord(1, t.word(1)&^tmp117Ready)
	}
	return ok
}

// adt7410 is Analog Devices' ADT7410 (revision C). Temperatures are in 1/128 °C.
type adt7410 struct {
	pointed
	temperature int
}

// Registers (table 6) and bits of status and configuration (tables 10 and 11).
const (
	adt7410Status = 2
	adt7410Config = 3
	adt7410ID     = 0x0b

	adt7410Busy   = 0x80
	adt7410Bits16 = 0x80
	adt7410Mode   = 0x60
)

// adt7410Modes are how long a measurement takes by the mode (table 11): of a
// continuous one, of one shot, of one in a second.
var adt7410Modes = map[uint8]time.Duration{0x00: 240 * time.Millisecond, 0x20: 240 * time.Millisecond, 0x40: 60 * time.Millisecond}

func newADT7410() *adt7410 {
	a := &adt7410{}
	copy(a.powerOn[4:], []byte{0x20, 0x00, 0x05, 0x00, 0x49, 0x80, 0x05, 0xcb})
	a.powerOn[adt7410Status] = adt7410Busy
	return a
}

func (a *adt7410) Set(values map[string]int) error {
	return assign(values, map[string]*int{"temperature": &a.temperature})
}

func (a *adt7410) Reset(now time.Time) {
	a.pointed.Reset(now)
	a.begin(now, adt7410Modes[0], true)
}

func (a *adt7410) Write(now time.Time, p []byte) bool {
	a.settle(now)
	if len(p) == 1 && p[0] == 0x2f {
		a.Reset(now)
		return true
	}
	return a.take(p, func(register, v uint8) {
		if register < adt7410Config || register >= adt7410ID {
			return
		}
		a.now[register] = v
		if register == adt7410Config {
			a.now[adt7410Status] |= adt7410Busy
			if d, measures := adt7410Modes[v&adt7410Mode]; measures {
				a.begin(now, d, v&adt7410Mode != 0x20)
			} else {
				a.stop()
			}
		}
	})
}

func (a *adt7410) settle(now time.Time) {
	if !a.done(now) {
		return
	}
	v := uint16(a.temperature)
	if a.now[adt7410Config]&adt7410Bits16 == 0 {
		v &^= 7 // 13 bits, and flags that aren't modelled
	}
	a.now[0], a.now[1] = byte(v>>8), byte(v)
	a.now[adt7410Status] &^= adt7410Busy
	if !a.under {
		a.now[adt7410Config] |= adt7410Mode
	}
}

func (a *adt7410) Read(now time.Time, p []byte) bool {
	a.settle(now)
	return a.fill(p)
}

// DS1621 measures temperature, in 1/2 °C.
func DS1621(halves int) Spec { return thermometer("ds1621", halves) }

// TMP117 measures temperature, in 1/128 °C.
func TMP117(steps int) Spec { return thermometer("tmp117", steps) }

// ADT7410 measures temperature, in 1/128 °C.
func ADT7410(steps int) Spec { return thermometer("adt7410", steps) }

func thermometer(model string, temperature int) Spec {
	return Spec{Model: model, Values: map[string]int{"temperature": temperature}}
}
