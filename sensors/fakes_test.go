package sensors

import (
	"context"
	"errors"
)

// fake is a driver in the shape of a real one that measures nothing.
func fake(name string, d Driver) *Driver {
	d.Name, d.Summary, d.Datasheet = name, "a fake "+name, "none"
	d.New = func(context.Context, Env) (Sensor, error) { return nil, errors.New("a fake driver makes no sensor") }
	return &d
}

// The package knows no drivers of its own: these have the shapes of those in
// chips and lines.
func init() {
	pull := Option{Name: "pull", Type: EnumOption, Choices: []string{"up", "down", "off"}, Default: "off", Help: "pull resistor"}
	debounce := Option{Name: "debounce", Type: DurationOption, Default: "10ms", Range: &Range{0, 1}, Help: "time that a level must last"}
	pin := Option{Name: "pin", Type: LineOption, Required: true, Help: "the line"}
	for _, d := range []*Driver{
		fake("bme280", Driver{Options: []Option{BusOpt(), AddrOpt("0x76", "0x77")}, Measures: []*Quantity{Temperature, Humidity, Pressure}}),
		fake("ads1115", Driver{
			Options: []Option{BusOpt(), AddrOpt("0x48", "0x49"),
				{Name: "gain", Type: EnumOption, Choices: []string{"4.096V", "2.048V"}, Default: "4.096V", Channel: true, Help: "range"},
				{Name: "rate", Type: IntegerOption, Default: "128", Range: &Range{8, 860}, Help: "samples a second"}},
			Channels: []string{"a0", "a1", "a2", "a3", "a0-a1"},
			Measures: []*Quantity{Voltage.With("channel")},
		}),
		fake("switch", Driver{Options: []Option{pin, pull, debounce,
			{Name: "active", Type: EnumOption, Choices: []string{"high", "low"}, Default: "high", Help: "active level"}},
			Measures: []*Quantity{Active, Transitions, LastChange}}),
		fake("pulse", Driver{
			Options: []Option{pin,
				{Name: "quantity", Type: EnumOption, Choices: []string{"pulses", "energy"}, Default: "pulses", Help: "what is counted"},
				{Name: "per-pulse", Type: TextOption, Help: "of one pulse"}},
			Measures: []*Quantity{Pulses, Energy},
			Check: func(o *Options) error {
				if o.Text("quantity") != "pulses" && !o.Given("per-pulse") {
					return &OptionError{"per-pulse", errors.New("is missing: how much one pulse is")}
				}
				return nil
			},
		}),
	} {
		Register(d)
	}
}
