package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// The instruction set is on page 5 of the data sheet, the measuring times on
// page 2.
var bh1750 = family{
	name:         "bh1750",
	summary:      "Rohm BH1750FVI: illuminance 0 to 54612 lx (±20 %)",
	datasheet:    "Rohm BH1750FVI, revision D (November 2011)",
	wiring:       "I2C at 3.3 V; ADDR to ground is 0x23, to the supply 0x5c",
	timing:       "180 ms at resolution high and high2, 24 ms at low: one measurement, then the chip is powered down",
	addresses:    []string{"0x23", "0x5c"}, // page 10
	aliases:      map[string]string{"gy-30": "", "gy-302": ""},
	unverifiable: "the chip has no ID, no checksum and nothing that can be read back: one flipped bit of a command halves or doubles the value, scales it by another measuring time, or leaves the previous one; and a chip that loses its supply during each measurement reads 0 lx, as in the dark",
	models: []chip{{
		part:     "BH1750",
		commands: true,
		settings: []setting{{
			name: "resolution", unset: "high", help: "high is 1 lx, high2 0.5 lx up to 27306 lx, low 4 lx in a seventh of the time",
			values: []value{ // "one time" measurements
				{name: "high", bits: 0x20, time: 180 * time.Millisecond, scale: 1, advice: "shade it"},
				{name: "high2", bits: 0x21, time: 180 * time.Millisecond, scale: 0.5, advice: "give it resolution=high"},
				{name: "low", bits: 0x23, time: 24 * time.Millisecond, scale: 1, advice: "shade it"},
			},
		}},
		// Nothing tells whether a command was heard, so each is given twice. The
		// chip powers down by itself after the measurement, and holds the result. Power
		// on, and the usual measuring time, 69: another one scales what is counted
		// (page 11), and the chip keeps it, whether another program has set it or a bit
		// that was disturbed.
		wake: []step{{write: hex{0x01}}, {write: hex{0x01}}, {write: hex{0x42}}, {write: hex{0x65}}, {write: hex{0x42}}, {write: hex{0x65}}},
		measure: []step{
			{write: hex{0x00}, with: []string{"resolution"}},
			{write: hex{0x00}, with: []string{"resolution"}, times: []string{"resolution"}, result: 2},
		},
		fields: []field{{ // page 7
			quantity: sensors.Illuminance.Within(0, 54612.5), kind: "be:u16/16>>0", scale: 1 / 1.2, by: []string{"resolution"},
			low: -1, high: 0xffff, says: "the light is beyond the range of resolution={resolution}",
		}},
		sleep: []step{{write: hex{0x00}}}, // where a measurement was broken off
	}},
}

func init() { bh1750.register() }
