package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections and tables are those of the SHT4x data sheet, version 6.
var sht4x = family{
	name:      "sht4x",
	summary:   "Sensirion SHT40, SHT41, SHT43, SHT45: temperature -40 to 125 °C (±0.1 to ±0.2 °C), humidity 0 to 100 % (±1 to ±1.8 %)",
	datasheet: "Sensirion SHT4x, version 6 (February 2023)",
	wiring:    "I2C at 3.3 V; the address is in the part's name: A is 0x44, B 0x45, C 0x46",
	timing:    "8.3 ms at high precision, 4.5 ms at medium, 1.7 ms at low; the chip idles in between and its heater stays off",
	addresses: []string{"0x44", "0x45", "0x46"}, // section 4.1
	aliases:   map[string]string{"sht40": "", "sht41": "", "sht43": "", "sht45": ""},
	models: []chip{{
		part:     "SHT4x",
		startup:  time.Millisecond, // section 3.2, power-up time
		sum:      sensirion,        // section 4.4
		commands: true,
		// There is no ID register; a serial number with good checksums is what
		// only this family answers to one byte.
		identity: []identity{{step: step{write: hex{0x89}, wait: time.Millisecond, status: 4}, serial: true, by: "serial number with its checksums, command 0x89"}},
		settings: []setting{{
			name: "precision", unset: "high",
			help: "repeatability: high is ±0.04 °C and ±0.08 %, low is three times that in a fifth of the time",
			values: []value{ // section 4.5, table 8, and the longest times of section 3.2
				{name: "high", bits: 0xfd, time: 8300 * time.Microsecond},
				{name: "medium", bits: 0xf6, time: 4500 * time.Microsecond},
				{name: "low", bits: 0xe0, time: 1700 * time.Microsecond},
			},
		}},
		// Until its answer is ready the chip doesn't acknowledge its address:
		// section 4.2.
		measure: []step{{write: hex{0x00}, with: []string{"precision"}, times: []string{"precision"}, result: 4, patience: 10 * time.Millisecond}},
		fields: []field{ // section 4.6
			{quantity: sensors.Temperature.Within(-40, 125), kind: "be:u16/16>>0", scale: 175.0 / 65535, offset: -45},
			{quantity: overshoot, at: 2, kind: "be:u16/16>>0", scale: 1.25 / 65535, offset: -0.06, clamp: wet},
		},
	}},
}

func init() { sht4x.register() }

// overshoot is the humidity of chips whose formula reaches beyond 0 and 100 %.
// Their data sheets let such a value be limited to the ends and don't say how
// far it goes: more than 5 % beyond is no measurement.
var (
	overshoot = sensors.Humidity.Within(-0.05, 1.05)
	wet       = &sensors.Range{Min: 0, Max: 1}
)
