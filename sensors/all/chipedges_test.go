package all

import (
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// firstWaits are those of a chip that has just got its supply: until it answers,
// and after each command, by the data sheets that the drivers name.
var firstWaits = map[string][]time.Duration{
	"bme280": {2000 * us, 2000 * us}, "bmp280": {2000 * us, 2000 * us}, "bme680": {2000 * us, 5000 * us}, "bme688": {2000 * us, 5000 * us},
	"bmp180": {10_000 * us}, "bmp388": {2000 * us}, "dps310": {40_000 * us, 40_000 * us},
	"sht3x": {1500 * us, 1000 * us, 1000 * us}, "sts3x": {1500 * us, 1000 * us, 1000 * us}, "shtc3": {240 * us, 240 * us}, "sht4x": {1000 * us, 1000 * us},
	"hdc302x": {5000 * us, 1000 * us}, "hdc1080": {15_000 * us}, "htu21d": {15_000 * us, 15_000 * us}, "sht2x": {15_000 * us, 15_000 * us}, "si7021": {80_000 * us, 15_000 * us},
	"aht20": {100_000 * us, 10_000 * us}, "aht10": {100_000 * us, 10_000 * us},
	"tmp117": {2000 * us}, "ds1621": {10_000 * us}, "lps22hb": {5000 * us}, "lps25h": {5000 * us}, "hts221": {5000 * us}, "ltr559": {100_000 * us},
	"scd41": {1_000_000 * us, 500_000 * us, 1000 * us}, "scd40": {1_000_000 * us, 500_000 * us, 1000 * us}, "scd30": {2_000_000 * us, 4000 * us, 4000 * us},
}

// An alteredBus changes what is answered to what was written.
type alteredBus struct {
	i2c.Bus
	alter func(w, r []byte) error
}

func (b alteredBus) Tx(addr uint16, w, r []byte) error {
	if err := b.Bus.Tx(addr, w, r); err != nil {
		return err
	}
	return b.alter(w, r)
}

// chipOf is the model's case in its world, with what its bus answers altered.
func chipOf(t *testing.T, model string, alter func(w, r []byte) error) (*sensors.Driver, *sensortest.Env) {
	t.Helper()
	at := slices.IndexFunc(simulatedCases, func(c chipCase) bool { return c.model == model })
	if at < 0 {
		t.Fatalf("there is no case of a %s", model)
	}
	c := simulatedCases[at]
	d := sensortest.Driver(t, c.driver)
	e := sensortest.New(t, d, c.Options, c.Channels...)
	c.World(e)
	e.Bus = alteredBus{e.Bus, alter}
	return d, e
}

func TestFirstWaits(t *testing.T) {
	for model, want := range firstWaits {
		d, e := chipOf(t, model, func([]byte, []byte) error { return nil })
		if _, err := d.New(t.Context(), e); err != nil || !slices.Equal(e.Waits, want) {
			t.Errorf("%s waits %v (%v), want %v", model, e.Waits, err, want)
		}
	}
}

// A refusingBus doesn't acknowledge one read: the first of those that ask for no
// register.
type refusingBus struct {
	i2c.Bus
	refused bool
}

func (b *refusingBus) Tx(addr uint16, w, r []byte) error {
	if len(w) == 0 && !b.refused {
		b.refused = true
		return sensortest.ErrNACK
	}
	return b.Bus.Tx(addr, w, r)
}

// A chip that isn't ready doesn't acknowledge a read. A little later it is.
func TestNotReadyYet(t *testing.T) {
	for _, model := range []string{"hdc1080", "hdc302x", "htu21d", "sht2x", "si7021", "sht3x", "sts3x", "shtc3"} {
		d, e := chipOf(t, model, func([]byte, []byte) error { return nil })
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatalf("%s: %v", model, err)
		}
		bus := &refusingBus{Bus: e.Bus}
		e.Bus = bus
		e.I2C() // the sensor's device has the bus now
		if got, _, err := sensortest.Sense(t.Context(), t, d, s); err != nil || len(got) == 0 || !bus.refused {
			t.Errorf("%s: %d readings, refused: %t, %v", model, len(got), bus.refused, err)
		}
	}
}

