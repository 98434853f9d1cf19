package units

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

var allUnits = []*Unit{Celsius, Ratio, Pascals, Lux, PartsPerMio, PartsPerBio, Volts, Amperes, Watts, Joules, Ohms, Meters,
	CubicMeters, Grams, GramsPerCubicMeter, Hertz, Seconds, None}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }

func TestUnitParse(t *testing.T) {
	for _, tt := range []struct {
		unit *Unit
		text string
		want float64
	}{
		{Meters, "0.2794mm", 0.0002794},
		{Meters, " 0.2794 mm ", 0.0002794},
		{Meters, "1in", 0.0254},
		{Meters, "0.01in", 0.000254},
		{Meters, "3", 3},
		{Meters, "3meters", 3},
		{Joules, "5 kWh", 18e6},
		{Joules, "1Wh", 3600},
		{Volts, "250uV", 250e-6},
		{Volts, "250\u00b5V", 250e-6}, // micro sign
		{Volts, "250\u03bcV", 250e-6}, // Greek mu
		{Seconds, "5\u03bcs", 5e-6},
		{Ohms, "4.7k\u03a9", 4700}, // Greek omega
		{Ohms, "4.7k\u2126", 4700}, // ohm sign
		{Ohms, "10\u2126", 10},
		{Celsius, "32°F", 0},
		{Celsius, "-40F", -40},
		{Celsius, "212°F", 100},
		{Celsius, "0K", -273.15},
		{Celsius, "-0.8", -0.8},
		{Celsius, "20°C", 20},
		{Ratio, "55%", 0.55},
		{Pascals, "1013.25hPa", 101325},
		{CubicMeters, "10l", 0.01},
		{GramsPerCubicMeter, "35µg/m³", 35e-6},
		{None, "1e3", 1000},
		{None, "+.5", 0.5},
		{None, "017", 17},
		{Meters, "1e-3km", 1},
		{Volts, "1eV", math.NaN()}, // an electron volt is no voltage
		{Meters, "1e400", math.NaN()},
		{Joules, "1e308kWh", math.NaN()}, // too large after the conversion
		{Meters, "5kg", math.NaN()},
		{Meters, "", math.NaN()},
		{Meters, "mm", math.NaN()},
		{Meters, "NaN", math.NaN()},
		{Meters, "Inf", math.NaN()},
		{Meters, "-Inf", math.NaN()},
		{Meters, "1,5", math.NaN()},
		{Meters, "1_000", math.NaN()},
		{Meters, "0x10", math.NaN()},
		{Meters, "1.2.3", math.NaN()},
		{None, "5V", math.NaN()},
	} {
		got, err := tt.unit.Parse(tt.text)
		switch {
		case math.IsNaN(tt.want) && err == nil:
			t.Errorf("%s: Parse(%q) = %v, want an error", tt.unit.Suffix, tt.text, got)
		case !math.IsNaN(tt.want) && (err != nil || !near(got, tt.want)):
			t.Errorf("%s: Parse(%q) = %v, %v, want %v", tt.unit.Suffix, tt.text, got, err, tt.want)
		}
	}
}

func TestUnitParseDifference(t *testing.T) {
	for text, want := range map[string]float64{"1.8°F": 1, "-0.8K": -0.8, "2": 2, "-1": -1} {
		if got, err := Celsius.ParseDifference(text); err != nil || !near(got, want) {
			t.Errorf("ParseDifference(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := Celsius.ParseDifference("1hPa"); err == nil {
		t.Error("a difference of pressures passed for one of temperatures")
	}
	if _, err := Joules.ParseDifference("1e308kWh"); err == nil {
		t.Error("an infinite difference passed")
	}
}

// What is shown to people may be written by them.
func TestUnitShownIsAccepted(t *testing.T) {
	for _, u := range allUnits {
		if u.Shown != "" {
			if got, err := u.Parse("1" + u.Shown); err != nil || !near(got*u.ShownScale, 1) {
				t.Errorf("%s: 1%s is %v, %v", u.Suffix, u.Shown, got, err)
			}
		}
		for _, s := range u.Spellings() {
			if _, err := u.Parse("1 " + s); err != nil {
				t.Errorf("%s: %v", u.Suffix, err)
			}
		}
	}
}

func TestUnitErrorsSayWhatIsMeant(t *testing.T) {
	_, err := Meters.Parse("5kg")
	if err == nil || !strings.Contains(err.Error(), `"5kg" has the unit "kg": use one of m, cm, ft`) {
		t.Errorf("error is %v", err)
	}
	_, err = Meters.Parse("wet")
	if err == nil || !strings.Contains(err.Error(), `"wet" is not a number with a unit (one of m,`) {
		t.Errorf("error is %v", err)
	}
	for text, want := range map[string]string{"21,5": `"21,5" has a decimal comma: write 21.5`, "-0,25 m": `"-0,25 m" has a decimal comma: write -0.25 m`, "5,": `"5," has the unit ","`} {
		if _, err := Meters.Parse(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error is %v", text, err)
		}
	}
	for _, text := range []string{"1e400", "-1e400 m", "1e308km"} {
		if _, err := Meters.Parse(text); err == nil || err.Error() != strconv.Quote(text)+" is too large" {
			t.Errorf("error is %v", err)
		}
	}
	_, err = None.Parse("5V")
	if err == nil || !strings.Contains(err.Error(), `without the unit "V"`) {
		t.Errorf("error is %v", err)
	}
}

func TestUnitFormat(t *testing.T) {
	for _, tt := range []struct {
		unit *Unit
		v    float64
		want string
	}{
		{Pascals, 100653, "1006.53 hPa"}, {Ratio, 0.5, "50.0 %"}, {Celsius, 25.08, "25.08 °C"},
		{None, 3, "3.00"}, {GramsPerCubicMeter, 12e-6, "12.0 µg/m³"}, {Joules, 3.6e6, "1000.000 Wh"},
		{Lux, 0.0036, "0.0036 lx"}, {None, 0.0034, "0.0034"}, {None, -1.234e-9, "-1.2e-09"}, {Ratio, 0.0003, "0.03 %"},
		{Celsius, 0, "0.00 °C"}, {Celsius, -0.004, "-0.004 °C"}, {Celsius, 10, "10.00 °C"},
	} {
		if got := tt.unit.Format(tt.v); got != tt.want {
			t.Errorf("Format(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
}

func FuzzUnitParse(f *testing.F) {
	for _, s := range []string{"0.2794mm", "5 kWh", "1e3", "1eV", "-40°F", "µ", "1e400", ".", "+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, u := range allUnits {
			v, err := u.Parse(text)
			if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
				t.Errorf("%s: Parse(%q) = %v", u.Suffix, text, v)
			}
			if err != nil && v != 0 {
				t.Errorf("%s: Parse(%q) = %v and an error", u.Suffix, text, v)
			}
		}
	})
}
