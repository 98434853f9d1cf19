package sensors

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fake is a driver in the shape of a real one that measures nothing.
func fake(name string, d Driver) *Driver {
	d.Name, d.Summary, d.Datasheet = name, "a fake "+name, "none"
	d.New = func(context.Context, Env) (Sensor, error) { return nil, errors.New("a fake driver makes no sensor") }
	return &d
}

// The package knows no drivers of its own: these have the shapes of those in
// chips, lines, kernel and command.
func init() {
	pull := Option{Name: "pull", Type: EnumOption, Choices: []string{"up", "down", "off"}, Default: "off", Help: "pull resistor"}
	active := Option{Name: "active", Type: EnumOption, Choices: []string{"high", "low"}, Default: "high", Help: "active level"}
	debounce := Option{Name: "debounce", Type: DurationOption, Default: "10ms", Range: &Range{0, 1}, Help: "time that a level must last"}
	pin := Option{Name: "pin", Type: LineOption, Required: true, Help: "the line"}
	for _, d := range []*Driver{
		fake("bme280", Driver{Options: []Option{BusOpt(), AddrOpt("0x76", "0x77")}, Measures: []*Quantity{Temperature, Humidity, Pressure}}),
		fake("tmp102", Driver{Options: []Option{BusOpt(), AddrOpt("0x48", "0x49")}, Measures: []*Quantity{Temperature}}),
		fake("ads1115", Driver{
			Options: []Option{BusOpt(), AddrOpt("0x48", "0x49"),
				{Name: "gain", Type: EnumOption, Choices: []string{"4.096V", "2.048V"}, Default: "4.096V", Channel: true, Help: "range"},
				{Name: "rate", Type: IntegerOption, Default: "128", Range: &Range{8, 860}, Help: "samples a second"}},
			Channels: []string{"a0", "a1", "a2", "a3", "a0-a1"},
			Measures: []*Quantity{Voltage.With("channel")},
		}),
		fake("switch", Driver{Options: []Option{pin, pull, active, debounce}, Measures: []*Quantity{Active, Transitions, LastChange}}),
		fake("pulse", Driver{
			Options: []Option{pin, pull, debounce,
				{Name: "quantity", Type: EnumOption, Choices: []string{"pulses", "precipitation", "energy"}, Default: "pulses", Help: "what is counted"},
				{Name: "per-pulse", Type: TextOption, Help: "of one pulse"}},
			Measures: []*Quantity{Pulses, Precipitation, Energy},
			Check: func(o *Options) error {
				if o.Text("quantity") != "pulses" && !o.Given("per-pulse") {
					return &OptionError{"per-pulse", errors.New("is missing: how much one pulse is")}
				}
				return nil
			},
		}),
		fake("relay", Driver{Options: []Option{{Name: "out", Type: OutputOption, Required: true, Help: "the line"},
			{Name: "echo", Type: LineOption, Help: "the answer"}}, Measures: []*Quantity{Active}}),
		fake("command", Driver{Options: []Option{
			{Name: "argv", Type: ListOption, Required: true, Help: "the program and its arguments"},
			{Name: "output", Type: EnumOption, Choices: []string{"number", "prometheus", "none"}, Default: "number", Help: "what it prints"},
			{Name: "user", Type: TextOption, Help: "as whom"},
			{Name: "env", Type: MapOption, Help: "its environment"},
			{Name: "directory", Type: PathOption, Default: "/", Help: "where"},
			{Name: "timeout", Type: DurationOption, Default: "1m", Help: "killed after"},
			{Name: "retries", Type: IntegerOption, Default: "0", Help: "a program isn't run twice"}}}),
		fake("thermal", Driver{Options: []Option{{Name: "zone", Type: TextOption, Default: "cpu-thermal", Help: "the zone's type"}}, Measures: []*Quantity{Temperature}}),
		fake("hwmon", Driver{Options: []Option{{Name: "path", Type: PathOption, Help: "of the device"}}}),
		fake("dewpoint", Driver{Options: []Option{{Name: "of", Type: SensorRefOption, Required: true, Help: "the sensor to compute it of"}}, Measures: []*Quantity{Temperature}}),
		fake("particles", Driver{Options: []Option{{Name: "level", Type: NumberOption, Unit: Meters, Range: &Range{0, 2}, Help: "height"},
			{Name: "sleep", Type: BoolOption, Default: "yes", Help: "between reads"}}, Measures: []*Quantity{ParticulateMatter}}),
	} {
		Register(d)
	}
}

// same compares configurations but for where they were written.
var same = cmp.Options{
	cmpopts.IgnoreTypes(Origin{}),
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b *Problem) bool {
		return a.Subject == b.Subject && a.Key == b.Key && a.Err.Error() == b.Err.Error()
	}),
	cmp.Comparer(func(a, b *Driver) bool { return a == b }),
	cmp.Comparer(func(a, b *Quantity) bool { return a == b }),
}

// flags loads sensors from flags that are right.
func flags(t *testing.T, sensors ...string) *Config {
	t.Helper()
	c, err := Load(Source{SensorFlags: sensors, MachineID: machineID})
	if err != nil {
		t.Fatalf("Load(%q):\n%v", sensors, err)
	}
	return c
}

// file loads a file that is right.
func file(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(Source{File: "dormouse.yml", Data: []byte(text), MachineID: machineID})
	if err != nil {
		t.Fatalf("Load:\n%v\nof\n%s", err, text)
	}
	return c
}

const minute = time.Minute

const machineID = "0123456789abcdef0123456789abcdef\n"
