package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the AHT20's data sheet; the AHT10 has no checksum and
// another command to begin with.
var aht20 = family{
	name:         "aht20",
	summary:      "Aosong AHT20, AHT21, AHT25, DHT20, AM2301B and AHT10: temperature -40 to 85 °C (±0.3 °C), humidity 0 to 100 % (±2 %)",
	datasheet:    "Aosong AHT20, version 1.1; DHT20, version 1.0; AHT10, version 1.1",
	wiring:       "I2C at 3.3 V; 0x38, an AHT10 also 0x39",
	timing:       "80 ms, and 100 ms more after power-up: one measurement, then the chip idles",
	kernel:       "aht10 (hwmon); dtoverlay=i2c-sensor,aht10 or aht20",
	unverifiable: "one answer of random bytes in 256 has a good checksum, of an AHT20; an AHT10 has none, and its answer is read twice",
	addresses:    []string{"0x38", "0x39"},
	modelHelp:    "which it is: aht20 has a checksum, and is also AHT21, AHT25, DHT20 and AM2301B; aht10 has none, and is also AHT15",
	aliases: map[string]string{"aht21": "aht20", "aht25": "aht20", "dht20": "aht20", "am2301b": "aht20",
		"aht10": "aht10", "aht15": "aht10"},
	models: []chip{
		aht20Chip("aht20", "AHT20", []string{"0x38"}, 0xbe, &checksum{poly: 0x31, init: 0xff, every: 6}),
		aht20Chip("aht10", "AHT10", nil, 0xe1, nil),
	},
}

func init() { aht20.register() }

// aht20Chip is begun with a command of its own, section 5.4.
func aht20Chip(name, part string, addresses []string, begin byte, sum *checksum) chip {
	const busy, calibrated = 0x80, 0x08 // of the status, table 10
	return chip{
		name: name, part: part, addresses: addresses,
		startup: 100 * time.Millisecond, sum: sum, commands: true,
		prepare: []step{{write: hex{begin, 0x08, 0x00}, wait: 10 * time.Millisecond}},
		measure: []step{
			{write: hex{0xac, 0x33, 0x00}},
			// Idle it reads as when it has just measured: so it must be seen busy.
			{status: 1, plain: true, begun: true, must: []test{{mask: busy, is: busy, says: "no measurement was begun"}}},
			{wait: 80 * time.Millisecond},
			{status: 1, plain: true, until: &until{mask: busy, within: 80 * time.Millisecond, every: 10 * time.Millisecond}},
			{result: 6, must: []test{{mask: (busy | calibrated) << 40, is: calibrated << 40, reason: sensors.NotReady, says: "the chip isn't calibrated or still busy: it was reset, or is broken"}}},
		},
		fields: []field{ // section 6
			{quantity: sensors.Humidity, at: 1, kind: "be:u20/24>>4", scale: 1.0 / (1 << 20)},
			{quantity: sensors.Temperature.Within(-40, 85), at: 3, kind: "be:u20/24>>0", scale: 200.0 / (1 << 20), offset: -50},
		},
	}
}
