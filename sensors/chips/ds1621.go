package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Commands are those of the DS1621's data sheet, table 3.
var ds1621 = family{
	name:      "ds1621",
	summary:   "Maxim DS1621: temperature -55 to 125 °C (±0.5 °C from 0 to 70 °C), in steps of 0.5 °C",
	datasheet: "Maxim 19-7540 (DS1621)",
	wiring:    "I2C at 3.3 V; A2 to A0 to the supply add 4, 2 and 1 to 0x48",
	timing:    "1 s: one conversion, then the chip idles. If its EEPROM sets it to convert continuously, that is changed to one conversion, permanently",
	kernel:    "ds1621 (hwmon), which converts continuously; dtoverlay=i2c-sensor,ds1621",
	addresses: lm75Addresses,
	models: []chip{{
		part: "DS1621",
		prepare: []step{
			{write: hex{0x22}}, // stop what another program began
			{set: hex{0xac, 0x01}, mask: 0x01, merge: true, wait: 10 * time.Millisecond}, // 1SHOT
		},
		measure: []step{
			{write: hex{0xee}},
			// DONE is 0 during the conversion.
			{write: hex{0xac}, status: 1, begun: true, must: []test{{mask: 0x80, says: "no conversion was begun"}}},
			{wait: time.Second}, // t_TC
			{write: hex{0xac}, status: 1, until: &until{mask: 0x80, is: 0x80, within: 500 * time.Millisecond, every: 50 * time.Millisecond}},
			{write: hex{0xaa}, result: 2, must: []test{{mask: 0x007f, says: "it has more than 9 bits: the chip is no DS1621"}}},
		},
		// A chip that has measured nothing since power-up reads -60 °C.
		fields: []field{{quantity: sensors.Temperature.Within(-55, 125), kind: "be:s9/16>>7", scale: 0.5, notReady: []int64{-120}}},
	}},
}

func init() { ds1621.register() }