// A register is what was written to name it, and bits of its first byte, or of
// the last of a word.
type registerBits struct {
	model    string
	register byte
	change   func(b byte) byte
	last     bool
}

func with(bits byte) func(byte) byte    { return func(b byte) byte { return b | bits } }
func without(bits byte) func(byte) byte { return func(b byte) byte { return b &^ bits } }

func (r registerBits) alter(w, p []byte) error {
	if len(w) == 1 && w[0] == r.register && len(p) > 0 {
		at := 0
		if r.last {
			at = len(p) - 1
		}
		p[at] = r.change(p[at])
	}
	return nil
}

// A chip that never shows that it has measured is not ready, and what it holds is
// no reading.
func TestNeverReady(t *testing.T) {
	for _, r := range []registerBits{
		{"bmp180", 0xf4, with(0x20), false}, {"hts221", 0x21, with(0x01), false}, {"lps22hb", 0x11, with(0x01), false}, {"lps25h", 0x21, with(0x01), false}, {"bmp388", 0x03, without(0x60), false},
		{"ltr559", 0x8c, without(0x04), false}, {"tsl2591", 0xb3, without(0x01), false}, {"ina3221", 0x0f, without(0x01), true}, {"ina226", 0x06, without(0x08), true},
	} {
		d, e := chipOf(t, r.model, func([]byte, []byte) error { return nil })
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatalf("%s: %v", r.model, err)
		}
		e.Bus = alteredBus{e.Bus, r.alter}
		e.I2C() // the sensor's device has the bus now
		if got, _, err := sensortest.Sense(t.Context(), t, d, s); sensors.ReasonOf(err) != sensors.NotReady {
			t.Errorf("%s: %d readings, %v", r.model, len(got), err)
		}
	}
}

// Bits that say something else, or are another revision's, change nothing.
func TestOtherBits(t *testing.T) {
	for _, r := range []registerBits{
		{"adt7410", 0x02, with(0x70), false},                                                                           // limits
		{"bmp388", 0x03, with(0x0f), false},                                                                            // reserved
		{"hts221", 0x27, with(0xfc), false}, {"lps22hb", 0x27, with(0x30), false}, {"lps25h", 0x27, with(0x30), false}, // reserved; overrun
		{"tmp117", 0x0f, with(0x20), false}, // the revision
		{"tsl2561", 0x8a, with(0x0f), false}, {"tsl2561", 0x81, with(0x20), false}, {"tsl2561", 0x80, with(0x30), false},
		{"tsl2591", 0xa1, with(0x08), false}, {"ltr559", 0x80, with(0x20), false},
	} {
		d, e := chipOf(t, r.model, r.alter)
		if got, failures, err := sensortest.Read(t, d, e); err != nil || len(failures) > 0 || len(got) == 0 {
			t.Errorf("%s, register 0x%02x: %d readings, %v, %v", r.model, r.register, len(got), failures, err)
		}
	}
	revision := func(register byte) func(w, r []byte) error {
		return func(w, r []byte) error {
			if len(w) == 1 && w[0] == register && len(r) == 2 {
				r[1] |= 0x03
			}
			return nil
		}
	}
	for model, register := range map[string]byte{"ina226": 0xff, "ina260": 0xff, "mcp9808": 0x07} {
		d, e := chipOf(t, model, revision(register))
		if _, _, err := sensortest.Read(t, d, e); err != nil {
			t.Errorf("%s of another revision: %v", model, err)
		}
	}
	// An APDS9960 has the address of a TSL2561, and no TIMING: a scan sees that.
	d, e := chipOf(t, "tsl2561", registerBits{"tsl2561", 0x81, with(0xe4), false}.alter)
	if found, err := d.Identity.Probe(t.Context(), e); err == nil {
		t.Errorf("a chip whose register 0x81 has bits that a TSL2561 hasn't is %+v", found)
	}
}
