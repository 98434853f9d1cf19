package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the MCP9808's data sheet.
var mcp9808 = family{
	name:      "mcp9808",
	summary:   "Microchip MCP9808: temperature -40 to 125 °C (±0.5 °C, typically ±0.25 °C)",
	datasheet: "Microchip DS25095A (MCP9808)",
	wiring:    "I2C at 3.3 V; A2 to A0 to the supply add 4, 2 and 1 to 0x18",
	timing:    "300 ms at 0.0625 °C: one conversion, then the chip is shut down",
	addresses: []string{"0x18", "0x19", "0x1a", "0x1b", "0x1c", "0x1d", "0x1e", "0x1f"}, // section 3.5
	models: []chip{{
		part: "MCP9808",
		identity: []identity{ // sections 5.1.5 and 5.1.6
			{step: step{write: hex{6}, status: 2}, is: []part{{value: 0x0054}}, by: "registers 0x06 and 0x07 read 0x0054 and 0x04.."},
			{step: step{write: hex{7}, status: 2}, mask: 0xff00, is: []part{{value: 0x0400}}},
		},
		prepare: []step{{set: hex{8, 0x03}}}, // 0.0625 °C: section 5.2.4
		// Awake it converts for ever. The hysteresis of an alert that is off
		// isn't that of power-up, so that a reset shows: section 5.1.1.
		measure: []step{
			{set: hex{1, 0x06, 0x00}},
			{wait: 300 * time.Millisecond}, // t_CONV is 250 ms typically; no maximum is given
			// The three highest bits compare it with the limits: section 5.1.3.
			{write: hex{5}, result: 2},
		},
		sleep:  []step{{set: hex{1, 0x07, 0x00}}}, // shut down
		fields: []field{{quantity: sensors.Temperature.Within(-40, 125), kind: "be:s13/16>>0", scale: 0.0625}},
	}},
}

func init() { mcp9808.register() }
