package sensors

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"example.org/dormouse/sensors/units"
)

// Kind is the type of a Prometheus family.
type Kind uint8

const (
	Gauge Kind = iota
	Counter
	Untyped   // a program's own, printed without a type
	Histogram // a program's own
	Summary   // a program's own
)

// String is the word that the exposition format uses.
func (k Kind) String() string {
	return [...]string{"gauge", "counter", "untyped", "histogram", "summary"}[k]
}

// Range bounds the plausible: a value outside is an error of the class
// "range", never a reading. Both ends belong to it.
type Range struct{ Min, Max float64 }

// A Quantity is what a reading is of. Its name, unit and kind fix the
// metric's name, and its Help the family's HELP, so that one family always has
// one type and one text. Drivers share the quantities below; where a chip has
// several of one kind, With adds the label that tells them apart.
type Quantity struct {
	Name   string // "temperature"
	Unit   *units.Unit
	Kind   Kind
	Help   string
	Labels []string // names of the labels that Report.Set is given values for
	Range  *Range   // checked before calibration; nil: any finite value

	// Metric is the family's whole name where it doesn't follow from Name and
	// Unit: a program's own metric.
	Metric string
}

// With returns the quantity with further labels, such as "channel".
func (q *Quantity) With(labels ...string) *Quantity {
	c := *q
	c.Labels = append(append([]string(nil), q.Labels...), labels...)
	return &c
}

// Within returns the quantity with a chip's own measuring range.
func (q *Quantity) Within(min, max float64) *Quantity {
	c := *q
	c.Range = &Range{min, max}
	return &c
}

// MetricName is the family's name: sensor_<quantity>_<unit>, and _total for a
// counter.
func (q *Quantity) MetricName() string {
	if q.Metric != "" {
		return q.Metric
	}
	parts := []string{"sensor", q.Name}
	if q.Unit != nil && q.Unit.Suffix != "" {
		parts = append(parts, q.Unit.Suffix)
	}
	if q.Kind == Counter {
		parts = append(parts, "total")
	}
	return strings.Join(parts, "_")
}

// AboutRead tells whether q is about a read itself, such as a program's exit
// status: such a reading is valid even where the read failed.
func (q *Quantity) AboutRead() bool { return q == ExitStatus || q == ExitDuration }

// Check tells whether v may be a reading of q: finite and within its range.
func (q *Quantity) Check(v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Errorf(OutOfRange, "%s is %v, which is not a number", q.Name, v)
	}
	if q.Range != nil && (v < q.Range.Min || v > q.Range.Max) {
		shown, low, high := q.Format(v), q.Format(q.Range.Min), q.Format(q.Range.Max)
		if shown == low || shown == high { // but for rounding
			shown += fmt.Sprintf(" (%v in the base unit)", v)
		}
		if q.Range.Max == math.MaxFloat64 {
			return Errorf(OutOfRange, "%s of %s is below %s", q.Name, shown, low)
		}
		return Errorf(OutOfRange, "%s of %s is outside %s to %s", q.Name, shown, low, high)
	}
	return nil
}

// BaseUnit is the unit of the quantity's readings; units.None for a pure number.
func (q *Quantity) BaseUnit() *units.Unit {
	if q.Unit == nil {
		return units.None
	}
	return q.Unit
}

// Format renders a base value of this quantity as people like to see it.
func (q *Quantity) Format(v float64) string { return q.BaseUnit().Format(v) }

