package chips

import (
	"context"
	"errors"
	"time"

	"example.org/dormouse/sensors"
)

// Registers of the whole family: TMP102 data sheet, section 7.5 (the LM75's
// are the same).
const (
	lm75Temperature = 0
	lm75Config      = 1
	lm75Low         = 2 // T_LOW or T_HYST
	lm75High        = 3 // T_HIGH or T_OS

	// Bits of the configuration's first byte, all that an LM75 has.
	lm75Shutdown = 1 << 0
	tmp75OneShot = 1 << 7
	tmp75Full    = 0b11 << 5 // 12 bits

	tmp102Second = 0xa0 // second byte: 4 Hz, AL, not the extended mode
	tmp102AL     = 0x20 // reads what the alert pin says
)

// lm75Models tells the family's members apart: none has an ID.
var lm75Models = map[string]struct {
	bits     int           // of a temperature, left-aligned
	oneShot  bool          // converts once out of shutdown
	wide     bool          // the configuration has two bytes
	duration time.Duration // the longest conversion
}{
	"tmp102": {12, true, true, 35 * time.Millisecond},   // section 6.5
	"tmp75":  {12, true, false, 300 * time.Millisecond}, // SBOS288, section 6.5, at 12 bits
	"lm75":   {9, false, false, 300 * time.Millisecond}, // SNOS808 and SNIS153, logic characteristics
	"lm75b":  {11, false, false, 300 * time.Millisecond},
}

var (
	lm75Addresses = []string{"0x48", "0x49", "0x4a", "0x4b", "0x4c", "0x4d", "0x4e", "0x4f"}

	tmp102Temperature = sensors.Temperature.Within(-55, 128)
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "tmp102",
		Summary:   "TI TMP102, and the TMP75 and LM75 family: temperature -40 to 125 °C (±2 °C from -25 to 85 °C)",
		Datasheet: "TI SBOS397H (TMP102); TI SBOS288 (TMP75, TMP175, TMP275); TI SNOS808, SNIS153 (LM75); NXP LM75B",
		Wiring:    "I2C at 3.3 V; ADD0 of a TMP102 to ground is 0x48, to the supply 0x49, to SDA 0x4a, to SCL 0x4b; A2 to A0 of the others add to 0x48",
		Timing:    "TMP102 35 ms, the others 300 ms: one conversion, then the chip is shut down",
		Options: []sensors.Option{
			sensors.BusOpt(),
			sensors.AddrOpt(lm75Addresses...),
			{Name: "model", Type: sensors.EnumOption, Default: "tmp102", Choices: []string{"tmp102", "tmp75", "lm75", "lm75b"},
				Help: "which of the family: tmp75 is also TMP175 and TMP275; lm75 is any with 9 bits or more, LM75A and DS75 too; lm75b is NXP's, with 11 bits"},
		},
		Measures: []*sensors.Quantity{tmp102Temperature},
		Check: func(o *sensors.Options) error {
			if o.Text("model") == "tmp102" && o.Address("addr") > 0x4b {
				return &sensors.OptionError{Key: "addr", Err: errors.New("a TMP102 has 0x48 to 0x4b: for another of the family give its model")}
			}
			return nil
		},
		New: newTMP102,
	})
}

type tmp102 struct {
	device
	env       sensors.Env
	bits      int
	wide      bool
	start     uint16 // the configuration that begins a conversion
	asleep    uint16 // and the one that must be read afterwards
	duration  time.Duration
	converted func() (bool, error) // idle, bound once; nil: the chip doesn't tell
}

func newTMP102(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	m := lm75Models[e.Options().Text("model")]
	s := &tmp102{device: newDevice(e, lm75Addresses), env: e, bits: m.bits, wide: m.wide, duration: m.duration}
	switch {
	case m.wide: // the one-shot bit reads 1 once the conversion has ended: section 7.5.3
		s.start = (tmp75OneShot|tmp75Full|lm75Shutdown)<<8 | tmp102Second
		s.asleep = s.start
		s.converted = s.idle
	case m.oneShot: // the one-shot bit reads 0
		s.start = (tmp75OneShot | tmp75Full | lm75Shutdown) << 8
		s.asleep = (tmp75Full | lm75Shutdown) << 8
	default: // awake until it is shut down
		s.asleep = lm75Shutdown << 8
	}
	return s, s.identify(ctx)
}

