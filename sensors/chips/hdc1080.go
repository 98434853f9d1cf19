package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the HDC1080's data sheet; the HDC1000, 1008 and 1010
// differ in their addresses.
var hdc1080 = family{
	name:         "hdc1080",
	summary:      "TI HDC1080, HDC1000, HDC1008, HDC1010: temperature -40 to 125 °C (±0.2 °C), humidity 0 to 100 % (±2 to ±3 %)",
	datasheet:    "TI SNAS672A (HDC1080), SNAS643C (HDC1000), SNAS649 (HDC1008)",
	wiring:       "I2C at 3.3 V; an HDC1080 has 0x40; A0 and A1 of the others add 1 and 2",
	timing:       "30 ms: two measurements of 14 bits, which must agree, since one can't be read twice; then the chip sleeps",
	kernel:       "hdc100x (iio); dtoverlay=i2c-sensor,hdc100x",
	unverifiable: "a result can't be read twice, so it is measured twice: a disturbance within the chip's accuracy, 0.3 °C and 1 %, isn't seen",
	addresses:    []string{"0x40", "0x41", "0x42", "0x43"},
	aliases:      map[string]string{"hdc1000": "", "hdc1008": "", "hdc1010": ""},
	models: []chip{{
		part:    "HDC1080",
		startup: 15 * time.Millisecond, // section 6.6, sleep after power-up
		identity: []identity{ // section 8.6
			{step: step{write: hex{0xfe}, status: 2}, is: []part{{value: 0x5449}}, by: "registers 0xFE and 0xFF read 0x5449 and 0x1050 or 0x1000"},
			{step: step{write: hex{0xff}, status: 2}, is: []part{{0x1050, "HDC1080"}, {0x1000, "HDC1000"}},
				looks: map[uint64]string{0x2260: "an INA226", 0x2270: "an INA260", 0x3220: "an INA3221"}},
		},
		// Both are measured one after the other, at 14 bits, the heater off. Bit 11
		// tells that the supply is below 2.8 V.
		prepare: []step{{set: hex{2, 0x10, 0x00}, mask: 0xf7ff}},
		// To point at the temperature begins; until both are there the chip doesn't
		// acknowledge a read: section 8.5.
		measure: []step{{
			write: hex{0}, wait: 13 * time.Millisecond, result: 4, patience: 15 * time.Millisecond,
			once: "what follows a read isn't documented, and pointing at the register again would start another measurement",
			must: []test{{mask: 0x00030003, says: "it has more than 14 bits: it is no result"}},
		}},
		fields: []field{ // sections 8.6.1 and 8.6.2
			{quantity: sensors.Temperature.Within(-40, 125), kind: "be:u16/16>>0", scale: 165.0 / 65536, offset: -40, notReady: []int64{0}, agree: 0.3},
			{quantity: sensors.Humidity, at: 2, kind: "be:u16/16>>0", scale: 1.0 / 65536, agree: 0.01},
		},
	}},
}

func init() { hdc1080.register() }
