package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the BMP388's data sheet; the BMP390's registers, times
// and compensation are the same.
var bmp388 = family{
	name:      "bmp388",
	summary:   "Bosch BMP388, BMP390: temperature -40 to 85 °C (±0.5 °C), pressure 300 to 1250 hPa (±0.5 hPa)",
	datasheet: "Bosch BST-BMP388-DS001, revision 1.7; BST-BMP390-DS002",
	wiring:    "I2C at 3.3 V, CSB to the supply; SDO to ground is 0x76, to the supply 0x77",
	timing:    "21 ms: one forced measurement of 8 samples of pressure and one of temperature, then the chip sleeps",
	kernel:    "bmp280 (iio), which also drives these; dtoverlay=i2c-sensor,bmp380",
	addresses: []string{"0x77", "0x76"},
	aliases:   map[string]string{"bmp390": "", "bmp384": "", "bmp3xx": ""},
	models: []chip{{
		part: "BMP388", startup: 2 * time.Millisecond, // section 1, table 2
		identity: []identity{{ // section 4.3.1
			step: step{write: hex{0x00}, status: 1}, is: []part{{value: 0x50, name: "BMP388"}, {value: 0x60, name: "BMP390"}}, by: "register 0x00 reads 0x50 (BMP388) or 0x60 (BMP390)",
		}},
		constants: []step{{write: hex{0x31}, result: 21}}, // section 3.11.1
		measure: []step{
			// PWR_CTRL: asleep, for only from there a measurement can be forced.
			{write: hex{0x1b, 0x00}, wait: 5 * time.Millisecond},
			{set: hex{0x1c, 0x03}}, // OSR: 8 samples of pressure, one of temperature
			{set: hex{0x1f, 0x00}}, // CONFIG: no filter
			// What was measured before is read, so that STATUS shows the new one only.
			{write: hex{0x04}, status: 6},
			{write: hex{0x03}, status: 1, must: []test{{mask: 0x70, is: 0x10, reason: sensors.Busy, says: "the chip measures, and nobody asked it to: another program uses it"}}},
			// Forced, both sensors on; afterwards it sleeps.
			{set: hex{0x1b, 0x13}, back: hex{0x03}},
			// Section 3.9.2: 234 + 392 + 8·2020 + 163 + 2020 µs, typically.
			{wait: 20 * time.Millisecond},
			{write: hex{0x03}, status: 1, until: &until{mask: 0x60, is: 0x60, within: 40 * time.Millisecond, every: 2 * time.Millisecond}},
			{write: hex{0x04}, result: 6},
		},
		fields: []field{
			{quantity: sensors.Temperature.Within(-40, 85)},
			{quantity: sensors.Pressure.Within(30_000, 125_000)},
		},
		decode: bmp388Decode,
	}},
}

func init() { bmp388.register() }

// bmp388Reset is what both results read after power-up: section 4.2.
const bmp388Reset = 0x800000

// bmp388Decode is the compensation in floating point of section 9.
func bmp388Decode(f *frame) error {
	result := func(p []byte) float64 { return float64(int(p[2])<<16 | int(p[1])<<8 | int(p[0])) }
	up, ut := result(f.data), result(f.data[3:])
	if up == bmp388Reset || ut == bmp388Reset {
		return sensors.Errorf(sensors.NotReady, "nothing was measured: the chip was reset meanwhile: check its supply")
	}
	c := f.constants
	u16 := func(at int) float64 { return float64(binary.LittleEndian.Uint16(c[at-0x31:])) }
	s16 := func(at int) float64 { return float64(int16(binary.LittleEndian.Uint16(c[at-0x31:]))) }
	s8 := func(at int) float64 { return float64(int8(c[at-0x31])) }
	if u16(0x31) == 0 || u16(0x33) == 0 {
		return sensors.Errorf(sensors.Identity, "the calibration % x has no temperature, as on no chip: the bus is disturbed or the chip is broken", c)
	}

	d := ut - u16(0x31)*(1<<8)
	t := d*u16(0x33)/(1<<30) + d*d*s8(0x35)/(1<<48)
	p1, p2 := (s16(0x36)-1<<14)/(1<<20), (s16(0x38)-1<<14)/(1<<29)
	offset := u16(0x3c)*8 + t*(u16(0x3e)/(1<<6)+t*(s8(0x40)/(1<<8)+t*s8(0x41)/(1<<15)))
	slope := p1 + t*(p2+t*(s8(0x3a)/(1<<32)+t*s8(0x3b)/(1<<37)))
	curve := s16(0x42)/(1<<48) + t*s8(0x44)/(1<<48) + up*s8(0x45)/(1<<62)/8
	f.values[0] = t
	f.values[1] = offset + up*(slope+up*curve)
	return nil
}
