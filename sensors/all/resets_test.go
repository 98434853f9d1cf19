package all

import (
	"maps"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// A resetBus resets the chip before one transaction.
type resetBus struct {
	i2c.Bus
	at, count int
	reset     func()
}

func (b *resetBus) Tx(addr uint16, w, r []byte) error {
	if b.count == b.at {
		b.reset()
	}
	b.count++
	return b.Bus.Tx(addr, w, r)
}

// combinations calls f with each combination of the choices of all settings of
// the driver that fits the model, beside the case's own options.
func (c chipCase) combinations(d *sensors.Driver, f func(options map[string]string)) {
	all := []map[string]string{c.Options}
	if c.Options == nil {
		all[0] = map[string]string{}
	}
	for _, o := range d.Options {
		if o.Type != sensors.EnumOption || o.Name == "model" {
			continue
		}
		var more []map[string]string
		for _, before := range all {
			for _, choice := range o.Choices {
				options := maps.Clone(before)
				options[o.Name] = choice
				if _, err := sensors.NewOptions(d, options); err == nil {
					more = append(more, options)
				}
			}
		}
		if len(more) > 0 { // else another model's
			all = more
		}
	}
	for _, options := range all {
		f(options)
	}
}

// A chip that is reset in the middle of a measurement gives no value, whichever
// way it is set: none of the combinations of its settings may be what its
// registers read after power-up.
func TestResetsAtEachSetting(t *testing.T) {
	tried := 0
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		if d.Describe != nil || c.Excused[sensortest.ChipReset] != "" {
			continue
		}
		channels := [][]string{c.Channels}
		if len(d.Channels) > 0 {
			channels = nil
			for _, name := range d.Channels {
				channels = append(channels, []string{name})
			}
		}
		c.combinations(d, func(options map[string]string) {
			for _, names := range channels {
				tried += c.resets(t, d, options, names)
			}
		})
	}
	if tried < 5000 {
		t.Errorf("only %d resets were tried", tried)
	}
}

// faint is what every range can hold.
var faint = world{"voltage a0": {0.11}, "voltage a1": {0.05}, "voltage a2": {-0.02}, "voltage a3": {0.2}, "illuminance": {5}}

// resets tries a reset before each transaction of a read, and tells how many.
func (c chipCase) resets(t *testing.T, d *sensors.Driver, options map[string]string, channels []string) int {
	t.Helper()
	all := maps.Clone(c.world)
	maps.Copy(all, faint)
	read := func(at int) (*resetBus, []sensors.Reading, error) {
		e := sensortest.New(t, d, options, channels...)
		device := chips.NewDevice(c.model, e.Now, all.at)
		bus := &resetBus{Bus: device, at: at, reset: device.Reset}
		e.Bus = bus
		got, _, err := sensortest.Read(t, d, e)
		return bus, got, err
	}
	healthy, want, err := read(-1)
	if err != nil {
		t.Errorf("%s %v %v: %v", c.model, options, channels, err)
	}
	for at := range healthy.count {
		_, got, err := read(at)
		right := slices.EqualFunc(got, want, func(a, b sensors.Reading) bool { return a.Value == b.Value })
		if err == nil && len(got) > 0 && !right {
			t.Errorf("%s %v %v, reset before transaction %d of %d: it gives %v, want %v or an error", c.model, options, channels, at, healthy.count, got[0].Value, want[0].Value)
		}
	}
	return healthy.count
}

// A deafBus turns the first bit of what one transaction writes into a register
// over, or loses all of it.
type deafBus struct {
	i2c.Bus
	at, count int
	lose      bool
}

func (b *deafBus) Tx(addr uint16, w, r []byte) error {
	if b.count++; b.count-1 != b.at || len(w) < 2 {
		return b.Bus.Tx(addr, w, r)
	}
	if b.lose {
		return nil
	}
	w = slices.Clone(w)
	w[1] ^= 0x80
	return b.Bus.Tx(addr, w, r)
}

// A conversion that is over before the chip can be looked at is begun twice: a start
// that isn't heard doesn't give the result of an hour ago.
func TestStartsThatAreNotHeard(t *testing.T) {
	d := sensortest.Driver(t, "ads1115")
	read := func(rate string, fault func(*deafBus)) (int, []sensors.Reading) {
		e := sensortest.New(t, d, options("model", "ads1015", "rate", rate), "a0")
		bus := &deafBus{Bus: chips.NewDevice("ads1015", e.Now, inputs.at), at: -1}
		e.Bus = bus
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); err != nil {
			t.Fatal(err)
		}
		e.NextWake(time.Hour)
		bus.count = 0
		fault(bus)
		got, _, err := sensortest.Sense(t.Context(), t, d, s)
		if err != nil && sensors.ReasonOf(err) != sensors.Identity {
			t.Error(err)
		}
		return bus.count, got
	}
	for _, rate := range []string{"128", "920", "1600", "2400", "3300"} {
		n, want := read(rate, func(*deafBus) {})
		for at := range n {
			for _, lose := range []bool{false, true} {
				_, got := read(rate, func(b *deafBus) { b.at, b.lose = at, lose })
				if len(got) > 0 && got[0].Value != want[0].Value {
					t.Errorf("rate %s, transaction %d, lost %t: it gives %v, want %v or an error", rate, at, lose, got[0].Value, want[0].Value)
				}
			}
		}
	}
}

// The measuring time that another program has left in a BH1750 scales what it
// counts, and can't be read back.
func TestBH1750AfterAnotherProgram(t *testing.T) {
	d := sensortest.Driver(t, "bh1750")
	e := sensortest.New(t, d, nil)
	e.Bus = chips.NewDevice("bh1750", e.Now, world{"illuminance": {500}}.at)
	for _, instruction := range []byte{0x01, 0x44, 0x6a, 0x00} { // 138: twice the time
		if err := e.Bus.Tx(0x23, []byte{instruction}, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, failures, err := sensortest.Read(t, d, e)
	if err != nil || len(failures) > 0 {
		t.Fatalf("failures %v, error %v", failures, err)
	}
	if lux := sensortest.Value(t, got, sensors.Illuminance); lux != 500 {
		t.Errorf("got %v lx, want 500", lux)
	}
}
