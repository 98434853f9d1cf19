package kernel

import (
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// iioNotes are the quirks as the help and the documents tell them.
func iioNotes() []string {
	notes := make([]string, len(iioQuirks))
	for i, q := range iioQuirks {
		notes[i] = strings.Join(q.names, ", ") + ": " + q.note
	}
	return notes
}

// An iioQuirk is what is known of a driver that departs from the document, or
// that a reader of its values should know.
type iioQuirk struct {
	names []string // what its devices are called
	note  string
	// inputOnly are types whose raw numbers don't follow the document.
	inputOnly []string
	factor    map[string]float64           // by type, besides the type's own
	within    map[string]sensors.Range     // by type: what the chip can measure
	quantity  map[string]*sensors.Quantity // by the metric that the document would make it
}

// iioQuirks were found in the sources of Linux 6.1 and 6.12, in the files that
// are named.
var iioQuirks = []iioQuirk{
	{names: []string{"veml6030", "veml6035", "veml7700"}, inputOnly: []string{"illuminance"},
		note: "what it calls scale is the gain, so only its illuminance in lux is read (drivers/iio/light/veml6030.c); it measures all the time"},
	{names: []string{"bmp280", "bme280", "bmp380"}, within: map[string]sensors.Range{"pressure": {Min: 30e3, Max: 125e3}},
		note: "stays in normal mode: it measures all the time, which costs current and warms the chip; the driver bme280 measures once a read (drivers/iio/pressure/bmp280-core.c)"},
	{names: []string{"bme680"}, factor: map[string]float64{"humidityrelative": 1e3},
		within: map[string]sensors.Range{"pressure": {Min: 30e3, Max: 110e3}},
		note:   "gives its humidity in percent, not in thousandths, which is converted; kernels before July 2024 give the pressure in hPa, which is refused as out of range (drivers/iio/chemical/bme680_core.c)"},
	{names: []string{"hts221"}, factor: map[string]float64{"temp": 1e3, "humidityrelative": 1e3},
		note: "gives its temperature in °C and its humidity in percent, not in thousandths, which is converted (drivers/iio/humidity/hts221_core.c)"},
	{names: []string{"sgp30", "sgpc3"}, factor: map[string]float64{"concentration": 100}, quantity: estimated,
		note: "gives concentrations as parts of one, not of a hundred, which is converted (drivers/iio/chemical/sgp30.c)"},
	{names: []string{"ccs811", "ams-iaq-core", "vz89x"}, quantity: estimated,
		note: "estimates its carbon dioxide from other gases: it is exported as sensor_equivalent_carbon_dioxide_ppm"},
	{names: []string{"vl53l0x"}, within: map[string]sensors.Range{"distance": {Min: 1e-3, Max: 4}},
		note: "doesn't check whether there was a target: its 8.19 m for none is refused (drivers/iio/proximity/vl53l0x-i2c.c)"},
	{names: []string{"si7020"},
		note: "checks no checksum and clamps the humidity; it stretches the clock, which the Pi's controller mishandles (drivers/iio/humidity/si7020.c)"},
	{names: []string{"ina219", "ina226"},
		note: "converts all the time (drivers/iio/adc/ina2xx-adc.c)"},
	{names: []string{"dht11"},
		note: "fails now and then with EIO or ETIMEDOUT, as these sensors do; the driver dht waits and tries again (drivers/iio/humidity/dht11.c)"},
}

var estimated = map[string]*sensors.Quantity{sensors.CarbonDioxide.Name: sensors.EquivalentCarbonDioxide}

// iioQuirkOf finds what is known of a device; never nil. The device tree's
// address may follow its name: dht11@4.
func iioQuirkOf(name string) *iioQuirk {
	name, _, _ = strings.Cut(name, "@")
	i := slices.IndexFunc(iioQuirks, func(q iioQuirk) bool { return slices.Contains(q.names, name) })
	if i < 0 {
		return &iioQuirk{}
	}
	return &iioQuirks[i]
}

func (q *iioQuirk) apply(kind string, c *channel) {
	if f, ok := q.factor[kind]; ok {
		c.factor *= f
	}
	if r, ok := q.within[kind]; ok {
		c.within = &r
	}
	if other, ok := q.quantity[c.quantity.Name]; ok {
		c.quantity = other.With(c.quantity.Labels...)
	}
}
