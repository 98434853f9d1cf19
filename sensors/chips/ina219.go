package chips

import (
	"strconv"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// Sections are those of the INA219's data sheet. Current and power are computed
// here and not in the chip, whose calibration register would have to be right.
var ina219 = family{
	name:      "ina219",
	summary:   "TI INA219: voltage 0 to 26 V (±1 %), current by a shunt up to ±320 mV (±1 %), power",
	datasheet: "TI SBOS448G (INA219)",
	wiring:    "I2C at 3.3 V; A0 and A1 to ground are 0x40, to the supply add 1 and 4, to SDA 2 and 8, to SCL 3 and 12; the load hangs on IN-, whose voltage is read",
	timing:    "1.2 ms at 1 sample, 150 ms at 128: one measurement, then the chip is powered down",
	kernel:    "ina2xx (hwmon) and ina2xx-adc (iio), which convert continuously",
	addresses: ina219Addresses,
	options:   []sensors.Option{shunt},
	models: []chip{{
		part: "INA219",
		settings: []setting{{
			name: "samples", unset: "1", help: "samples of each of the two voltages that one measurement averages",
			values: ina219Samples(),
		}},
		measure: []step{
			// 32 V and ±320 mV, both voltages once: section 8.6.2.1. After power-up it
			// reads 0x399F.
			{set: hex{0, 0x38, 0x03}, with: []string{"samples"}},
			{times: []string{"samples"}, wait: 50 * time.Microsecond},
			// CNVR tells that the conversion has ended, and begins at 0: section 8.6.3.2.
			{write: hex{2}, status: 2, until: &until{mask: 2, is: 2, within: 20 * time.Millisecond, every: time.Millisecond}},
			{write: hex{1}, result: 2},
			{write: hex{2}, result: 2, must: []test{{mask: 4, says: "it can't have this bit: the bus is disturbed, or it is no INA219"}}},
		},
		sleep: []step{{set: hex{0, 0x38, 0x00}, with: []string{"samples"}}},
		fields: []field{
			{quantity: sensors.Voltage.Within(0, 32), at: 2, kind: "be:u13/16>>3", scale: 0.004},
			{quantity: sensors.Current, kind: "be:s16/16>>0", scale: 10e-6, per: "shunt", low: -32000, high: 32000, says: "the current is beyond the range of the shunt, ±320 mV across it: give it a smaller resistance"},
			{quantity: sensors.Power},
		},
		decode: voltsByAmperes,
	}},
}

func init() { ina219.register() }

var (
	// ina219Addresses are those of section 8.5.5.1.
	ina219Addresses = []string{"0x40", "0x41", "0x42", "0x43", "0x44", "0x45", "0x46", "0x47", "0x48", "0x49", "0x4a", "0x4b", "0x4c", "0x4d", "0x4e", "0x4f"}

	shunt = sensors.Option{
		Name: "shunt", Type: sensors.NumberOption, Unit: units.Ohms, Default: "0.1Ω", Range: &sensors.Range{Min: 1e-6, Max: 1000},
		Help: "resistance of the shunt: R100 on it is 0.1Ω, R010 0.01Ω",
	}
)

// ina219Samples are by the codes of BADC and SADC, which are set alike: section
// 8.6.2.1, table 5, the longest times.
func ina219Samples() []value {
	var list []value
	for i, micros := range []time.Duration{586, 1170, 2340, 4680, 9360, 18720, 37450, 74900} {
		code := uint64(8 + i)
		list = append(list, value{name: strconv.Itoa(1 << i), bits: code<<7 | code<<3, time: 2 * micros * time.Microsecond})
	}
	return list
}

// voltsByAmperes is the power of each pair of a voltage and a current.
func voltsByAmperes(f *frame) error {
	for i := 0; i < len(f.values); i += 3 {
		f.values[i+2] = f.values[i] * f.values[i+1]
	}
	return nil
}
