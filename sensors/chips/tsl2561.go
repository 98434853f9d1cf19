package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the TSL2561's data sheet; bit 7 of what is written
// first says that a register follows, bit 5 that two bytes are read.
var tsl2561 = family{
	name:      "tsl2561",
	summary:   "TAOS or ams TSL2561: illuminance 0 to 40000 lx, from visible and infrared light",
	datasheet: "TAOS059N (TSL2560, TSL2561)",
	wiring:    "I2C at 3.3 V; ADDR to ground is 0x29, open 0x39, to the supply 0x49",
	timing:    "430 ms, and as much again where gain=auto changes the gain: one integration, then the chip is powered down",
	kernel:    "tsl2563 (iio)",
	addresses: []string{"0x39", "0x29", "0x49"},
	modelHelp: "its package: t is T, FN and CL, as on most boards, cs the chip-scale package",
	models: []chip{
		tsl2561Chip("t", "TSL2561", tsl2561Decode([4][3]float64{{0.50, 0.0304, 0.062}, {0.61, 0.0224, 0.031}, {0.80, 0.0128, 0.0153}, {1.30, 0.00146, 0.00112}})),
		tsl2561Chip("cs", "TSL2561CS", tsl2561Decode([4][3]float64{{0.52, 0.0315, 0.0593}, {0.65, 0.0229, 0.0291}, {0.80, 0.0157, 0.0180}, {1.30, 0.00338, 0.00260}})),
	},
}

func init() { tsl2561.register() }

func tsl2561Chip(name, title string, decode func(*frame) error) chip {
	return chip{
		name: name, part: title,
		identity: []identity{
			// ID: the part's number; boards have both.
			{step: step{write: hex{0x8a}, status: 1}, mask: 0xf0, is: []part{{value: 0x50}, {value: 0x10}}, by: "ID register 0x0A reads 0x5x or 0x1x; for a scan also the reserved bits of TIMING are 0"},
			// That is little for a scan to tell the chip from any other by: so it also
			// asks for the reserved bits of TIMING.
			{step: step{write: hex{0x81}, status: 1}, mask: 0xe4, is: []part{{value: 0}}, probe: true},
		},
		settings: []setting{{
			name: "gain", unset: automatic, help: "1 for bright light, 16 for less than 1000 lx",
			values: []value{{name: "1", bits: 0x00, scale: 16}, {name: "16", bits: 0x10, scale: 1}}, // TIMING
			auto:   &auto{kind: "le:u16/16>>0", low: 2000, high: 60000},
		}},
		measure: []step{
			{write: hex{0x80, 0x00}}, // CONTROL: what another program began is ended
			{set: hex{0x81, 0x02}, mask: 0x1b, with: []string{"gain"}},
			{set: hex{0x80, 0x03}, mask: 0x03},
			{wait: 430 * time.Millisecond}, // 402 ms at 735 kHz, and its oscillator has at least 690 kHz
			{write: hex{0xac}, result: 2},  // DATA0
			{write: hex{0xae}, result: 2},  // DATA1
		},
		sleep:  []step{{write: hex{0x80, 0x00}}},
		fields: []field{{quantity: sensors.Illuminance.Within(0, 40000)}},
		decode: decode,
	}
}

// tsl2561Decode is the data sheet's approximation of the eye, for 402 ms and
// gain 16. Each piece has the ratio of infrared to all light up to which it is
// valid, and the weights of both; in the first piece the ratio has an exponent.
func tsl2561Decode(pieces [4][3]float64) func(*frame) error {
	return func(f *frame) error {
		all, infrared := binary.LittleEndian.Uint16(f.data), binary.LittleEndian.Uint16(f.data[2:])
		if all == math.MaxUint16 || infrared == math.MaxUint16 {
			return sensors.Errorf(sensors.OutOfRange, "the light is beyond the range of this gain: take gain=1 or auto, or shade it")
		}
		ch0, ch1 := float64(all), float64(infrared)
		scale := f.chip.settings[0].values[f.chosen["gain"]].scale
		f.values[0] = 0
		for i, p := range pieces {
			if ch1 > p[0]*ch0 || all == 0 {
				continue
			}
			if i == 0 {
				ch1 = ch0 * math.Pow(ch1/ch0, 1.4)
			}
			f.values[0] = scale * (p[1]*ch0 - p[2]*ch1)
			break
		}
		return nil
	}
}
