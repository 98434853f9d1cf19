package chips

import (
	"encoding/binary"
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the BMP180's data sheet. A BMP085 doesn't show in a
// register that it has converted.
var bmp180 = family{
	name:         "bmp180",
	summary:      "Bosch BMP180: temperature -40 to 85 °C (±1 °C), pressure 300 to 1100 hPa (±1 hPa)",
	datasheet:    "Bosch BST-BMP180-DS000, revision 2.5",
	wiring:       "I2C at 3.3 V; 0x77",
	timing:       "10 ms at 1 sample, 30 ms at 8: one measurement, then the chip idles",
	kernel:       "bmp280 (iio), which also drives this chip; dtoverlay=i2c-sensor,bmp180",
	unverifiable: "a conversion of the other quantity that another program begins while ours is under way is taken for ours",
	addresses:    []string{"0x77"},
	models: []chip{{
		part:    "BMP180",
		startup: 10 * time.Millisecond, // section 1, start-up time
		identity: []identity{{ // section 4
			step: step{write: hex{0xd0}, status: 1}, is: []part{{value: 0x55}}, by: "ID register 0xD0 reads 0x55",
			looks: map[uint64]string{0x58: "a BMP280", 0x60: "a BME280", 0x61: "a BME680 or BME688"},
		}},
		constants: []step{{write: hex{0xaa}, result: 22}}, // section 3.4
		settings: []setting{{
			name: "oversampling", unset: "1", help: "samples of the pressure that one measurement averages",
			values: []value{ // section 3.3.1, table 8: oss
				{name: "1", bits: 0 << 6, time: 4500 * time.Microsecond},
				{name: "2", bits: 1 << 6, time: 7500 * time.Microsecond},
				{name: "4", bits: 2 << 6, time: 13500 * time.Microsecond},
				{name: "8", bits: 3 << 6, time: 25500 * time.Microsecond},
			},
		}},
		measure: []step{
			{write: hex{0xf4, 0x2e}},
			{write: hex{0xf4}, status: 1, begun: true, must: []test{{is: 0x2e, says: bmp180NotBegun}}},
			{wait: 4500 * time.Microsecond},
			{write: hex{0xf4}, status: 1, until: bmp180Done},
			{write: hex{0xf6}, result: 2, must: bmp180Converted(0x8000)},
			{write: hex{0xf4, 0x34}, with: []string{"oversampling"}},
			{write: hex{0xf4}, status: 1, begun: true, must: []test{{mask: 0x3f, is: 0x34, says: bmp180NotBegun}}},
			{wait: 0, times: []string{"oversampling"}},
			{write: hex{0xf4}, status: 1, until: bmp180Done},
			{write: hex{0xf6}, result: 3, must: bmp180Converted(0x800000)},
		},
		fields: []field{
			{quantity: sensors.Temperature.Within(-40, 85)},
			{quantity: sensors.Pressure.Within(30_000, 110_000)},
		},
		decode: bmp180Decode,
	}},
}

func init() { bmp180.register() }

const bmp180NotBegun = "no measurement was begun"

// bmp180Done waits for Sco, which is 1 during a conversion: section 3.3.
var bmp180Done = &until{mask: 0x20, within: 30 * time.Millisecond, every: 2 * time.Millisecond}

// bmp180Converted refuses what the result reads after power-up: section 4.
func bmp180Converted(after uint64) []test {
	return []test{{is: after, not: true, reason: sensors.NotReady, says: "nothing was measured: the chip was reset during the measurement: check its supply"}}
}

// bmp180Decode is section 3.5, in integers as there.
func bmp180Decode(f *frame) error {
	for i := 0; i < 22; i += 2 { // section 3.4: no word is so
		if v := binary.BigEndian.Uint16(f.constants[i:]); v == 0 || v == 0xffff {
			return sensors.Errorf(sensors.Identity, "the calibration has 0x%04x at 0x%02x, which no chip has: the bus is disturbed or the chip is broken", v, 0xaa+i)
		}
	}
	word := func(i int) int64 { return int64(int16(binary.BigEndian.Uint16(f.constants[2*i:]))) }
	positive := func(i int) int64 { return int64(binary.BigEndian.Uint16(f.constants[2*i:])) }
	ac1, ac2, ac3, ac4, ac5, ac6 := word(0), word(1), word(2), positive(3), positive(4), positive(5)
	b1, b2, mc, md := word(6), word(7), word(9), word(10)
	oss := f.chosen["oversampling"]
	ut := int64(binary.BigEndian.Uint16(f.data))
	up := (int64(f.data[2])<<16 | int64(f.data[3])<<8 | int64(f.data[4])) >> (8 - oss)

	x1 := (ut - ac6) * ac5 >> 15
	if x1+md == 0 {
		return bmp180Impossible("the temperature", ut)
	}
	b5 := x1 + (mc<<11)/(x1+md)
	f.values[0] = float64((b5+8)>>4) / 10

	b6 := b5 - 4000
	x3 := (b2*(b6*b6>>12))>>11 + ac2*b6>>11
	b3 := ((ac1*4+x3)<<oss + 2) / 4
	x3 = (ac3*b6>>13 + (b1*(b6*b6>>12))>>16 + 2) >> 2
	b4 := ac4 * (x3 + 32768) >> 15
	if b4 == 0 {
		return bmp180Impossible("the pressure", up)
	}
	b7 := (up - b3) * (50000 >> oss)
	p := b7 * 2 / b4
	if b7 >= 1<<31 { // where 32 bits would overflow
		p = b7 / b4 * 2
	}
	x1 = (p >> 8) * (p >> 8) * 3038 >> 16
	f.values[1] = float64(p + (x1+(-7357*p)>>16+3791)>>4)
	return nil
}

func bmp180Impossible(what string, raw int64) error {
	return sensors.Errorf(sensors.OutOfRange, "%s can't be computed: %d is impossible for this chip's calibration", what, raw)
}
