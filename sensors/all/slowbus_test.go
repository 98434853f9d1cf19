package all

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// A clockedBus takes the time of a bus of that rate: nine bits for each byte,
// and for the address in each direction.
type clockedBus struct {
	i2c.Bus
	env  *sensortest.Env
	rate physic.Frequency
}

func (b clockedBus) Tx(addr uint16, w, r []byte) error {
	b.pass(len(w))
	err := b.Bus.Tx(addr, w, r)
	b.pass(len(r))
	return err
}

func (b clockedBus) pass(bytes int) {
	if bytes > 0 {
		b.env.NextWake(time.Duration(9*(bytes+1)) * b.rate.Period())
	}
}

// Two settings measure in less time than a bus of 10 kHz takes for a look.
var tooFast = []string{"ads1115 rate=860", "ads1015 rate=920"}

// A bus of 10 kHz is what docs/troubleshooting.md advises for long wires: there a
// command and the look whether it has begun anything take 5 to 9 ms, and the
// measurements of some chips less. Each chip is read there all the same, twice,
// with each of its settings, or says what to do.
func TestSlowBus(t *testing.T) {
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		for setting, options := range variants(d, c) {
			err := c.readSlowly(t, d, options)
			switch {
			case slices.Contains(tooFast, c.model+" "+setting):
				if err == nil || !strings.Contains(err.Error(), "take a setting that measures longer, or a faster bus") {
					t.Errorf("%s %s: %v", c.model, setting, err)
				}
			case sensors.ReasonOf(err) == sensors.OutOfRange && setting != "": // the finest gain
			case err != nil:
				t.Errorf("%s %s: %v", c.model, setting, err)
			}
		}
	}
}

// A stallingBus stops for a moment before one of its transactions: the machine
// is busy.
type stallingBus struct {
	i2c.Bus
	env   *sensortest.Env
	stall time.Duration
	at    int // the number of the transaction that it comes before
	count int
}

func (b *stallingBus) Tx(addr uint16, w, r []byte) error {
	if b.count == b.at {
		b.env.NextWake(b.stall)
	}
	b.count++
	return b.Bus.Tx(addr, w, r)
}

// A machine that does something else for as long as a conversion takes, once,
// wherever that is, loses no reading.
func TestBusyMachine(t *testing.T) {
	for _, c := range simulatedCases {
		d := sensortest.Driver(t, c.driver)
		if c.Case.Driver != nil {
			d = c.Case.Driver
		}
		for _, stall := range []time.Duration{20 * time.Millisecond, 1500 * time.Millisecond} {
			for at, count := 0, 1; at < count; at++ {
				e := sensortest.New(t, d, c.Options, c.Channels...)
				c.World(e)
				bus := &stallingBus{Bus: e.Bus, env: e, stall: stall, at: at}
				e.Bus = bus
				got, failures, err := sensortest.Read(t, d, e)
				if err != nil || len(failures) > 0 || len(got) == 0 {
					t.Errorf("%s, %s before transaction %d: %d readings, failures %v, error %v", c.model, stall, at+1, len(got), failures, err)
				}
				count = bus.count
			}
		}
	}
}

func (c chipCase) readSlowly(t *testing.T, d *sensors.Driver, options map[string]string) error {
	e := sensortest.New(t, d, options, c.Channels...)
	c.World(e)
	e.Bus = clockedBus{e.Bus, e, 10 * physic.KiloHertz}
	s, err := d.New(t.Context(), e)
	for range 2 {
		if err != nil {
			return err
		}
		_, _, err = sensortest.Sense(t.Context(), t, d, s)
		e.NextWake(time.Hour)
	}
	return err
}

// variants are the case's options, and with each choice of each setting.
func variants(d *sensors.Driver, c chipCase) map[string]map[string]string {
	all := map[string]map[string]string{"": c.Options}
	c.eachChoice(d, func(setting, choice string, options map[string]string) { all[setting+"="+choice] = options })
	return all
}

// eachChoice calls f with each choice of each setting, beside the case's options,
// but for those that the case gives and those that its model lacks.
func (c chipCase) eachChoice(d *sensors.Driver, f func(setting, choice string, options map[string]string)) {
	for _, o := range d.Options {
		if _, given := c.Options[o.Name]; given || o.Type != sensors.EnumOption || o.Name == "model" {
			continue
		}
		for _, choice := range o.Choices {
			options := map[string]string{o.Name: choice}
			maps.Copy(options, c.Options)
			if _, err := sensors.NewOptions(d, options, c.Channels...); err == nil {
				f(o.Name, choice, options)
			}
		}
	}
}
