package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the TSL2591's data sheet; 0xa0 is or-ed to their
// numbers.
var tsl2591 = family{
	name:      "tsl2591",
	summary:   "ams TSL2591: illuminance 0.0002 to 88000 lx, from visible and infrared light",
	datasheet: "ams DS000338 (TSL2591), which gives no lux; the formula is that of the kernel's driver and of Adafruit's Arduino library, device factor 408",
	wiring:    "I2C at 3.3 V; 0x29",
	timing:    "110 ms, and as much again for each change of the gain with gain=auto: one integration of 100 ms, then the chip is powered down",
	kernel:    "tsl2591 (iio)",
	addresses: []string{"0x29"},
	models: []chip{{
		part: "TSL2591",
		identity: []identity{{
			step: step{write: hex{0xb2}, status: 1}, is: []part{{value: 0x50}}, by: "ID register 0x12 reads 0x50", // ID
			looks: map[uint64]string{0x44: "a TCS34725", 0x4d: "a TCS34727"},
		}},
		settings: []setting{{
			name: "gain", unset: automatic, help: "1 for sunlight, 25 for rooms, 428 and 9876 for the dark",
			values: []value{ // CONTROL: AGAIN, and 100 ms
				{name: "1", bits: 0x00, scale: 4.08},
				{name: "25", bits: 0x10, scale: 4.08 / 25},
				{name: "428", bits: 0x20, scale: 4.08 / 428},
				{name: "9876", bits: 0x30, scale: 4.08 / 9876},
			},
			auto: &auto{kind: "le:u16/16>>0", low: 1000, high: 33000},
		}},
		measure: []step{
			{write: hex{0xa0, 0x00}}, // ENABLE: what another program began is ended
			{set: hex{0xa1, 0x00}, mask: 0x37, with: []string{"gain"}},
			{set: hex{0xa0, 0x03}},
			{wait: 108 * time.Millisecond}, // the longest of "ADC integration time step size"
			{write: hex{0xb3}, status: 1, until: &until{mask: 0x01, is: 0x01, within: 40 * time.Millisecond, every: 5 * time.Millisecond}}, // STATUS: AVALID
			{write: hex{0xb4}, result: 4}, // C0DATA, C1DATA
		},
		sleep:  []step{{write: hex{0xa0, 0x00}}},
		fields: []field{{quantity: sensors.Illuminance.Within(0, 90000)}},
		decode: tsl2591Decode,
	}},
}

func init() { tsl2591.register() }

// tsl2591Most is the most that an integration of 100 ms can count: "max ADC
// count" in the table of characteristics.
const tsl2591Most = 36863

// tsl2591Dark is what both photodiodes count at most in the dark. The infrared one
// may then count more (seen with full 0 and infrared 1: pull request 42 of
// Adafruit's Arduino library), and that is no error but night.
const tsl2591Dark = 20

func tsl2591Decode(f *frame) error {
	all, infrared := binary.LittleEndian.Uint16(f.data), binary.LittleEndian.Uint16(f.data[2:])
	switch {
	case all >= tsl2591Most || infrared >= tsl2591Most:
		return sensors.Errorf(sensors.OutOfRange, "the light is beyond what this gain can tell: take a smaller gain or auto, or shade it")
	case infrared > all && infrared > tsl2591Dark:
		return sensors.Errorf(sensors.OutOfRange, "more infrared light (%d) than light at all (%d): the formula knows no such light", infrared, all)
	case infrared >= all:
		f.values[0] = 0
		return nil
	}
	ch0, ch1 := float64(all), float64(infrared)
	f.values[0] = (ch0 - ch1) * (1 - ch1/ch0) * f.chip.settings[0].values[f.chosen["gain"]].scale
	return nil
}
