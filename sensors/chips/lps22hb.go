package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the data sheets.
var lps22hb = family{
	name:      "lps22hb",
	summary:   "ST LPS22HB, LPS25H: pressure 260 to 1260 hPa (±1 hPa), temperature of the chip -40 to 85 °C (±1.5 °C; LPS25H ±2 °C)",
	datasheet: "ST DocID027083 (LPS22HB); DocID023722 (LPS25H)",
	wiring:    "I2C at 3.3 V, CS to the supply; SA0 to ground is 0x5c, to the supply 0x5d",
	timing:    "LPS22HB 14 ms, LPS25H 40 ms: one shot, then the chip is powered down",
	kernel:    "st_pressure (iio), which measures continuously",
	addresses: []string{"0x5c", "0x5d"},
	modelHelp: "which it is",
	aliases:   map[string]string{"lps25h": "lps25h"},
	models: []chip{
		{
			name: "lps22hb", part: "LPS22HB", startup: 5 * time.Millisecond, // BOOT takes 2.2 ms
			identity: []identity{{ // WHO_AM_I
				step: step{write: hex{0x0f}, status: 1}, is: []part{{value: 0xb1}}, by: "LPS22HB: register 0x0F reads 0xB1; LPS25H: 0xBD",
				looks: map[uint64]string{0xbd: "an LPS25H (give model=lps25h)", 0xb3: "an LPS22HH", 0xb4: "an LPS22DF"},
			}},
			measure: []step{
				// Powered down but for one shots, no filter, no update between two reads:
				// CTRL_REG1.
				{set: hex{0x10, 0x02}},
				{write: hex{0x11, 0x11}}, // one shot; the address counts on: CTRL_REG2
				{write: hex{0x11}, status: 1, begun: true, must: []test{{is: 0x11, says: stNotBegun}}},
				{wait: 14 * time.Millisecond}, // the period of its fastest rate, 75 Hz
				{write: hex{0x11}, status: 1, until: stDone},
				stStatus,
				{write: hex{0x28}, result: 5}, // PRESS_OUT and TEMP_OUT
			},
			fields: []field{
				lpsPressure,
				{quantity: sensors.Temperature.Within(-40, 85), at: 3, kind: "le:s16/16>>0", scale: 0.01},
			},
		},
		{
			name: "lps25h", part: "LPS25H", startup: 5 * time.Millisecond,
			identity: []identity{{ // WHO_AM_I
				step: step{write: hex{0x0f}, status: 1}, is: []part{{value: 0xbd}},
				looks: map[uint64]string{0xb1: "an LPS22HB (give model=lps22hb)"},
			}},
			measure: stOneShot(40*time.Millisecond, 5), // the period of its fastest rate, 25 Hz
			sleep:   stOff,
			fields: []field{
				lpsPressure,
				{quantity: sensors.Temperature.Within(-40, 85), at: 3, kind: "le:s16/16>>0", scale: 1.0 / 480, offset: 42.5},
			},
		},
	},
}

func init() { lps22hb.register() }

// lpsPressure is in 1/4096 hPa.
var lpsPressure = field{quantity: sensors.Pressure.Within(26_000, 126_000), kind: "le:s24/24>>0", scale: 100.0 / 4096}

// What ST's chips have in common.
const (
	stNotBegun = "no measurement was begun"
	stCount    = 0x80 // added to a register: it counts on during a read
)

// stOneShot is a measurement of the chips whose CTRL_REG1 and CTRL_REG2 are 0x20
// and 0x21.
func stOneShot(takes time.Duration, result int) []step {
	return []step{
		{set: hex{0x20, 0x84}},   // awake, one shot, no update between two reads
		{write: hex{0x21, 0x01}}, // one shot, and the heater of an HTS221 off
		{write: hex{0x21}, status: 1, begun: true, must: []test{{is: 0x01, says: stNotBegun}}},
		{wait: takes},
		{write: hex{0x21}, status: 1, until: stDone},
		stStatus,
		{write: hex{0x28 | stCount}, result: result},
	}
}

var (
	stOff = []step{{set: hex{0x20, 0x04}}}
	// stDone waits for ONE_SHOT, which the chip clears at the end.
	stDone = &until{mask: 1, within: 200 * time.Millisecond, every: 2 * time.Millisecond}
	// stStatus asks whether both results are new; to read them clears that.
	stStatus = step{write: hex{0x27}, status: 1, must: []test{{mask: 3, is: 3, reason: sensors.NotReady, says: "nothing was measured: the chip was reset during the measurement, or another program uses it"}}}
)
