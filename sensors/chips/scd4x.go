package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// Commands are named as in the data sheet. An SCD40 has no
// single shot, so it is left measuring. An SCD41 idles between measurements and
// isn't powered down: the first measurement after power-down is to be discarded
// (power-cycled single shot).
var scd4x = family{
	name:      "scd4x",
	summary:   "Sensirion SCD41: carbon dioxide 400 to 5000 ppm (±50 ppm ±5 %), temperature -10 to 60 °C (±0.8 °C), humidity 0 to 95 % (±6 %); SCD40: to 2000 ppm",
	datasheet: "Sensirion SCD4x, version 1",
	wiring:    "I2C at 3.3 V; 0x62; up to 205 mA for a moment",
	timing:    "SCD41 5 s: a single shot, then the chip idles; SCD40 at most 6 s until the next result: it measures continuously, once in 5 s",
	kernel:    "scd4x (iio), which measures continuously; dtoverlay=i2c-sensor,scd4x",
	addresses: []string{"0x62"},
	modelHelp: "which it is: scd41 measures on demand, scd40 measures continuously only",
	aliases:   map[string]string{"scd40": "scd40", "scd41": "scd41"},
	models: []chip{
		scd4xChip("scd41", "SCD41", nil, []step{{write: hex{0x21, 0x9d}, wait: 5 * time.Second}, scd4xReady(500 * time.Millisecond)}), // measure_single_shot
		scd4xChip("scd40", "SCD40", []step{{write: hex{0x21, 0xb1}}}, []step{scd4xReady(6 * time.Second)}),                            // start_periodic_measurement
	},
}

func init() { scd4x.register() }

// scd4xReady waits for a result that wasn't read yet: get_data_ready_status.
func scd4xReady(within time.Duration) step {
	return step{
		write: hex{0xe4, 0xb8}, wait: time.Millisecond, status: 2,
		until: &until{mask: 0x07ff, not: true, within: within, every: 100 * time.Millisecond},
	}
}

func scd4xChip(name, part string, prepare, measure []step) chip {
	return chip{
		name: name, part: part,
		startup: time.Second, // time after power-up
		sum:     sensirion, commands: true,
		release:  []step{{write: hex{0x3f, 0x86}, wait: 500 * time.Millisecond}},                                                                                            // stop_periodic_measurement
		identity: []identity{{step: step{write: hex{0x36, 0x82}, wait: time.Millisecond, status: 6}, serial: true, by: "serial number with its checksums, command 0x3682"}}, // get_serial_number
		prepare:  prepare,
		measure: append(measure, step{ // read_measurement
			write: hex{0xec, 0x05}, wait: time.Millisecond, result: 6,
			must: []test{{mask: 0xffff << 32, not: true, reason: sensors.NotReady, says: "carbon dioxide wasn't measured: another program had the chip measure temperature and humidity alone"}},
		}),
		fields: []field{
			{quantity: sensors.CarbonDioxide.Within(0, 40000), kind: "be:u16/16>>0"},
			{quantity: sensors.Temperature.Within(-10, 60), at: 2, kind: "be:u16/16>>0", scale: 175.0 / 65535, offset: -45},
			{quantity: sensors.Humidity, at: 4, kind: "be:u16/16>>0", scale: 1.0 / 65535},
		},
	}
}
