package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Tables are those of the ADT7410's data sheet.
var adt7410 = family{
	name:      "adt7410",
	summary:   "Analog Devices ADT7410, ADT7420: temperature -55 to 150 °C (±0.5 °C; ADT7420 ±0.25 °C)",
	datasheet: "Analog Devices ADT7410, revision C; ADT7420, revision A",
	wiring:    "I2C at 3.3 V; A0 and A1 to the supply add 1 and 2 to 0x48",
	timing:    "240 ms: one shot of 16 bits, then the chip is shut down",
	kernel:    "adt7410 (hwmon), which converts continuously; dtoverlay=i2c-sensor,adt7410",
	addresses: []string{"0x48", "0x49", "0x4a", "0x4b"},
	aliases:   map[string]string{"adt7420": ""},
	models: []chip{{
		part:     "ADT7410",
		identity: []identity{{step: step{write: hex{0x0b}, status: 1}, mask: 0xf8, is: []part{{value: 0xc8}}, by: "register 0x0B reads 0xC8 under the mask 0xF8"}}, // table 17
		measure: []step{
			// 16 bits, one shot: table 11. What the mode then reads isn't documented.
			{set: hex{3, 0xa0}, mask: 0x9f},
			// The highest bit of the status is 1 during the conversion: table 10.
			{write: hex{2}, status: 1, begun: true, must: []test{{mask: 0x80, is: 0x80, says: "no conversion was begun"}}},
			{wait: 240 * time.Millisecond},
			{write: hex{2}, status: 1, until: &until{mask: 0x80, within: 100 * time.Millisecond, every: 10 * time.Millisecond}},
			{write: hex{0}, result: 2},
		},
		fields: []field{{quantity: sensors.Temperature.Within(-55, 150), kind: "be:s16/16>>0", scale: 1.0 / 128}}, // table 5
	}},
}

func init() { adt7410.register() }
