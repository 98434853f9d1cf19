// Package units is the base units of all readings, with the spellings that a
// configuration may use instead.
package units

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// A Unit is a base unit as Prometheus wants it, with the way people like to
// see it and the spellings that a configuration may use instead.
type Unit struct {
	Suffix string // in the metric's name, plural: "celsius"; empty: a pure number
	Symbol string // "°C"

	// Shown is the symbol that people prefer, where it isn't Symbol ("hPa"
	// for pascals); a base value times ShownScale is what they read.
	Shown      string
	ShownScale float64
	Decimals   int // of the shown value

	accepts map[string]scale // further spellings: base = value*factor + offset
}

type scale struct{ factor, offset float64 }

var lengths = map[string]scale{"mm": {1e-3, 0}, "cm": {1e-2, 0}, "km": {1e3, 0}, "in": {0.0254, 0}, "ft": {0.3048, 0}}

// The base units of all readings.
var (
	Celsius = &Unit{Suffix: "celsius", Symbol: "°C", Decimals: 2, accepts: map[string]scale{
		"C": {1, 0}, "degC": {1, 0}, "K": {1, -273.15}, "°F": {5. / 9, -160. / 9}, "F": {5. / 9, -160. / 9}}}
	Ratio = &Unit{Suffix: "ratio", Shown: "%", ShownScale: 100, Decimals: 1, accepts: map[string]scale{
		"%": {0.01, 0}}}
	Pascals = &Unit{Suffix: "pascals", Symbol: "Pa", Shown: "hPa", ShownScale: 0.01, Decimals: 2, accepts: map[string]scale{
		"hPa": {100, 0}, "mbar": {100, 0}, "kPa": {1000, 0}, "bar": {1e5, 0}}}
	Lux         = &Unit{Suffix: "lux", Symbol: "lx", Decimals: 1, accepts: map[string]scale{"klx": {1000, 0}}}
	PartsPerMio = &Unit{Suffix: "ppm", Symbol: "ppm", Decimals: 0}
	PartsPerBio = &Unit{Suffix: "ppb", Symbol: "ppb", Decimals: 0}
	Volts       = &Unit{Suffix: "volts", Symbol: "V", Decimals: 4, accepts: map[string]scale{
		"mV": {1e-3, 0}, "uV": {1e-6, 0}, "µV": {1e-6, 0}, "kV": {1e3, 0}}}
	Amperes = &Unit{Suffix: "amperes", Symbol: "A", Decimals: 4, accepts: map[string]scale{
		"mA": {1e-3, 0}, "uA": {1e-6, 0}, "µA": {1e-6, 0}}}
	Watts = &Unit{Suffix: "watts", Symbol: "W", Decimals: 3, accepts: map[string]scale{
		"mW": {1e-3, 0}, "kW": {1e3, 0}}}
	Joules = &Unit{Suffix: "joules", Symbol: "J", Shown: "Wh", ShownScale: 1. / 3600, Decimals: 3, accepts: map[string]scale{
		"kJ": {1e3, 0}, "Wh": {3600, 0}, "kWh": {3.6e6, 0}}}
	Ohms = &Unit{Suffix: "ohms", Symbol: "Ω", Decimals: 1, accepts: map[string]scale{
		"ohm": {1, 0}, "mohm": {1e-3, 0}, "mΩ": {1e-3, 0}, "kohm": {1e3, 0}, "kΩ": {1e3, 0}, "MΩ": {1e6, 0}}}
	Meters      = &Unit{Suffix: "meters", Symbol: "m", Decimals: 4, accepts: lengths}
	Rain        = &Unit{Suffix: "meters", Symbol: "m", Shown: "mm", ShownScale: 1000, Decimals: 2, accepts: lengths}
	CubicMeters = &Unit{Suffix: "cubic_meters", Symbol: "m³", Shown: "l", ShownScale: 1000, Decimals: 2, accepts: map[string]scale{
		"m3": {1, 0}, "l": {1e-3, 0}, "L": {1e-3, 0}, "ml": {1e-6, 0}, "mL": {1e-6, 0}, "dm3": {1e-3, 0}, "ft3": {0.028316846592, 0}}}
	CubicMetersPerSecond = &Unit{Suffix: "cubic_meters_per_second", Symbol: "m³/s", Shown: "l/min", ShownScale: 60_000, Decimals: 2, accepts: map[string]scale{
		"m3/s": {1, 0}, "l/min": {1. / 60_000, 0}, "l/s": {1e-3, 0}, "l/h": {1. / 3.6e6, 0}, "m³/h": {1. / 3600, 0}, "m3/h": {1. / 3600, 0}}}
	MetersPerSecond = &Unit{Suffix: "meters_per_second", Symbol: "m/s", Decimals: 2, accepts: map[string]scale{
		"km/h": {1 / 3.6, 0}, "kn": {1852. / 3600, 0}, "mph": {0.44704, 0}}}
	Grams = &Unit{Suffix: "grams", Symbol: "g", Decimals: 2, accepts: map[string]scale{
		"mg": {1e-3, 0}, "kg": {1e3, 0}}}
	GramsPerCubicMeter = &Unit{Suffix: "grams_per_cubic_meter", Symbol: "g/m³", Shown: "µg/m³", ShownScale: 1e6, Decimals: 1, accepts: map[string]scale{
		"g/m3": {1, 0}, "mg/m³": {1e-3, 0}, "mg/m3": {1e-3, 0}, "µg/m³": {1e-6, 0}, "ug/m³": {1e-6, 0}, "µg/m3": {1e-6, 0}, "ug/m3": {1e-6, 0}}}
	Hertz = &Unit{Suffix: "hertz", Symbol: "Hz", Decimals: 2, accepts: map[string]scale{
		"kHz": {1e3, 0}, "MHz": {1e6, 0}}}
	Seconds = &Unit{Suffix: "seconds", Symbol: "s", Decimals: 3, accepts: map[string]scale{
		"ms": {1e-3, 0}, "us": {1e-6, 0}, "µs": {1e-6, 0}, "min": {60, 0}, "h": {3600, 0}}}
	SiemensPerMeter = &Unit{Suffix: "siemens_per_meter", Symbol: "S/m", Shown: "µS/cm", ShownScale: 1e4, Decimals: 1, accepts: map[string]scale{
		"mS/cm": {0.1, 0}, "µS/cm": {1e-4, 0}, "uS/cm": {1e-4, 0}, "mS/m": {1e-3, 0}}}
	Degrees         = &Unit{Suffix: "degrees", Symbol: "°", Decimals: 1, accepts: map[string]scale{"deg": {1, 0}, "rad": {180 / math.Pi, 0}}}
	Decibels        = &Unit{Suffix: "decibels", Symbol: "dB", Decimals: 1}
	SievertsPerHour = &Unit{Suffix: "sieverts_per_hour", Symbol: "Sv/h", Shown: "µSv/h", ShownScale: 1e6, Decimals: 3, accepts: map[string]scale{
		"mSv/h": {1e-3, 0}, "µSv/h": {1e-6, 0}, "uSv/h": {1e-6, 0}, "nSv/h": {1e-9, 0}}}
	Kelvin                 = &Unit{Suffix: "kelvin", Symbol: "K", Decimals: 0}
	MetersPerSecondSquared = &Unit{Suffix: "meters_per_second_squared", Symbol: "m/s²", Decimals: 3, accepts: map[string]scale{
		"m/s2": {1, 0}, "g": {9.80665, 0}}}
	RadiansPerSecond = &Unit{Suffix: "radians_per_second", Symbol: "rad/s", Decimals: 4, accepts: map[string]scale{
		"°/s": {math.Pi / 180, 0}, "deg/s": {math.Pi / 180, 0}}}
	Teslas = &Unit{Suffix: "teslas", Symbol: "T", Shown: "µT", ShownScale: 1e6, Decimals: 2, accepts: map[string]scale{
		"mT": {1e-3, 0}, "µT": {1e-6, 0}, "uT": {1e-6, 0}, "nT": {1e-9, 0}, "G": {1e-4, 0}}}
	Farads = &Unit{Suffix: "farads", Symbol: "F", Shown: "nF", ShownScale: 1e9, Decimals: 3, accepts: map[string]scale{
		"mF": {1e-3, 0}, "µF": {1e-6, 0}, "uF": {1e-6, 0}, "nF": {1e-9, 0}, "pF": {1e-12, 0}}}
	Coulombs = &Unit{Suffix: "coulombs", Symbol: "C", Shown: "mAh", ShownScale: 1 / 3.6, Decimals: 0, accepts: map[string]scale{
		"Ah": {3600, 0}, "mAh": {3.6, 0}}}
	None = &Unit{Decimals: 2}
)

