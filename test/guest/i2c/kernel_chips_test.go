package i2c

import (
	"testing"
	"time"
)

// TestChipsOfTheKernel: what the data sheets say of chips that the kernel's
// drivers read, with vectors of theirs where they have some.
func TestChipsOfTheKernel(t *testing.T) {
	with := func(s Spec, values map[string]int) Spec {
		s.Values = values
		return s
	}
	for _, c := range []struct {
		name  string
		spec  Spec
		steps []step
	}{
		{"ina219 triggered", INA219(2000, 2995), []step{ // 20 mV, 11.98 V: SBOS448, table 8
			{write: []byte{0}}, {read: []byte{0x39, 0x9f}},
			{write: []byte{0, 0x39, 0x9b}}, {write: []byte{2}}, {read: []byte{0, 0}}, {wait: 2 * ms, read: []byte{0x5d, 0x9a}},
			{write: []byte{1}}, {read: []byte{0x07, 0xd0}},
			{write: []byte{3}}, {read: []byte{0, 0}}, {write: []byte{2}}, {read: []byte{0x5d, 0x98}},
		}},
		{"ina219 computes", INA219(2000, 2995), []step{ // with calibration 0x5000: 10 A, 119.8 W
			{write: []byte{5, 0x50, 0x00}}, {write: []byte{4}}, {wait: 2 * ms, read: []byte{0x27, 0x10}},
			{write: []byte{3}}, {read: []byte{0x17, 0x66}},
		}},
		{"ina226", INA226(8000, 9584), []step{ // 20 mV, 11.98 V
			{write: []byte{0xfe}}, {read: []byte{0x54, 0x49}}, {write: []byte{0xff}}, {read: []byte{0x22, 0x60}},
			{write: []byte{0, 0x41, 0x23}}, {write: []byte{6}}, {read: []byte{0, 0}}, {wait: 3 * ms, read: []byte{0, 8}}, {read: []byte{0, 0}},
			{write: []byte{1}}, {read: []byte{0x1f, 0x40}}, {write: []byte{2}}, {read: []byte{0x25, 0x70}},
		}},
		{"ina260, powered down", INA260(-1, 9584), []step{
			{write: []byte{0, 0x61, 0x20}}, {write: []byte{2}}, {wait: time.Second, read: []byte{0, 0}},
			{write: []byte{0, 0x61, 0x27}}, {write: []byte{2}}, {wait: 3 * ms, read: []byte{0x25, 0x70}},
			{write: []byte{1}}, {read: []byte{0xff, 0xff}}, {write: []byte{3}}, {read: []byte{0, 1}},
		}},
		{"ina3221", INA3221(-1, 4095), []step{
			{write: []byte{0xff}}, {read: []byte{0x32, 0x20}},
			{write: []byte{1}}, {wait: 8 * ms, read: []byte{0xff, 0xf8}}, {write: []byte{6}}, {read: []byte{0x7f, 0xf8}},
			{write: []byte{15}}, {read: []byte{0, 1}}, {write: []byte{0, 0x71, 0x20}}, {write: []byte{15}}, {read: []byte{0, 0}},
		}},
		{"lps22hb, one shot", LPS22HB(0x3fa000, 2500), []step{
			{write: []byte{0x0f}}, {read: []byte{0xb1}},
			{write: []byte{0x11, 0x11}}, {write: []byte{0x11}}, {read: []byte{0x11}},
			{write: []byte{0x27}}, {wait: 14 * ms, read: []byte{3, 0x00, 0xa0, 0x3f, 0xc4, 0x09}},
			{write: []byte{0x27}}, {read: []byte{0}}, {write: []byte{0x11}}, {read: []byte{0x10}},
		}},
		{"lps25h counts where it is told to", LPS25H(0x3fa000, -480), []step{
			{write: []byte{0x0f}}, {read: []byte{0xbd, 0xbd}},
			{write: []byte{0x21, 0x01}}, {write: []byte{0x27}}, {wait: time.Second, read: []byte{0}}, // powered down
			{write: []byte{0x20, 0x84}}, {write: []byte{0x21, 0x01}}, {write: []byte{0xa8}},
			{wait: 40 * ms, read: []byte{0x00, 0xa0, 0x3f, 0x20, 0xfe}},
		}},
		{"hts221 measures by itself", HTS221(-2500, 560), []step{
			{write: []byte{0x20, 0x81}}, {write: []byte{0x27}}, {read: []byte{0}}, {write: []byte{0xa8}},
			{wait: 80 * ms, read: []byte{0x3c, 0xf6, 0x30, 0x02}},
			{write: []byte{0xb0}}, {read: []byte{63, 141, 149, 10}},
		}},
		{"ds1621", DS1621(-50), []step{
			{write: []byte{0xaa}}, {read: []byte{0xc4, 0x00}}, // nothing measured: -60 °C
			{write: []byte{0xac, 0x01}}, {write: []byte{0xac}}, {read: []byte{0x89}},
			{write: []byte{0xee}}, {write: []byte{0xac}}, {wait: 700 * ms, read: []byte{0x09}}, {wait: 60 * ms, read: []byte{0x89}},
			{write: []byte{0xaa}}, {read: []byte{0xe7, 0x00}},
			{write: []byte{0xa1, 0x7d, 0x00}}, {write: []byte{0xa1}}, {read: []byte{0x7d, 0x00}},
		}},
		{"tmp117", TMP117(-16), []step{ // -0.125 °C
			{read: []byte{0x80, 0x00}}, {write: []byte{0x0f}}, {read: []byte{0x01, 0x17}},
			{write: []byte{1, 0x0c, 0x00}}, {write: []byte{1}}, {read: []byte{0x0c, 0x00}}, {wait: 16 * ms, read: []byte{0x24, 0x00}}, {read: []byte{0x04, 0x00}},
			{write: []byte{0}}, {read: []byte{0xff, 0xf0}},
		}},
		{"adt7410", ADT7410(-0x1c80), []step{ // -57 °C would be less than the chip measures
			{write: []byte{3, 0xa0}}, {write: []byte{2}}, {read: []byte{0x80}}, {write: []byte{0}}, {wait: 240 * ms, read: []byte{0xe3, 0x80, 0x00, 0xe0}},
			{write: []byte{0x0b}}, {read: []byte{0xcb}},
		}},
		{"adt7410, 13 bits", ADT7410(0x0c87), []step{
			{wait: 240 * ms, read: []byte{0x0c, 0x80}},
		}},
		{"tsl2561", TSL2561(1600, 160), []step{
			{write: []byte{0x8a}}, {read: []byte{0x50}}, {write: []byte{0x80, 0x03}}, {write: []byte{0x80}}, {read: []byte{0x03, 0x02}},
			{write: []byte{0xac}}, {wait: 400 * ms, read: []byte{0, 0}}, {write: []byte{0xac}}, {wait: 3 * ms, read: []byte{100, 0, 10, 0}},
			{write: []byte{0x81, 0x12}}, {write: []byte{0xac}}, {wait: 403 * ms, read: []byte{0x40, 0x06}},
		}},
		{"tsl2591 saturates", TSL2591(2000, 10), []step{
			{write: []byte{0xb2}}, {read: []byte{0x50}}, {write: []byte{0xa1, 0x10}}, {write: []byte{0xa0, 0x03}}, {write: []byte{0xb3}}, {read: []byte{0}},
			{write: []byte{0xb3}}, {wait: 100 * ms, read: []byte{1, 0xff, 0x8f, 250, 0}},
		}},
		{"ltr559", LTR559(0x1234, 0x0056), []step{
			{write: []byte{0x86}}, {read: []byte{0x92, 0x05}},
			{write: []byte{0x85, 0x01}}, {write: []byte{0x80, 0x01}}, {write: []byte{0x8c}}, {read: []byte{0}},
			{write: []byte{0x88}}, {wait: 110 * ms, read: []byte{0x56, 0, 0x34, 0x12, 0x04}}, {write: []byte{0x8c}}, {read: []byte{0x04}},
		}},
		{"veml7700", VEML7700(1480), []step{
			{write: []byte{4}}, {wait: time.Second, read: []byte{0, 0}}, // shut down
			{write: []byte{0, 0x00, 0x10}}, {write: []byte{4}}, {wait: 103 * ms, read: []byte{0xc8, 0x05}},
			{write: []byte{0, 0xc0, 0x08}}, {write: []byte{4}}, {wait: 803 * ms, read: []byte{0xff, 0xff}},
		}},
		{"hdc1080", HDC1080(0x6667, 0x8003), []step{
			{write: []byte{0}}, {nack: true}, {wait: 13 * ms, read: []byte{0x66, 0x64, 0x80, 0x00}}, {nack: true},
			{write: []byte{2, 0, 0}}, {write: []byte{1}}, {wait: 7 * ms, read: []byte{0x80, 0x00}},
			{write: []byte{0xff}}, {read: []byte{0x10, 0x50}},
		}},
		{"hdc302x", HDC302x(0x68c5, 0x3b82), []step{
			{write: []byte{0x24, 0x00}}, {nack: true}, {wait: 13 * ms, read: []byte{0x68, 0xc5, 0x51, 0x3b, 0x82, 0x31}},
			{write: []byte{0x37, 0x81}}, {read: []byte{0x30, 0x00, 0x33}},
			{write: []byte{0xe0, 0x00}}, {nack: true}, {write: []byte{0x27, 0x37}}, {write: []byte{0xe0, 0x00}}, {read: []byte{0x68, 0xc5}},
		}},
		{"aht20", with(AHT20(0, 0), map[string]int{"humidity": 0x80000, "temperature": 0x60000}), []step{
			{read: []byte{0x10}}, {write: []byte{0xbe, 0x08, 0x00}}, {read: []byte{0x18}},
			{write: []byte{0xac, 0x33, 0x00}}, {read: []byte{0x98}}, {wait: 80 * ms, read: []byte{0x18, 0x80, 0x00, 0x06, 0x00, 0x00, crc8([]byte{0x18, 0x80, 0x00, 0x06, 0x00, 0x00})}},
		}},
		{"scd4x", SCD4x(500, 0x6667, 0x5eb9), []step{ // the data sheet's example
			{write: []byte{0x21, 0xb1}}, {write: []byte{0xe4, 0xb8}}, {wait: ms, read: []byte{0x80, 0x00, 0xa2}},
			{write: []byte{0x36, 0x82}, nack: true}, {write: []byte{0xec, 0x05}, nack: true},
			{wait: 5 * time.Second, write: []byte{0xec, 0x05}}, {wait: ms, read: []byte{0x01, 0xf4, 0x33, 0x66, 0x67, 0xa2, 0x5e, 0xb9, 0x3c}},
			{write: []byte{0x3f, 0x86}}, {write: []byte{0x36, 0x82}}, {wait: ms, read: []byte{0xf8, 0x96, 0x31, 0x9f, 0x07, 0xc2, 0x3b, 0xbe, 0x89}},
		}},
		{"bmp180 has the example", BMP180(), []step{ // section 3.5
			{write: []byte{0xd0}}, {read: []byte{0x55}},
			{write: []byte{0xf4, 0x2e}}, {write: []byte{0xf4}}, {read: []byte{0x2e}}, {wait: 5 * ms, write: []byte{0xf6}}, {read: []byte{0x6c, 0xfa}},
			{write: []byte{0xf4, 0x34}}, {wait: 5 * ms, write: []byte{0xf4}}, {read: []byte{0x14}}, {write: []byte{0xf6}}, {read: []byte{0x5d, 0x23, 0x00}},
		}},
		{"bmp388 forced", BMP388(), []step{
			{write: []byte{0}}, {read: []byte{0x50}}, {write: []byte{0x04}}, {read: []byte{0, 0, 0x80, 0, 0, 0x80}},
			{write: []byte{0x1c, 0x00, 0x1b, 0x13}}, {write: []byte{0x03}}, {read: []byte{0x10}},
			{wait: 5 * ms, write: []byte{0x03}}, {read: []byte{0x70, 0x20, 0x49, 0x69, 0x80, 0x2c, 0x80}}, {write: []byte{0x03}}, {read: []byte{0x10}},
			{write: []byte{0x1b}}, {read: []byte{0x03}}, {write: []byte{0x7e, 0xb6}}, {write: []byte{0x1b}}, {read: []byte{0}},
		}},
		{"dps310, one after the other", DPS310(-6400, 6400), []step{
			{write: []byte{0x0d}}, {read: []byte{0x10, 0, 0, 0x0c, 0xce, 0xfb, 0x13, 0x49, 0x8f}},
			{write: []byte{0x08, 0x02}}, {write: []byte{0x08}}, {read: []byte{0xc2}}, {wait: 4 * ms, write: []byte{0x08}}, {read: []byte{0xe0}},
			{write: []byte{0x03}}, {read: []byte{0x00, 0x19, 0x00}}, {write: []byte{0x06, 0x04}}, {write: []byte{0x08, 0x01}}, {wait: 28 * ms, write: []byte{0x08}}, {read: []byte{0xd0}},
			{write: []byte{0x00}}, {read: []byte{0xff, 0xf3, 0xe4}}, {write: []byte{0x08}}, {read: []byte{0xc0}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, clk := newBus(t, 0x48, c.spec)
			play(t, b, clk, 0x48, c.steps)
		})
	}
}
