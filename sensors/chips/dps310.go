package chips

import (
	"context"
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the DPS310's data sheet. Which of its two temperature
// sensors the coefficients are for stands in the chip: nearly always it is the
// one beside the pressure sensor.
var dps310 = family{
	name:      "dps310",
	summary:   "Infineon DPS310: pressure 300 to 1200 hPa (±1 hPa), temperature -40 to 85 °C (±0.5 °C)",
	datasheet: "Infineon DPS310, revision 1.2",
	wiring:    "I2C at 3.3 V, CSB to the supply; SDO to the supply or open is 0x77, to ground 0x76",
	timing:    "32 ms, and 40 ms more after power-up: one sample of temperature, then 16 of pressure, each forced; then the chip is in standby",
	kernel:    "dps310 (iio), which measures continuously; its pressure is wrong from 16 samples on, for it sets bit 4 of register 0x09 and not P_SHIFT",
	addresses: []string{"0x77", "0x76"},
	models:    []chip{dps310Chip(dps310External)},
	unverifiable: "chips with a wrong fuse, which read 60 °C at 20 °C, need a correction that can't be read back: it is written twice, " +
		"and one flipped bit of the second time undoes it",
}

func init() {
	if err := dps310.check(); err != nil {
		panic("chips: dps310: " + err.Error())
	}
	d := dps310.driver()
	d.New = newDPS310
	sensors.Register(d)
}

// dps310External is TMP_EXT: the temperature beside the pressure sensor is
// measured, and not that of the electronics (section 7, TMP_CFG).
const dps310External = 0x80

var dps310Internal = dps310Chip(0)

func dps310Chip(source byte) chip {
	return chip{
		part: "DPS310", startup: 40 * time.Millisecond, // table 2: time until the coefficients are there
		identity: []identity{{
			step: step{write: hex{0x0d}, status: 1}, is: []part{{value: 0x10}}, by: "register 0x0D reads 0x10", // product and revision ID
		}},
		// What is set here once and still stands after each measurement shows that
		// the chip wasn't reset, and still has the correction of newDPS310.
		prepare: []step{
			{write: hex{0x0c, 0x09}, wait: 40 * time.Millisecond},                                                                            // RESET
			{write: hex{0x08}, status: 1, until: &until{mask: 0xc0, is: 0xc0, within: 200 * time.Millisecond, every: 10 * time.Millisecond}}, // SENSOR_RDY and COEF_RDY
			{set: hex{0x06, 0x04}},   // PRS_CFG: 16 samples
			{set: hex{0x07, source}}, // TMP_CFG: one sample
			{set: hex{0x09, 0x04}},   // CFG_REG: P_SHIFT, for more than 8 samples
		},
		constants: []step{
			{write: hex{0x10}, result: 18}, // COEF
			{write: hex{0x28}, result: 1},  // COEF_SRCE
			{write: hex{0x32}, result: 1},  // the fuse, as the kernel's driver knows it
		},
		measure: []step{
			{write: hex{0x08, 0x00}}, // MEAS_CFG: standby
			// What was measured before is read, so that MEAS_CFG shows the new one only.
			{write: hex{0x00}, status: 6},
			{write: hex{0x08}, status: 1, must: []test{{mask: 0x37, is: 0, reason: sensors.Busy, says: "the chip measures, and nobody asked it to: another program uses it"}}},
			{write: hex{0x08, 0x02}, wait: 4 * time.Millisecond}, // one temperature: 3.6 ms (table 16)
			{write: hex{0x08}, status: 1, until: &until{mask: 0x20, is: 0x20, within: 40 * time.Millisecond, every: 2 * time.Millisecond}},
			{write: hex{0x03}, result: 3},
			{write: hex{0x08, 0x01}, wait: 28 * time.Millisecond}, // one pressure: 27.6 ms
			{write: hex{0x08}, status: 1, until: &until{mask: 0x10, is: 0x10, within: 100 * time.Millisecond, every: 2 * time.Millisecond}},
			{write: hex{0x00}, result: 3},
		},
		fields: []field{
			{quantity: sensors.Temperature.Within(-40, 85)},
			{quantity: sensors.Pressure.Within(30_000, 120_000)},
		},
		decode: dps310Decode,
	}
}

// newDPS310 takes the temperature sensor that the coefficients are for, and
// corrects the fuse that is wrong in some chips.
func newDPS310(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	s := newEngine(e, &dps310, &dps310.models[0])
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	source, fuse := s.frame.constants[18], s.frame.constants[19]
	if source&dps310External == 0 {
		s = newEngine(e, &dps310, &dps310Internal)
		if err := s.start(ctx); err != nil {
			return nil, err
		}
	}
	if fuse&2 != 0 {
		return s, nil
	}
	// Infineon's correction, in registers without a documentation: twice, so that
	// a lost write does no harm.
	for range 2 {
		for _, w := range []hex{{0x0e, 0xa5}, {0x0f, 0x96}, {0x62, 0x02}, {0x0e, 0x00}, {0x0f, 0x00}} {
			if err := s.tx(ctx, w, nil); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// Scale factors of one and of 16 samples: section 4.9, table 9.
const (
	dps310One     = 524288
	dps310Sixteen = 253952
)

// dps310Decode is the compensation of sections 4.9.1 and 4.9.2, with the
// coefficients of section 8.11.
func dps310Decode(f *frame) error {
	number := func(p []byte, at, bits uint) float64 { // two's complement, from a bit on
		var v int64
		for i := range bits {
			v = v<<1 | int64(p[(at+i)/8]>>(7-(at+i)%8)&1)
		}
		return float64(v << (64 - bits) >> (64 - bits))
	}
	rawT, rawP := number(f.data, 0, 24), number(f.data, 24, 24)
	if rawT == -1<<23 || rawP == -1<<23 {
		return sensors.Errorf(sensors.NotReady, "nothing was measured: the chip was reset meanwhile: check its supply")
	}
	c := f.constants
	c0, c1, c00, c10 := number(c, 0, 12), number(c, 12, 12), number(c, 24, 20), number(c, 44, 20)
	c01, c11, c20, c21, c30 := number(c, 64, 16), number(c, 80, 16), number(c, 96, 16), number(c, 112, 16), number(c, 128, 16)
	if c1 == 0 || c10 == 0 {
		return sensors.Errorf(sensors.Identity, "the coefficients % x have no slope, as on no chip: the bus is disturbed or the chip is broken", c[:18])
	}
	t, p := rawT/dps310One, rawP/dps310Sixteen
	f.values[0] = c0/2 + c1*t
	f.values[1] = c00 + p*(c10+p*(c20+p*c30)) + t*(c01+p*(c11+p*c21))
	return nil
}