// Parse reads a number that may carry a unit ("0.2794mm", "5 kWh", "12") and
// returns it in the base unit u. A number without a unit is in the base unit.
// NaN and infinities are refused.
func (u *Unit) Parse(text string) (float64, error) {
	v, s, err := u.split(text)
	if err != nil {
		return 0, err
	}
	return finite(text, v*s.factor+s.offset)
}

// ParseDifference reads a difference of two values: of 1.8°F the 1 K counts
// and not where the scale begins.
func (u *Unit) ParseDifference(text string) (float64, error) {
	v, s, err := u.split(text)
	if err != nil {
		return 0, err
	}
	return finite(text, v*s.factor)
}

func finite(text string, v float64) (float64, error) {
	if math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return v, nil
}

// oneLetter maps the signs that look alike to one of them: the micro sign for
// the Greek mu, the Greek omega for the ohm sign, K for the kelvin sign.
var oneLetter = strings.NewReplacer("\u03bc", "\u00b5", "\u2126", "\u03a9", "\u212a", "K")

// split reads the number and finds what its unit makes of it.
func (u *Unit) split(text string) (float64, scale, error) {
	text = strings.TrimSpace(text)
	end := numberEnd(text)
	number, symbol := text[:end], oneLetter.Replace(strings.TrimSpace(text[end:]))
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, scale{}, fmt.Errorf("%q is too large", text)
	case err != nil:
		return 0, scale{}, fmt.Errorf("%q is not a number%s", text, u.example())
	}
	if symbol == "" || symbol == u.Symbol || symbol == u.Suffix {
		return v, scale{1, 0}, nil
	}
	if s, ok := u.accepts[symbol]; ok {
		return v, s, nil
	}
	if len(symbol) > 1 && symbol[0] == ',' && symbol[1] >= '0' && symbol[1] <= '9' {
		return 0, scale{}, fmt.Errorf("%q has a decimal comma: write %s", text, strings.Replace(text, ",", ".", 1))
	}
	if units := u.Spellings(); len(units) > 0 {
		return 0, scale{}, fmt.Errorf("%q has the unit %q: use one of %s", text, symbol, strings.Join(units, ", "))
	}
	return 0, scale{}, fmt.Errorf("%q: write a plain number, without the unit %q", text, symbol)
}

