package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// Registers are named as in the HTS221's data sheet.
var hts221 = family{
	name:      "hts221",
	summary:   "ST HTS221: temperature -40 to 120 °C (±0.5 °C from 15 to 40 °C), humidity 0 to 100 % (±3.5 %)",
	datasheet: "ST DocID026333 (HTS221)",
	wiring:    "I2C at 3.3 V, CS to the supply; 0x5f",
	timing:    "80 ms: one shot, then the chip is powered down",
	kernel:    "hts221 (iio), which measures continuously; dtoverlay=i2c-sensor,hts221",
	addresses: []string{"0x5f"},
	models: []chip{{
		part: "HTS221", startup: 5 * time.Millisecond,
		identity:  []identity{{step: step{write: hex{0x0f}, status: 1}, is: []part{{value: 0xbc}}, by: "register 0x0F reads 0xBC"}}, // WHO_AM_I
		constants: []step{{write: hex{0x30 | stCount}, result: 16}},                                                                 // H0_rH_x2 to T1_OUT
		measure:   stOneShot(80*time.Millisecond, 4),                                                                                // the period of its fastest rate, 12.5 Hz
		sleep:     stOff,
		fields: []field{
			// Between its two points of calibration the chip is right; near the ends
			// the line through them may go a little beyond.
			{quantity: overshoot, clamp: wet},
			{quantity: sensors.Temperature.Within(-40, 120)},
		},
		decode: hts221Decode,
	}},
}

func init() { hts221.register() }

// hts221Decode interpolates between two points of the calibration.
func hts221Decode(f *frame) error {
	word := func(p []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(p))) }
	c := f.constants
	h0, h1 := float64(c[0])/200, float64(c[1])/200
	t0, t1 := float64(int(c[5]&3)<<8|int(c[2]))/8, float64(int(c[5]>>2&3)<<8|int(c[3]))/8
	h0Out, h1Out, t0Out, t1Out := word(c[6:]), word(c[10:]), word(c[12:]), word(c[14:])
	if h0Out == h1Out || t0Out == t1Out || h0 == h1 || t0 == t1 {
		return sensors.Errorf(sensors.Identity, "the two points of the calibration % x are one, as on no chip: the bus is disturbed or the chip is broken", c)
	}
	f.values[0] = h0 + (h1-h0)*(word(f.data)-h0Out)/(h1Out-h0Out)
	f.values[1] = t0 + (t1-t0)*(word(f.data[2:])-t0Out)/(t1Out-t0Out)
	return nil
}
