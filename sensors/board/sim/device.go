package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/physic"
)

// A World is what a chip measures: the value at a moment of what is named as
// the driver's quantity is, with the channel after a blank ("temperature",
// "voltage a0"), in the quantity's base unit.
type World func(at sensors.Instant, what string) float64

// models makes each kind of chip by its name; each model's file adds its own.
var models = map[string]func(w World) chip{
	"bme280": func(w World) chip {
		return &bme280{values: func(at sensors.Instant) Values {
			return Values{GreenhouseTemperature: w(at, "temperature"), GreenhouseHumidity: 100 * w(at, "humidity"), Pressure: w(at, "pressure")}
		}}
	},
	"sht4x": func(w World) chip {
		return &sht4x{values: func(at sensors.Instant) Values {
			return Values{OfficeTemperature: w(at, "temperature"), OfficeHumidity: 100 * w(at, "humidity")}
		}}
	},
	"tmp102": func(w World) chip {
		return &tmp102{values: func(at sensors.Instant) Values { return Values{CellarTemperature: w(at, "temperature")} }}
	},
	"ads1115": func(w World) chip { return &ads1115{values: inputs(w)} },
	"ads1015": func(w World) chip { return &ads1115{values: inputs(w), short: true} },
}

func inputs(w World) func(sensors.Instant) Values {
	return func(at sensors.Instant) (v Values) {
		for i := range v.Inputs {
			v.Inputs[i] = w(at, fmt.Sprintf("voltage a%d", i))
		}
		return v
	}
}

// Models lists the kinds of chips that are modelled.
func Models() []string { return slices.Sorted(maps.Keys(models)) }

func newChip(model string, w World) chip {
	build, ok := models[model]
	if !ok {
		panic(fmt.Sprintf("sim: no chip %s is modelled", model))
	}
	return build(w)
}

// A Device is one modelled chip that stands alone on its bus and answers at
// any address: what a driver is tested against.
type Device struct {
	chip chip
	now  func() sensors.Instant
}

// NewDevice makes a chip that has just got its supply. A model that doesn't
// exist is a mistake in the test.
func NewDevice(model string, now func() sensors.Instant, w World) *Device {
	d := &Device{chip: newChip(model, w), now: now}
	// Its supply rose a while ago: a start-up time counts after Reset only.
	d.chip.reset(now().Add(-time.Minute))
	return d
}

// Reset cuts the chip's supply for a moment.
func (d *Device) Reset() { d.chip.reset(d.now()) }

func (d *Device) String() string                  { return "simulated chip" }
func (d *Device) SetSpeed(physic.Frequency) error { return nil }

// Tx is one transaction.
func (d *Device) Tx(_ uint16, w, r []byte) error {
	if len(w) > 0 {
		if err := d.chip.write(d.now(), w); err != nil {
			return err
		}
	}
	if len(r) > 0 {
		return d.chip.read(d.now(), r)
	}
	return nil
}

// Attach puts a chip that measures w at an address of the board's bus.
func (b *Board) Attach(addr uint16, model string, w World) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &slot{chip: newChip(model, w)}
	s.chip.reset(b.clock.Now())
	b.slots[addr] = s
}
