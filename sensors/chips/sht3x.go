package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections of the SHT3x are those of its data sheet, version 6; the STS3x has
// the same commands. Sections of the SHTC3 are those of its own, version 3.
var sht3x = family{
	name:         "sht3x",
	summary:      "Sensirion SHT30, SHT31, SHT35, SHT85: temperature -40 to 125 °C (±0.1 to ±0.3 °C), humidity 0 to 100 % (±1.5 to ±3 %); STS3x: temperature alone; SHTC3: both (±0.2 °C, ±2 %)",
	datasheet:    "Sensirion SHT3x-DIS, version 6 (August 2019); STS3x-DIS, version 1 (December 2016); SHTC3, version 3 (August 2019)",
	wiring:       "I2C at 3.3 V; ADDR of an SHT3x to ground is 0x44, to the supply 0x45; of an STS3x 0x4a and 0x4b; an SHTC3 has 0x70",
	timing:       "SHT3x and STS3x 15.5 ms at high precision, 6.5 ms at medium, 4.5 ms at low; SHTC3 12.1 ms at high, 0.8 ms at low: then the chip idles or sleeps, its heater off",
	kernel:       "sht3x and shtc1 (hwmon); dtoverlay=i2c-sensor,sht3x",
	unverifiable: "of an STS3x one answer of random bytes in 256 has a good checksum; the others have two checksums",
	addresses:    []string{"0x44", "0x45", "0x4a", "0x4b", "0x70"},
	modelHelp:    "which it is: sht3x is SHT30, SHT31, SHT35 and SHT85, sts3x STS30, STS31 and STS35",
	aliases: map[string]string{"sht30": "sht3x", "sht31": "sht3x", "sht35": "sht3x", "sht85": "sht3x",
		"sts30": "sts3x", "sts31": "sts3x", "sts35": "sts3x", "sts3x": "sts3x", "shtc3": "shtc3"},
	models: []chip{
		sht3xChip("sht3x", "SHT3x", []string{"0x44", "0x45"}, 4, sht3xTemperature, // section 4.13
			field{quantity: sensors.Humidity, at: 2, kind: "be:u16/16>>0", scale: 1.0 / 65535}),
		sht3xChip("sts3x", "STS3x", []string{"0x4a", "0x4b"}, 2, sht3xTemperature),
		{
			name: "shtc3", part: "SHTC3", addresses: []string{"0x70"},
			startup: 240 * time.Microsecond, // section 3.1, also after a wake-up
			sum:     sensirion, commands: true,
			wake: []step{{write: hex{0x35, 0x17}, wait: 240 * time.Microsecond}}, // section 5.1
			identity: []identity{{ // section 5.9
				step: step{write: hex{0xef, 0xc8}, status: 2}, mask: 0x083f, is: []part{{value: 0x0807}},
				by: "SHTC3: ID 0x0807 under the mask 0x083F with its checksum, command 0xEFC8",
			}},
			settings: []setting{{
				name: "precision", unset: "high", help: sht3xHelp,
				values: []value{ // section 5.3, table 8, without clock stretching, temperature first; times of section 3.1
					{name: "high", bits: 0x7866, time: 12100 * time.Microsecond},
					{name: "low", bits: 0x609c, time: 800 * time.Microsecond},
				},
			}},
			measure: []step{{write: hex{0, 0}, with: []string{"precision"}, times: []string{"precision"}, result: 4, patience: 10 * time.Millisecond}},
			sleep:   []step{{write: hex{0xb0, 0x98}}},
			fields: []field{ // section 5.11
				{quantity: sensors.Temperature.Within(-40, 125), kind: "be:u16/16>>0", scale: 175.0 / 65536, offset: -45},
				{quantity: sensors.Humidity, at: 2, kind: "be:u16/16>>0", scale: 1.0 / 65536},
			},
		},
	},
}

func init() { sht3x.register() }

const sht3xHelp = "repeatability: low takes less time and is less steady"

var sht3xTemperature = field{quantity: sensors.Temperature.Within(-40, 125), kind: "be:u16/16>>0", scale: 175.0 / 65535, offset: -45}

var sht3xSerial = step{write: hex{0x36, 0x82}, wait: time.Millisecond, status: 4}

func sht3xChip(name, part string, addresses []string, size int, fields ...field) chip {
	return chip{
		name: name, part: part, addresses: addresses,
		startup: 1500 * time.Microsecond, // section 2.2, table 4: power-up time
		sum:     sensirion, commands: true,
		release: []step{sensirionBreak}, // section 4.8
		// Electronic Identification Code, Sensirion's application note of that name.
		// Copies of the chip don't know the command (ESPHome, pull request 14224): only
		// a scan depends on it.
		identity: []identity{
			{step: sht3xSerial, serial: true, probe: true, by: "serial number with its checksums, command 0x3682"},
			{step: sht3xSerial, serial: true, elective: true},
		},
		prepare: []step{sensirionHeaterOff},
		settings: []setting{{
			name: "precision", unset: "high", help: sht3xHelp,
			values: []value{ // section 4.3, table 9, without clock stretching; times of table 4
				{name: "high", bits: 0x00, time: 15500 * time.Microsecond},
				{name: "medium", bits: 0x0b, time: 6500 * time.Microsecond},
				{name: "low", bits: 0x16, time: 4500 * time.Microsecond},
			},
		}},
		measure: []step{
			// Until its answer is ready the chip doesn't acknowledge a read: section 4.4.
			{write: hex{0x24, 0x00}, with: []string{"precision"}, times: []string{"precision"}, result: size, patience: 10 * time.Millisecond},
			sensirionHeater,
		},
		fields: fields,
	}
}

// Commands that the SHT3x (sections 4.8, 4.10 and 4.11) and TI's HDC302x have
// in common.
var (
	// sensirionBreak ends periodic measurements, in which no other command is
	// heard.
	sensirionBreak     = step{write: hex{0x30, 0x93}, wait: time.Millisecond}
	sensirionHeaterOff = step{write: hex{0x30, 0x66}}
	sensirionHeater    = step{write: hex{0xf3, 0x2d}, status: 2, must: []test{{mask: 0x2000, reason: sensors.Busy, says: "the chip's heater is on: another program uses it"}}}
)