// The built-in quantities. Their ranges are what any instrument of the kind can
// measure on Earth; drivers narrow them to the range of their chip.
var (
	Temperature = quantity("temperature", units.Celsius, Gauge, "Temperature.", &Range{-273.15, 1800})
	Humidity    = quantity("humidity", units.Ratio, Gauge, "Relative humidity, 0 to 1.", &Range{0, 1})
	Pressure    = quantity("pressure", units.Pascals, Gauge, "Absolute pressure.", &Range{0, 10e6})

	Illuminance = quantity("illuminance", units.Lux, Gauge, "Illuminance.", &Range{0, 400e3})
	UVIndex     = quantity("uv_index", units.None, Gauge, "Ultraviolet index.", &Range{0, 50})

	CarbonDioxide           = quantity("carbon_dioxide", units.PartsPerMio, Gauge, "Carbon dioxide concentration, by volume.", &Range{0, 1e6})
	EquivalentCarbonDioxide = quantity("equivalent_carbon_dioxide", units.PartsPerMio, Gauge, "Carbon dioxide concentration estimated from other gases.", &Range{0, 1e6})
	VolatileOrganics        = quantity("volatile_organic_compounds", units.PartsPerBio, Gauge, "Volatile organic compounds, by volume.", &Range{0, 1e9})
	AirQuality              = quantity("air_quality_index", units.None, Gauge, "Air quality index as the chip defines it.", &Range{0, 500})
	ParticulateMatter       = quantity("particulate_matter", units.GramsPerCubicMeter, Gauge, "Mass of the particles up to the size, in micrometres.", &Range{0, 1}, "size")

	Voltage    = quantity("voltage", units.Volts, Gauge, "Voltage.", &Range{-100e3, 100e3})
	Current    = quantity("current", units.Amperes, Gauge, "Electric current.", &Range{-10e3, 10e3})
	Power      = quantity("power", units.Watts, Gauge, "Power.", &Range{-10e6, 10e6})
	Energy     = quantity("energy", units.Joules, Counter, "Energy counted.", nil)
	Battery    = quantity("battery", units.Ratio, Gauge, "State of charge, 0 to 1.", &Range{0, 1})
	Resistance = quantity("resistance", units.Ohms, Gauge, "Electric resistance.", &Range{0, 1e12})
	Moisture   = quantity("moisture", units.Ratio, Gauge, "Moisture, 0 dry to 1 wet.", &Range{0, 1})

	Distance = quantity("distance", units.Meters, Gauge, "Distance.", &Range{0, 1e4})
	Mass     = quantity("mass", units.Grams, Gauge, "Mass.", &Range{0, 1e9})

	Active      = quantity("active", units.None, Gauge, "Whether the switch is active (1) or not (0).", &Range{0, 1})
	Transitions = quantity("transitions", units.None, Counter, "Changes of the switch that the kernel recorded since the line was requested.", nil)
	LastChange  = quantity("last_change_timestamp", units.Seconds, Gauge, "Unix time of the switch's last change.", nil)

	Pulses        = quantity("pulses", units.None, Counter, "Pulses that the kernel recorded.", nil)
	Precipitation = quantity("precipitation", units.Rain, Counter, "Precipitation counted, as depth.", nil)
	Volume        = quantity("volume", units.CubicMeters, Counter, "Volume counted.", nil)
	Flow          = quantity("flow", units.CubicMetersPerSecond, Gauge, "Volume per time, mean since the previous read.", &Range{0, 1e6})
	Speed         = quantity("speed", units.MetersPerSecond, Gauge, "Speed, mean since the previous read.", &Range{0, 1e5})
	Gust          = quantity("gust", units.MetersPerSecond, Gauge, "Speed at the shortest time between two pulses since the previous read.", &Range{0, 1e5})
	ShortestGap   = quantity("shortest_gap", units.Seconds, Gauge, "Shortest time between two pulses since the previous read.", &Range{0, 366 * 86400})
	CountedSince  = quantity("counted_since_timestamp", units.Seconds, Gauge, "Unix time since which every pulse has been counted; earlier pulses may be missing.", nil)
	Rotations     = quantity("rotations", units.None, Counter, "Rotations counted.", nil)

	Frequency = quantity("frequency", units.Hertz, Gauge, "Frequency.", &Range{0, 1e12})
	Duty      = quantity("duty", units.Ratio, Gauge, "Share of the time that the signal is active, 0 to 1.", &Range{0, 1})

	// Of a program run by the command driver.
	Number       = quantity("value", units.None, Gauge, "Number printed by a program.", nil)
	ExitStatus   = &Quantity{Name: "exit_status", Unit: units.None, Metric: "dormouse_command_exit_status", Help: "Exit status of the program's last run; 128 and the signal's number where a signal ended it.", Range: &Range{0, 255}}
	ExitDuration = &Quantity{Name: "duration", Unit: units.Seconds, Metric: "dormouse_command_duration_seconds", Help: "How long the program's last run took."}
)

var quantities = map[string]*Quantity{}

func quantity(name string, u *units.Unit, k Kind, help string, r *Range, labels ...string) *Quantity {
	q := &Quantity{Name: name, Unit: u, Kind: k, Help: help, Range: r, Labels: labels}
	quantities[name] = q
	return q
}

// QuantityByName returns one of the built-in quantities: what the
// configuration's quantity key may name.
func QuantityByName(name string) (*Quantity, bool) {
	q, ok := quantities[name]
	return q, ok
}

// QuantityNames lists them in order.
func QuantityNames() []string { return slices.Sorted(maps.Keys(quantities)) }
