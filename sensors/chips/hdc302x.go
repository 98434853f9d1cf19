package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of TI's data sheet of the HDC302x.
var hdc302x = family{
	name:      "hdc302x",
	summary:   "TI HDC3020, HDC3021, HDC3022: temperature -40 to 125 °C (±0.1 °C), humidity 0 to 100 % (±1.5 %)",
	datasheet: "TI SNAS778 (HDC302x)",
	wiring:    "I2C at 3.3 V; ADDR and ADDR1 to ground are 0x44, ADDR to the supply adds 1, ADDR1 to the supply 2",
	timing:    "15 ms at the lowest noise, 4.5 ms at the least power: then the chip idles, its heater off",
	kernel:    "hdc3020 (iio); dtoverlay=i2c-sensor,hdc3020",
	addresses: []string{"0x44", "0x45", "0x46", "0x47"},
	aliases:   map[string]string{"hdc3020": "", "hdc3021": "", "hdc3022": ""},
	models: []chip{{
		part:    "HDC302x",
		startup: 5 * time.Millisecond, // section 6.5, sensor ready after power-up
		sum:     sensirion, commands: true,
		release: []step{sensirionBreak},
		identity: []identity{ // section 7.5.5, manufacturer and NIST ID
			{step: step{write: hex{0x37, 0x81}, status: 2}, is: []part{{value: 0x3000}}, by: "manufacturer ID 0x3000 with its checksum, command 0x3781"},
			{step: step{write: hex{0x36, 0x83}, status: 2}, serial: true},
			{step: step{write: hex{0x36, 0x84}, status: 2}, serial: true},
			{step: step{write: hex{0x36, 0x85}, status: 2}, serial: true},
		},
		prepare: []step{sensirionHeaterOff},
		settings: []setting{{
			name: "precision", unset: "high", help: "high is the least noise (low-power mode 0), low the least power (mode 3)",
			values: []value{ // section 7.5.4; the times are typical there, and a fifth longer here
				{name: "high", bits: 0x00, time: 15 * time.Millisecond},
				{name: "medium", bits: 0x0b, time: 9 * time.Millisecond},
				{name: "low", bits: 0xff, time: 4500 * time.Microsecond},
			},
		}},
		measure: []step{
			{write: hex{0x24, 0x00}, with: []string{"precision"}, times: []string{"precision"}, result: 4, patience: 10 * time.Millisecond},
			sensirionHeater,
		},
		fields: []field{ // section 7.3.3
			sht3xTemperature,
			{quantity: sensors.Humidity, at: 2, kind: "be:u16/16>>0", scale: 1.0 / 65535},
		},
	}},
}

func init() { hdc302x.register() }