// numberEnd is the length of the decimal number that text begins with. An
// "e" belongs to the number only where digits follow it.
func numberEnd(text string) int {
	i := 0
	digits := func() {
		for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.') {
			i++
		}
	}
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		i++
	}
	digits()
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		j := i + 1
		if j < len(text) && (text[j] == '+' || text[j] == '-') {
			j++
		}
		if j < len(text) && text[j] >= '0' && text[j] <= '9' {
			i = j
			digits()
		}
	}
	return i
}

// Spellings lists the unit's symbol and what else a configuration may write.
func (u *Unit) Spellings() []string {
	var others []string
	for s := range u.accepts {
		others = append(others, s)
	}
	sort.Strings(others)
	if u.Symbol != "" {
		others = append([]string{u.Symbol}, others...)
	}
	return others
}

func (u *Unit) example() string {
	if s := u.Spellings(); len(s) > 0 {
		return fmt.Sprintf(" with a unit (one of %s)", strings.Join(s, ", "))
	}
	return ""
}

// Format renders a base value as people like to see it: 100653 Pa is
// "1006.53 hPa", a ratio of 0.5 "50.0 %". A value that isn't 0 isn't shown as 0.
func (u *Unit) Format(v float64) string {
	symbol := u.Symbol
	if u.Shown != "" {
		v, symbol = v*u.ShownScale, u.Shown
	}
	text := strconv.FormatFloat(v, 'f', u.Decimals, 64)
	if v != 0 && strings.Trim(text, "-0.") == "" {
		text = strconv.FormatFloat(v, 'g', 2, 64)
	}
	if symbol == "" {
		return text
	}
	return text + " " + symbol
}
