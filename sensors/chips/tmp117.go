package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the TMP117's data sheet.
var tmp117 = family{
	name:      "tmp117",
	summary:   "TI TMP117: temperature -55 to 150 °C (±0.1 °C from -20 to 50 °C)",
	datasheet: "TI SNOSD82D (TMP117)",
	wiring:    "I2C at 3.3 V; ADD0 to ground is 0x48, to the supply 0x49, to SDA 0x4a, to SCL 0x4b",
	timing:    "140 ms at 8 samples, which are averaged: one shot, then the chip is shut down",
	kernel:    "tmp117 (iio)",
	addresses: []string{"0x48", "0x49", "0x4a", "0x4b"}, // section 7.5.3.1
	models: []chip{{
		part:     "TMP117",
		startup:  2 * time.Millisecond,                                                                                                                                     // section 6.5, reset time
		identity: []identity{{step: step{write: hex{0x0f}, status: 2}, mask: 0x0fff, is: []part{{value: 0x0117}}, by: "register 0x0F reads 0x0117 under the mask 0x0FFF"}}, // section 7.6.11
		settings: []setting{{
			name: "samples", unset: "8", help: "samples that one measurement averages",
			values: []value{ // section 7.6.3, AVG; a sample takes 17.5 ms at the longest: section 6.5
				{name: "1", bits: 0 << 5, time: 17500 * time.Microsecond},
				{name: "8", bits: 1 << 5, time: 140 * time.Millisecond},
				{name: "32", bits: 2 << 5, time: 560 * time.Millisecond},
				{name: "64", bits: 3 << 5, time: 1120 * time.Millisecond},
			},
		}},
		measure: []step{
			// One shot, after which the mode is shutdown. The highest four bits are
			// flags.
			{set: hex{1, 0x0c, 0x00}, back: hex{0x04, 0x00}, mask: 0x0ffc, with: []string{"samples"}},
			{times: []string{"samples"}},
			// Data_Ready is cleared when it or the result is read.
			{write: hex{1}, status: 2, until: &until{mask: 0x2000, is: 0x2000, within: 100 * time.Millisecond, every: 5 * time.Millisecond}},
			{write: hex{0}, result: 2},
		},
		fields: []field{{quantity: sensors.Temperature.Within(-55, 150), kind: "be:s16/16>>0", scale: 1.0 / 128, notReady: []int64{-0x8000}}}, // section 7.6.2
	}},
}

func init() { tmp117.register() }