// identify looks at the limits: no chip of the family can have them equal to
// what a stuck bus reads, and their lowest bits are always 0.
func (s *tmp102) identify(ctx context.Context) error {
	low, err := s.word(ctx, lm75Low)
	if err != nil {
		return err
	}
	high, err := s.word(ctx, lm75High)
	if err != nil {
		return err
	}
	const neverSet = 0x0007 // even at the 13 bits of the extended mode
	switch {
	case low == high && stuck([]byte{byte(high >> 8), byte(high)}):
		return errStuck("T_HIGH", high)
	case low == 0x8000 && high&0xfff0 == 0x7ff0:
		return sensors.Errorf(sensors.Identity, "the limits read 0x8000 and 0x%04x: the chip looks like an ADS1115 or ADS1015", high)
	case (low|high)&neverSet != 0:
		return sensors.Errorf(sensors.Identity, "the limits read 0x%04x and 0x%04x, which no chip of this family can have: check the address", low, high)
	}
	return nil
}

func (s *tmp102) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.configure(ctx, s.start); err != nil {
		return err
	}
	raw, err := s.convert(ctx)
	if s.start&(lm75Shutdown<<8) == 0 {
		// Even where the context has ended: it mustn't be left awake.
		err = errors.Join(err, s.configure(context.Background(), s.asleep))
	}
	if err != nil {
		return err
	}
	if err := s.verify(ctx); err != nil {
		return err
	}
	if s.bits >= 11 && raw&(1<<(16-s.bits)-1) != 0 {
		return sensors.Errorf(sensors.Identity, "the temperature register reads 0x%04x, of more than %d bits: check model and address", raw, s.bits)
	}
	// Bits below the chip's are undefined in an LM75; left-aligned, the high
	// byte counts degrees: section 7.5.2.
	raw &^= 1<<(16-s.bits) - 1
	r.Set(tmp102Temperature, float64(int16(raw))/256)
	return nil
}

// convert waits for the conversion and reads it.
func (s *tmp102) convert(ctx context.Context) (uint16, error) {
	if err := s.env.Sleep(ctx, s.duration); err != nil {
		return 0, err
	}
	if s.converted != nil {
		if err := s.env.Poll(ctx, s.duration, 5*time.Millisecond, s.converted); err != nil {
			return 0, err
		}
	}
	return s.word(ctx, lm75Temperature)
}

func (s *tmp102) idle() (bool, error) {
	v, err := s.word(context.Background(), lm75Config)
	return v&(tmp75OneShot<<8) != 0, err
}

// verify reads the configuration back. It is neither 0x0000 nor 0xFFFF, so
// that a temperature of 0 °C is frost and not a stuck bus, and it proves that
// the chip kept its supply and is asleep.
func (s *tmp102) verify(ctx context.Context) error {
	n, unknown := 1, uint16(0x00ff)
	if s.wide {
		n, unknown = 2, tmp102AL
	}
	p, err := s.read(ctx, lm75Config, n)
	if err != nil {
		return err
	}
	v := uint16(p[0])<<8 | uint16(s.in[1])
	if (v^s.asleep)&^unknown != 0 {
		return sensors.Errorf(sensors.Identity, "the configuration reads 0x% x and not as it was written: the bus is stuck, the chip lost its supply for a moment, or it is another model", p)
	}
	return nil
}

func (s *tmp102) configure(ctx context.Context, v uint16) error {
	if s.wide {
		return s.writeWord(ctx, lm75Config, v)
	}
	return s.write(ctx, lm75Config, byte(v>>8))
}
