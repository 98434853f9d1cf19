package config

import (
	"context"
	"errors"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fake is a driver in the shape of a real one that measures nothing.
func fake(name string, d sensors.Driver) *sensors.Driver {
	d.Name, d.Summary, d.Datasheet = name, "a fake "+name, "none"
	d.New = func(context.Context, sensors.Env) (sensors.Sensor, error) {
		return nil, errors.New("a fake driver makes no sensor")
	}
	return &d
}

// The package knows no drivers of its own: these have the shapes of those in
// chips, lines, kernel and command.
func init() {
	pull := sensors.Option{Name: "pull", Type: sensors.EnumOption, Choices: []string{"up", "down", "off"}, Default: "off", Help: "pull resistor"}
	active := sensors.Option{Name: "active", Type: sensors.EnumOption, Choices: []string{"high", "low"}, Default: "high", Help: "active level"}
	debounce := sensors.Option{Name: "debounce", Type: sensors.DurationOption, Default: "10ms", Range: &sensors.Range{Min: 0, Max: 1}, Help: "time that a level must last"}
	pin := sensors.Option{Name: "pin", Type: sensors.LineOption, Required: true, Help: "the line"}
	for _, d := range []*sensors.Driver{
		fake("bme280", sensors.Driver{Options: []sensors.Option{sensors.BusOpt(), sensors.AddrOpt("0x76", "0x77")}, Measures: []*sensors.Quantity{sensors.Temperature, sensors.Humidity, sensors.Pressure}}),
		fake("tmp102", sensors.Driver{Options: []sensors.Option{sensors.BusOpt(), sensors.AddrOpt("0x48", "0x49")}, Measures: []*sensors.Quantity{sensors.Temperature}}),
		fake("ads1115", sensors.Driver{
			Options: []sensors.Option{sensors.BusOpt(), sensors.AddrOpt("0x48", "0x49"),
				{Name: "gain", Type: sensors.EnumOption, Choices: []string{"4.096V", "2.048V"}, Default: "4.096V", Channel: true, Help: "range"},
				{Name: "rate", Type: sensors.IntegerOption, Default: "128", Range: &sensors.Range{Min: 8, Max: 860}, Help: "samples a second"}},
			Channels: []string{"a0", "a1", "a2", "a3", "a0-a1"},
			Measures: []*sensors.Quantity{sensors.Voltage.With("channel")},
		}),
		fake("switch", sensors.Driver{Options: []sensors.Option{pin, pull, active, debounce}, Measures: []*sensors.Quantity{sensors.Active, sensors.Transitions, sensors.LastChange}}),
		fake("pulse", sensors.Driver{
			Options: []sensors.Option{pin, pull, debounce,
				{Name: "quantity", Type: sensors.EnumOption, Choices: []string{"pulses", "precipitation", "energy"}, Default: "pulses", Help: "what is counted"},
				{Name: "per-pulse", Type: sensors.TextOption, Help: "of one pulse"}},
			Measures: []*sensors.Quantity{sensors.Pulses, sensors.Precipitation, sensors.Energy},
			Holds:    func(*sensors.Options) bool { return true },
			Check: func(o *sensors.Options) error {
				if o.Text("quantity") != "pulses" && !o.Given("per-pulse") {
					return &sensors.OptionError{Key: "per-pulse", Err: errors.New("is missing: how much one pulse is")}
				}
				return nil
			},
		}),
		fake("relay", sensors.Driver{Options: []sensors.Option{{Name: "out", Type: sensors.OutputOption, Required: true, Help: "the line"},
			{Name: "echo", Type: sensors.LineOption, Help: "the answer"}}, Measures: []*sensors.Quantity{sensors.Active}}),
		fake("command", sensors.Driver{Options: []sensors.Option{
			{Name: "argv", Type: sensors.ListOption, Required: true, Help: "the program and its arguments"},
			{Name: "output", Type: sensors.EnumOption, Choices: []string{"number", "prometheus", "none"}, Default: "number", Help: "what it prints"},
			{Name: "user", Type: sensors.TextOption, Help: "as whom"},
			{Name: "env", Type: sensors.MapOption, Help: "its environment"},
			{Name: "directory", Type: sensors.PathOption, Default: "/", Help: "where"},
			{Name: "timeout", Type: sensors.DurationOption, Default: "1m", Help: "killed after"},
			{Name: "retries", Type: sensors.IntegerOption, Default: "0", Help: "a program isn't run twice"}},
			Claims: func(o *sensors.Options) []sensors.Claim {
				if len(o.List("argv")) == 0 {
					return nil
				}
				return []sensors.Claim{{Kind: sensors.ProgramWire, Path: o.List("argv")[0]}}
			}}),
		fake("dust", sensors.Driver{Options: []sensors.Option{sensors.PortOpt()}, Measures: []*sensors.Quantity{sensors.ParticulateMatter}}),
		fake("pms5003", sensors.Driver{Options: []sensors.Option{sensors.PortOpt()}, Measures: []*sensors.Quantity{sensors.ParticulateMatter}}),
		fake("mcp3008", sensors.Driver{Options: append(sensors.SPIOpts(), sensors.Option{Name: "reference", Type: sensors.NumberOption, Unit: units.Volts, Default: "3.3V", Help: "volts"}),
			Channels: []string{"ch0", "ch1"}, Measures: []*sensors.Quantity{sensors.Voltage.With("channel")}}),
		fake("thermal", sensors.Driver{Options: []sensors.Option{{Name: "zone", Type: sensors.TextOption, Default: "cpu-thermal", Help: "the zone's type"}}, Measures: []*sensors.Quantity{sensors.Temperature}}),
		fake("hwmon", sensors.Driver{Options: []sensors.Option{{Name: "path", Type: sensors.PathOption, Help: "of the device"}}}),
		fake("task", sensors.Driver{Options: []sensors.Option{
			{Name: "argv", Type: sensors.ListOption, Required: true, Help: "the program and its arguments"},
			{Name: "catch-up", Type: sensors.DurationOption, Default: "0s", Help: "what was missed"},
			{Name: "timeout", Type: sensors.DurationOption, Default: "10m", Help: "ended after"}},
			Programs: &sensors.Programs{}, Measures: []*sensors.Quantity{sensors.ExitStatus}}),
		fake("bound", sensors.Driver{NoRail: "the chip is set up only once", Measures: []*sensors.Quantity{sensors.Temperature}}),
		fake("dewpoint", sensors.Driver{Options: []sensors.Option{{Name: "of", Type: sensors.SensorRefOption, Required: true, Help: "the sensor to compute it of"}}, Measures: []*sensors.Quantity{sensors.Temperature}}),
		fake("particles", sensors.Driver{Options: []sensors.Option{{Name: "level", Type: sensors.NumberOption, Unit: units.Meters, Range: &sensors.Range{Min: 0, Max: 2}, Help: "height"},
			{Name: "sleep", Type: sensors.BoolOption, Default: "yes", Help: "between reads"}}, Measures: []*sensors.Quantity{sensors.ParticulateMatter}}),
	} {
		sensors.Register(d)
	}
}

// same compares configurations but for where they were written.
var same = cmp.Options{
	cmpopts.IgnoreTypes(Origin{}),
	cmpopts.EquateEmpty(),
	cmp.AllowUnexported(Cron{}),
	cmp.Comparer(func(a, b *Problem) bool {
		return a.Subject == b.Subject && a.Key == b.Key && a.Err.Error() == b.Err.Error()
	}),
	cmp.Comparer(func(a, b *sensors.Driver) bool { return a == b }),
	cmp.Comparer(func(a, b *sensors.Quantity) bool { return a == b }),
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
