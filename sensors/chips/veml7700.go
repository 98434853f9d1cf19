package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the data sheet of the VEML7700; they hold words, the
// low byte first. The resolutions are those of its revisions with 0.0036 lx at
// 800 ms and gain 2 (application note 84323, "available resolution"), which the
// VEML6030 shares; newer revisions say 0.0042 lx.
var veml7700 = family{
	name:      "veml7700",
	summary:   "Vishay VEML7700, VEML6030: illuminance 0 to 120000 lx, 0.0036 lx the finest step",
	datasheet: "Vishay 84286 (VEML7700), 84366 (VEML6030); application note 84323",
	wiring:    "I2C at 3.3 V; a VEML7700 has 0x10, a VEML6030 0x10 with ADDR to ground and 0x48 to the supply",
	timing:    "40 ms to 1 s by the range, and as much again for each change of it with range=auto: one integration, then the chip is shut down",
	kernel:    "veml6030 (iio), which measures for ever; dtoverlay=i2c-sensor,veml6030",
	addresses: []string{"0x10", "0x48"},
	aliases:   map[string]string{"veml6030": ""},
	models: []chip{{
		part: "VEML7700",
		settings: []setting{{
			name: "range", unset: automatic, help: "the brightest light that can be told, which sets the resolution (1.8, 0.46, 0.058, 0.0036 lx) and the time. Newer revisions of the data sheet say a sixth more: calibrate.scale=1.1667",
			// ALS_CONF, its low byte first: bits 12 and 11 are the gain, 9 to 6 the
			// integration time. The oscillator may be a quarter slow.
			values: []value{
				{name: "120klx", bits: 0x0013, time: 32 * time.Millisecond, scale: 1.8432},  // gain 1/8, 25 ms
				{name: "30klx", bits: 0x0010, time: 125 * time.Millisecond, scale: 0.4608},  // gain 1/8, 100 ms
				{name: "3700lx", bits: 0x0000, time: 125 * time.Millisecond, scale: 0.0576}, // gain 1, 100 ms
				{name: "230lx", bits: 0xc008, time: time.Second, scale: 0.0036},             // gain 2, 800 ms
			},
			auto: &auto{kind: "le:u16/16>>0", low: 3500, high: 60000},
		}},
		measure: []step{
			{write: hex{0x00, 0x11, 0x00}}, // shut down: what another program began is ended
			{set: hex{0x03, 0x00, 0x00}},   // PSM: no power saving, which would measure more slowly
			// The persistence of an interrupt that is off is set, so that a reset or a
			// stuck bus shows.
			{set: hex{0x00, 0x10, 0x00}, with: []string{"range"}},
			{wait: 5 * time.Millisecond, times: []string{"range"}}, // 2.5 ms to wake up
			{write: hex{0x04}, result: 2},                          // ALS
		},
		sleep:  []step{{set: hex{0x00, 0x11, 0x00}}},
		fields: []field{{quantity: sensors.Illuminance.Within(0, 150000)}},
		decode: veml7700Decode,
	}},
}

func init() { veml7700.register() }

// veml7700Decode corrects what is brighter than 1000 lx at gain 1/8: application
// note 84323, "illumination > 1000 lx".
func veml7700Decode(f *frame) error {
	raw := binary.LittleEndian.Uint16(f.data)
	if raw == math.MaxUint16 {
		return sensors.Errorf(sensors.OutOfRange, "the light is beyond what this range can tell: take another range or auto, or shade it")
	}
	v := f.chip.settings[0].values[f.chosen["range"]]
	lux := float64(raw) * v.scale
	if v.scale > 0.4 && lux > 1000 {
		lux = (((6.0135e-13*lux-9.3924e-9)*lux+8.1488e-5)*lux + 1.0023) * lux
	}
	f.values[0] = lux
	return nil
}
