package chips

import (
	"encoding/binary"
	"math"
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the LTR-559ALS-01's data sheet.
var ltr559 = family{
	name:      "ltr559",
	summary:   "Lite-On LTR-559: illuminance 0.01 to 64000 lx, as on the Enviro+ (its proximity sensor isn't read)",
	datasheet: "Lite-On LTR-559ALS-01, appendix A for the formula",
	wiring:    "I2C at 3.3 V; 0x23",
	timing:    "130 ms, and as much again for each change of the gain with gain=auto: one integration of 100 ms, then standby",
	kernel:    "ltr501 (iio), which computes lux with the coefficients of an LTR-501: another value where infrared is 45 % and more",
	addresses: []string{"0x23"},
	models: []chip{{
		part: "LTR-559", startup: 100 * time.Millisecond,
		identity: []identity{{ // PART_ID without its revision, MANUFAC_ID
			step: step{write: hex{0x86}, status: 2}, mask: 0xf0ff, is: []part{{value: 0x9005}}, by: "registers 0x86 and 0x87 read 0x9x and 0x05",
		}},
		settings: []setting{{
			name: "gain", unset: automatic, help: "1 up to 64000 lx, 96 up to 600 lx",
			values: []value{ // ALS_CONTR
				{name: "1", bits: 0x00, scale: 1},
				{name: "4", bits: 0x08, scale: 1. / 4},
				{name: "48", bits: 0x18, scale: 1. / 48},
				{name: "96", bits: 0x1c, scale: 1. / 96},
			},
			auto: &auto{at: 2, kind: "le:u16/16>>0", low: 4000, high: 60000},
		}},
		measure: []step{
			{write: hex{0x80, 0x00}}, // ALS_CONTR: what another program began is ended
			{set: hex{0x85, 0x01}},   // ALS_MEAS_RATE: 100 ms, and again every 100 ms
			// What was measured before is read, so that ALS_PS_STATUS shows the new one
			// only.
			{write: hex{0x88}, status: 4},
			{write: hex{0x8c}, status: 1, must: []test{{mask: 0x04, is: 0, reason: sensors.Busy, says: "the chip measures, and nobody asked it to: another program uses it"}}},
			{set: hex{0x80, 0x01}, mask: 0x1d, with: []string{"gain"}},
			{wait: 120 * time.Millisecond}, // 10 ms to wake up, and 100 ms
			{write: hex{0x8c}, status: 1, until: &until{mask: 0x84, is: 0x04, within: 100 * time.Millisecond, every: 5 * time.Millisecond}},
			{write: hex{0x88}, result: 4}, // ALS_DATA_CH1, ALS_DATA_CH0
		},
		sleep:  []step{{write: hex{0x80, 0x00}}},
		fields: []field{{quantity: sensors.Illuminance.Within(0, 150_000)}},
		decode: ltr559Decode,
	}},
}

func init() { ltr559.register() }

// ltr559Decode is the formula of appendix A, for 100 ms: the share of infrared
// light tells the kind of lamp.
func ltr559Decode(f *frame) error {
	infrared, all := binary.LittleEndian.Uint16(f.data), binary.LittleEndian.Uint16(f.data[2:])
	if all == math.MaxUint16 || infrared == math.MaxUint16 {
		return sensors.Errorf(sensors.OutOfRange, "the light is beyond what this gain can tell: take a smaller gain or auto, or shade it")
	}
	ch0, ch1 := float64(all), float64(infrared)
	var lux float64
	switch share := ch1 / (ch0 + ch1); {
	case ch0+ch1 == 0 || share >= 0.85:
	case share >= 0.64:
		lux = 0.5926*ch0 + 0.1185*ch1
	case share >= 0.45:
		lux = 4.2785*ch0 - 1.9548*ch1
	default:
		lux = 1.7743*ch0 + 1.1059*ch1
	}
	f.values[0] = lux * f.chip.settings[0].values[f.chosen["gain"]].scale
	return nil
}
