package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// The three makers' chips have one set of commands: TE's data sheet of the
// HTU21D(F), Sensirion's of the SHT21 (section 5), Silicon Labs' of the Si7021
// (section 5.1). Only measurements without clock stretching are used.
var htu21d = family{
	name:         "htu21d",
	summary:      "TE HTU20D, HTU21D; Sensirion SHT20, SHT21, SHT25; Silicon Labs Si7006, Si7013, Si7020, Si7021: temperature -40 to 125 °C (±0.3 °C), humidity 0 to 100 % (±2 to ±3 %)",
	datasheet:    "TE HPC199_6 (HTU21D(F)); Sensirion SHT21, version 4 (May 2014); Silicon Labs Si7021-A20, revision 1.2",
	wiring:       "I2C at 3.3 V; a Si7013 with AD0 to the supply has 0x41, all others 0x40",
	timing:       "HTU21D 66 ms, SHT2x 114 ms, Si70xx 23 ms: one measurement of each, then the chip idles, its heater off",
	kernel:       "sht21 (hwmon), htu21 and si7020 (iio; si7020 stretches the clock, and neither checks what it reads)",
	unverifiable: "one answer of random bytes in 256 has a good checksum",
	addresses:    []string{"0x40", "0x41"},
	modelHelp:    "which it is, for its times: htu21d is also HTU20D, sht2x SHT20, SHT21 and SHT25, si7021 all Si70xx",
	aliases: map[string]string{"htu20d": "htu21d", "htu21": "htu21d", "sht20": "sht2x", "sht21": "sht2x", "sht25": "sht2x", "sht2x": "sht2x",
		"si7006": "si7021", "si7013": "si7021", "si7020": "si7021", "si7021": "si7021"},
	models: []chip{
		htu21dChip("htu21d", "HTU21D", 15*time.Millisecond, 50*time.Millisecond, 16*time.Millisecond),
		htu21dChip("sht2x", "SHT2x", 15*time.Millisecond, 85*time.Millisecond, 29*time.Millisecond),
		// A Si7021's humidity takes the time of a temperature, too.
		htu21dChip("si7021", "Si7021", 80*time.Millisecond, 10800*time.Microsecond, 22800*time.Microsecond),
	},
}

func init() { htu21d.register() }

// htu21dChip has the longest times of power-up and of both measurements, at 14
// and 12 bits.
func htu21dChip(name, title string, startup, temperature, humidity time.Duration) chip {
	// Bit 1 of a result tells which it is; the two lowest aren't part of it.
	kind := func(is uint64, what string) []test {
		return []test{{mask: 2, is: is, reason: sensors.Busy, says: "it isn't a " + what + ": another program uses the chip"}}
	}
	return chip{
		name: name, part: title,
		startup: startup, sum: &checksum{poly: 0x31, init: 0x00, every: 2}, commands: true,
		// A reset restores the resolution, but not the heater's state.
		release: []step{{write: hex{0xfe}, wait: 15 * time.Millisecond}},
		// At 0x40 there may be a PCA9685, to which the question for the serial
		// number would be an order to its servos; so a scan asks for a temperature.
		identity: []identity{
			{step: step{write: hex{0xf3}, wait: temperature, status: 2, patience: 40 * time.Millisecond, must: kind(0, "temperature")}, serial: true, unnumbered: true, probe: true,
				by: "a temperature with its checksum, command 0xF3"},
			// What another program may ask for, so that its answer is no result; an
			// SHT2x has none.
			{step: step{write: hex{0xfc, 0xc9}, status: 2}, serial: true, unnumbered: true, elective: true},
		},
		// The user register: full resolution, the heater off, and the supply not
		// below 2.25 V. Its other bits are reserved.
		prepare: []step{{set: hex{0xe6, 0x00}, from: hex{0xe7}, mask: 0xc5, merge: true, plain: true}},
		measure: []step{
			{write: hex{0xf3}, wait: temperature, result: 2, patience: 40 * time.Millisecond, must: kind(0, "temperature")},
			{write: hex{0xf5}, wait: humidity, result: 2, patience: 40 * time.Millisecond, must: kind(2, "humidity")},
		},
		fields: []field{
			{quantity: sensors.Temperature.Within(-40, 125), kind: "be:u14/16>>2", scale: 175.72 / 16384, offset: -46.85},
			{quantity: overshoot, at: 2, kind: "be:u14/16>>2", scale: 1.25 / 16384, offset: -0.06, clamp: wet},
		},
	}
}
