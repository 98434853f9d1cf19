package chips

import (
	"fmt"
	"strconv"
	"time"

	"example.org/dormouse/sensors"
)

// Sections of the INA226 are those of its data sheet SBOS547, of the INA260
// SBOS656, of the INA3221 SBOS576. Current and power are computed here.
var ina226 = family{
	name:      "ina226",
	summary:   "TI INA226: voltage 0 to 36 V (±0.1 %), current by a shunt up to ±81.92 mV (±0.1 %), power",
	datasheet: "TI SBOS547B (INA226)",
	wiring:    "I2C at 3.3 V; A0 and A1 to ground are 0x40, to the supply add 1 and 4, to SDA 2 and 8, to SCL 3 and 12; VBUS to what is to be measured",
	timing:    "2.5 ms at 1 sample, 2.5 s at 1024: one measurement, then the chip is powered down",
	kernel:    "ina2xx (hwmon) and ina2xx-adc (iio), which convert continuously",
	addresses: ina219Addresses,
	options:   []sensors.Option{shunt},
	models: []chip{inaChip("INA226", 0x2260, 0xfff0, 0x41, []step{{write: hex{1}, result: 2}, {write: hex{2}, result: 2}}, []field{
		{quantity: sensors.Voltage.Within(0, 36), at: 2, kind: "be:u16/16>>0", scale: 1.25e-3},
		{quantity: sensors.Current, kind: "be:s16/16>>0", scale: 2.5e-6, per: "shunt", low: -0x8000, high: 0x7fff, says: "the current is beyond the range of the shunt, ±81.92 mV across it: give it a smaller resistance"},
		{quantity: sensors.Power},
	})},
}

var ina260 = family{
	name:      "ina260",
	summary:   "TI INA260, its shunt inside: voltage 0 to 36 V (±0.1 %), current up to ±15 A (±0.15 %), power",
	datasheet: "TI SBOS656C (INA260)",
	wiring:    ina226.wiring,
	timing:    ina226.timing,
	addresses: ina219Addresses,
	models: []chip{inaChip("INA260", 0x2270, 0xfff0, 0x61, []step{{write: hex{1}, result: 2}, {write: hex{2}, result: 2}}, []field{
		{quantity: sensors.Voltage.Within(0, 36), at: 2, kind: "be:u16/16>>0", scale: 1.25e-3},
		{quantity: sensors.Current.Within(-20, 20), kind: "be:s16/16>>0", scale: 1.25e-3},
		{quantity: sensors.Power},
	})},
}

var ina3221 = family{
	name:      "ina3221",
	summary:   "TI INA3221: at three channels voltage 0 to 26 V (±0.25 %), current by a shunt up to ±163.8 mV (±0.25 %), power",
	datasheet: "TI SBOS576B (INA3221)",
	wiring:    "I2C at 3.3 V; A0 to ground is 0x40, to the supply 0x41, to SDA 0x42, to SCL 0x43",
	timing:    "7.3 ms at 1 sample, 7.5 s at 1024: one measurement of all channels, then the chip is powered down",
	kernel:    "ina3221 (hwmon), which converts continuously",
	addresses: []string{"0x40", "0x41", "0x42", "0x43"},
	options:   []sensors.Option{shuntOfChannels()},
	models:    []chip{ina3221Chip()},
}

func init() {
	ina226.register()
	ina260.register()
	ina3221.register()
}

// inaChip is one of the three, which have the same configuration but for its
// highest byte, and the same flags. CVRF of register 6 tells that the
// conversion has ended; it begins at 0, and again when it is read.
func inaChip(title string, id, mask uint64, high byte, results []step, fields []field) chip {
	return chip{
		part: title,
		identity: []identity{
			{step: step{write: hex{0xfe}, status: 2}, is: []part{{value: 0x5449}}, by: fmt.Sprintf("registers 0xFE and 0xFF read 0x5449 and 0x%04X", id)},
			{step: step{write: hex{0xff}, status: 2}, mask: mask, is: []part{{value: id}},
				looks: map[uint64]string{0x2260: "an INA226", 0x2270: "an INA260", 0x3220: "an INA3221", 0x1050: "an HDC1080", 0x1000: "an HDC1000"}},
		},
		settings: []setting{{name: "samples", unset: "1", help: "samples of each voltage that one measurement averages", values: inaSamples(2)}},
		measure: append([]step{
			// 1.1 ms for each voltage, both once. After power-up bit 2 is set, too.
			{set: hex{0, high, 0x23}, with: []string{"samples"}},
			{times: []string{"samples"}},
			{write: hex{6}, status: 2, until: &until{mask: 0x0008, is: 0x0008, within: 20 * time.Millisecond, every: time.Millisecond}},
		}, results...),
		sleep:  []step{{set: hex{0, high, 0x20}, with: []string{"samples"}}},
		fields: fields,
		decode: voltsByAmperes,
	}
}

// inaSamples are by the code of AVG; so many conversions of 1.1 ms, at the
// longest 1.21 ms, make one.
func inaSamples(conversions time.Duration) []value {
	var list []value
	for i, n := range []time.Duration{1, 4, 16, 64, 128, 256, 512, 1024} {
		list = append(list, value{name: strconv.Itoa(int(n)), bits: uint64(i) << 9, time: conversions * n * 1210 * time.Microsecond})
	}
	return list
}

// ina3221Chip measures six voltages: registers 1 to 6.
func ina3221Chip() chip {
	var results []step
	var fields []field
	for i := range 3 {
		label := fmt.Sprintf("ch%d", i+1)
		results = append(results,
			step{write: hex{byte(2*i + 1)}, result: 2, must: inaLow3},
			step{write: hex{byte(2*i + 2)}, result: 2, must: inaLow3})
		fields = append(fields,
			field{quantity: ina3221Voltage, label: label, at: 4*i + 2, kind: "be:s13/16>>3", scale: 8e-3},
			field{quantity: sensors.Current.With("channel"), label: label, at: 4 * i, kind: "be:s13/16>>3", scale: 40e-6, per: "shunt", low: -4096, high: 4095,
				says: "the current is beyond the range of the shunt, ±163.8 mV across it: give it a smaller resistance"},
			field{quantity: sensors.Power.With("channel"), label: label})
	}
	c := inaChip("INA3221", 0x3220, 0xffff, 0x71, results, fields)
	c.settings[0].values = inaSamples(6)
	// The flags are in register 15, and CVRF is bit 0: section 8.6.2.17.
	c.measure[2].write, c.measure[2].until.mask, c.measure[2].until.is = hex{0x0f}, 1, 1
	return c
}

// ina3221Voltage begins below 0: the offset is up to ±16 mV at 25 °C, and ±80 µV/K
// (section 7.5), so that an input at ground may read -24 mV.
var ina3221Voltage = sensors.Voltage.Within(-0.024, 32.76).With("channel")

var inaLow3 = []test{{mask: 7, says: "it has more than 13 bits: the bus is disturbed, or it is no INA3221"}}

func shuntOfChannels() sensors.Option {
	o := shunt
	o.Channel = true
	return o
}
