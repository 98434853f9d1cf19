//go:build system

package system

import (
	"math/rand/v2"

	"example.org/dormouse/test/guest/i2c"
)

// Contents of chips that measure one or two things.
func between(r *rand.Rand, from, to int) int { return from + r.IntN(to-from+1) }

func temperatures(list ...int) (contents []content) {
	for _, v := range list {
		contents = append(contents, content{"temperature": v})
	}
	return contents
}

func randomTemperature(from, to int) func(*rand.Rand) content {
	return func(r *rand.Rand) content { return content{"temperature": between(r, from, to)} }
}

// pairs are contents of two values.
func pairs(first, second string, list ...[2]int) (contents []content) {
	for _, v := range list {
		contents = append(contents, content{first: v[0], second: v[1]})
	}
	return contents
}

func climates(list ...[2]int) []content { return pairs("temperature", "humidity", list...) }

func randomPair(first string, from, to int, second string, from2, to2 int) func(*rand.Rand) content {
	return func(r *rand.Rand) content {
		return content{first: between(r, from, to), second: between(r, from2, to2)}
	}
}

// slower makes conversions long enough for the emulated bus of a busy machine:
// ours looks whether one has begun.
var slower = content{"least": 25}

// kernelChips are the chips that both drive. What "within" allows is the
// kernel's rounding, which is explained in each case.
var kernelChips = []kernelChip{
	{name: "bmp280", address: 0x76, module: "bmp280-i2c", bind: "bmp280", class: "iio", driver: "bme280", model: i2c.BMP280(),
		contents: randomPair("adc_T", 320_000, 710_000, "adc_P", 450_000, 750_000),
		// -40, 0 and 85 °C, 300 and 1100 hPa at 25 °C, by the formula of section 8.1.
		boundaries: pairs("adc_T", "adc_P", [2]int{313_709, 450_000}, [2]int{440_063, 450_000}, [2]int{440_064, 450_000}, [2]int{712_471, 450_000},
			[2]int{519_888, 829_550}, [2]int{519_888, 361_090}),
		beyond: pairs("adc_T", "adc_P", [2]int{313_600, 450_000}, [2]int{712_600, 450_000}, [2]int{519_888, 829_600}, [2]int{519_888, 361_000}),
		// The kernel computes in whole hundredths of °C, and in 1/256 Pa.
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1}},
	{name: "bme280", address: 0x77, module: "bmp280-i2c", bind: "bme280", class: "iio", driver: "bme280", model: i2c.BME280(),
		contents: func(r *rand.Rand) content {
			return content{"adc_T": between(r, 450_000, 580_000), "adc_P": between(r, 400_000, 600_000), "adc_H": between(r, 21_500, 38_500)}
		},
		// 0 and 100 % at 25 °C, by the formula of appendix 8.1.
		boundaries: []content{{"adc_T": 519_888, "adc_P": 415_148, "adc_H": 20_957}, {"adc_T": 519_888, "adc_P": 415_148, "adc_H": 20_958},
			{"adc_T": 519_888, "adc_P": 415_148, "adc_H": 38_963}, {"adc_T": 519_888, "adc_P": 415_148, "adc_H": 38_964}},
		// Humidity in 1/1024 %, cut to thousandths of a percent.
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1, "humidity": 3e-5}},
	{name: "lm75", address: 0x48, module: "lm75", bind: "lm75", class: "hwmon", driver: "tmp102,model=lm75", model: i2c.LM75(0),
		contents: randomTemperature(-110, 250), boundaries: temperatures(-110, -1, 0, 1, 250),
		within: map[string]float64{"temperature": 0}},
	{name: "tmp102", address: 0x49, module: "tmp102", bind: "tmp102", class: "hwmon", driver: "tmp102", model: i2c.TMP102(0),
		contents: randomTemperature(-880, 2000), boundaries: temperatures(-880, -1, 0, 1, 2000),
		// Sixteenths of a degree, cut to thousandths.
		within: map[string]float64{"temperature": 0.0006}},
	{name: "sht4x", address: 0x44, module: "sht4x", bind: "sht4x", class: "hwmon", driver: "sht4x", model: i2c.SHT4x(0, 0), cached: true,
		contents: randomPair("temperature", 8_000, 63_000, "humidity", 4_000, 54_000),
		// The kernel divides by 65536 where the data sheet has 65535, and cuts
		// to thousandths: 0.0027 and 0.001 °C, 0.0019 and 0.001 %.
		within: map[string]float64{"temperature": 0.0037, "humidity": 2.9e-5}},
	{name: "ads1115", address: 0x4a, module: "ti-ads1015", bind: "ads1115", class: "iio", driver: "ads1115,gain=2.048V", model: i2c.ADS1115(0, 0, 0, 0),
		contents: func(r *rand.Rand) content {
			return content{"ain0": r.IntN(2_000_000), "ain1": r.IntN(2_000_000), "ain2": r.IntN(2_000_000), "ain3": r.IntN(2_000_000)}
		},
		boundaries: []content{{"ain0": 0, "ain1": 0, "ain2": 2_047_000, "ain3": 63}},
		beyond:     []content{{"ain0": 2_100_000, "ain1": 0, "ain2": 0, "ain3": 0}},
		// Both use ±2.048 V: the same codes.
		within:   map[string]float64{"voltage": 1e-9},
		channels: map[string]string{"voltage0": "a0", "voltage1": "a1", "voltage2": "a2", "voltage3": "a3"}},
	{name: "sht3x", address: 0x45, module: "sht3x", bind: "sht3x", class: "hwmon", driver: "sht3x", model: i2c.SHT3x(0, 0), cached: true,
		contents:   randomPair("temperature", 2_000, 63_000, "humidity", 1, 65_534),
		boundaries: climates([2]int{1873, 1}, [2]int{63_600, 65_534}),
		// As of the sht4x, over the whole range.
		within: map[string]float64{"temperature": 0.0037, "humidity": 2.9e-5}},
	{name: "htu21d", address: 0x40, module: "sht21", bind: "sht21", class: "hwmon", driver: "htu21d", model: i2c.HTU21D(0, 0), cached: true,
		contents:   randomPair("temperature", 2_600, 63_600, "humidity", 3_200, 55_200),
		boundaries: climates([2]int{2_560, 3_148}, [2]int{64_000, 55_568}),
		// Both in whole thousandths of °C and of a percent.
		within: map[string]float64{"temperature": 0.001, "humidity": 1e-5}},
	{name: "mcp9808", address: 0x18, module: "jc42", bind: "jc42", class: "hwmon", driver: "mcp9808", model: i2c.MCP9808(0), cached: true,
		contents: randomTemperature(-640, 2000), boundaries: temperatures(-640, -1, 0, 1, 2000), beyond: temperatures(-641, 2001),
		// Sixteenths of a degree, cut to thousandths.
		within: map[string]float64{"temperature": 0.0006}},
	{name: "bh1750", address: 0x23, module: "bh1750", bind: "bh1750", class: "iio", driver: "bh1750", model: i2c.BH1750(0),
		contents:   func(r *rand.Rand) content { return content{"light": between(r, 1, 65_534)} },
		boundaries: []content{{"light": 0}, {"light": 1}, {"light": 65_534}},
		beyond:     []content{{"light": 65_535}},
		// The kernel's scale is 0.833333 for 1/1.2.
		within: map[string]float64{"illuminance": 0.022}},

	{name: "ds1621", address: 0x4b, module: "ds1621", bind: "ds1621", class: "hwmon", driver: "ds1621", model: i2c.DS1621(0), cached: true,
		contents: randomTemperature(-110, 250), boundaries: temperatures(-110, -1, 0, 1, 250), beyond: temperatures(-111, 251),
		within: map[string]float64{"temperature": 0}},
	{name: "ina219", address: 0x41, module: "ina2xx-adc", bind: "ina219", class: "iio", driver: "ina219,shunt=0.01Ω", model: i2c.INA219(0, 0),
		contents:   randomPair("shunt", -31_999, 31_999, "bus", 0, 8000),
		boundaries: pairs("shunt", "bus", [2]int{-31_999, 0}, [2]int{-1, 1}, [2]int{0, 8000}, [2]int{1, 3000}, [2]int{31_999, 8000}),
		beyond:     pairs("shunt", "bus", [2]int{-32_000, 3000}, [2]int{32_000, 3000}, [2]int{0, 8001}),
		// The chip computes its power, without a sign, in whole steps of 20 mW.
		within: map[string]float64{"voltage": 0, "current": 0, "power": 0.02}, unsigned: []string{"power"},
		channels: map[string]string{"voltage1": "", "current3": "", "power2": ""}},
	{name: "ina226", address: 0x42, module: "ina2xx-adc", bind: "ina226", class: "iio", driver: "ina226,shunt=0.01Ω", model: i2c.INA226(0, 0),
		contents:   randomPair("shunt", -32_767, 32_766, "bus", 0, 28_800),
		boundaries: pairs("shunt", "bus", [2]int{-32_767, 0}, [2]int{-1, 1}, [2]int{0, 28_800}, [2]int{1, 3000}, [2]int{32_766, 28_800}),
		beyond:     pairs("shunt", "bus", [2]int{-32_768, 3000}, [2]int{32_767, 3000}, [2]int{0, 28_801}),
		// As of the ina219, in steps of 6.25 mW.
		within: map[string]float64{"voltage": 0, "current": 0, "power": 0.00625}, unsigned: []string{"power"},
		channels: map[string]string{"voltage1": "", "current3": "", "power2": ""}},
	{name: "lps22hb", address: 0x5c, module: "st_pressure_i2c", bind: "lps22hb", class: "iio", driver: "lps22hb", model: i2c.LPS22HB(0, 0), forOwn: slower,
		contents: randomPair("pressure", 1_064_960, 5_160_960, "temperature", -4000, 8500),
		boundaries: pairs("pressure", "temperature", [2]int{1_064_960, -4000}, [2]int{5_160_960, 8500}, [2]int{4_150_272, -1},
			[2]int{4_150_272, 0}, [2]int{4_150_272, 1}),
		beyond: pairs("pressure", "temperature", [2]int{1_064_959, 0}, [2]int{5_160_961, 0}, [2]int{4_150_272, -4001}, [2]int{4_150_272, 8501}),
		// The kernel's scale of the pressure has nine decimals of a kPa: 24.414e-6 for
		// 1/40960.
		within: map[string]float64{"temperature": 1e-6, "pressure": 0.33}},
	{name: "lps25h", address: 0x5d, module: "st_pressure_i2c", bind: "lps25h", class: "iio", driver: "lps22hb,model=lps25h", model: i2c.LPS25H(0, 0), forOwn: slower,
		contents: randomPair("pressure", 1_064_960, 5_160_960, "temperature", -32_768, 20_400),
		boundaries: pairs("pressure", "temperature", [2]int{1_064_960, -32_768}, [2]int{5_160_960, 20_400}, [2]int{4_150_272, -20_401},
			[2]int{4_150_272, -20_400}, [2]int{4_150_272, 0}),
		beyond: pairs("pressure", "temperature", [2]int{1_064_959, 0}, [2]int{5_160_961, 0}, [2]int{4_150_272, 20_401}),
		within: map[string]float64{"temperature": 1e-6, "pressure": 0.33}},
	{name: "tsl2561", address: 0x39, module: "tsl2563", bind: "tsl2561", class: "iio,only=illuminance0", driver: "tsl2561,model=cs", model: i2c.TSL2561(0, 0),
		// Multiples of 16, so that both gains lose nothing.
		contents: func(r *rand.Rand) content {
			all := 1 + r.IntN(4000)
			if r.IntN(2) == 0 {
				all = 4000 + r.IntN(61_000)
			}
			return content{"all": 16 * all, "infrared": 16 * min(all*r.IntN(130)/100, 65_534)}
		},
		boundaries: pairs("all", "infrared", [2]int{0, 0}, [2]int{16, 0}, [2]int{65_504, 32_000}, [2]int{65_552, 32_000}, [2]int{16 * 65_534, 0}, [2]int{16_000, 32_000}),
		beyond:     pairs("all", "infrared", [2]int{16 * 65_535, 0}),
		within:     map[string]float64{"illuminance": 1},
		// Whole lx. Where there is little infrared light the kernel has four straight
		// lines for the data sheet's power of 1.4, which are up to 1.5 % below it; its
		// coefficients are in 1/16384, and have four decimals where the data sheet has
		// five.
		margin:   func(_ string, c content, v float64) float64 { return 0.015*v + 8e-5*float64(c["all"]) },
		channels: map[string]string{"": "", "illuminance0": ""}},
	{name: "bmp180", address: 0x77, module: "bmp280-i2c", bind: "bmp180", class: "iio", driver: "bmp180,oversampling=8", model: i2c.BMP180(),
		forOwn:   slower,
		contents: randomPair("ut", 23_200, 37_700, "up", 100_000, 255_000),
		// The data sheet's example, -40, 0 and 85 °C, 300 and 1100 hPa at 15 °C.
		boundaries: pairs("ut", "up", [2]int{27_898, 190_744}, [2]int{23_095, 190_000}, [2]int{26_176, 190_000}, [2]int{37_784, 190_000},
			[2]int{27_898, 83_501}, [2]int{27_898, 297_806}),
		beyond: pairs("ut", "up", [2]int{23_060, 190_000}, [2]int{37_830, 190_000}, [2]int{27_898, 83_490}, [2]int{27_898, 297_820}),
		within: map[string]float64{"temperature": 0, "pressure": 0}},
	{name: "ltr559", address: 0x23, module: "ltr501", bind: "ltr559", class: "iio,only=illuminance", driver: "ltr559,gain=1", model: i2c.LTR559(0, 0),
		// Less infrared light than 45 %: for more the kernel has the LTR-501's formula.
		contents: func(r *rand.Rand) content {
			all := between(r, 1, 50_000)
			return content{"all": all, "infrared": all * r.IntN(78) / 100}
		},
		boundaries: pairs("all", "infrared", [2]int{0, 0}, [2]int{1, 0}, [2]int{50_000, 0}, [2]int{50_000, 39_000}),
		beyond:     pairs("all", "infrared", [2]int{65_535, 0}),
		within:     map[string]float64{"illuminance": 1},
		// Whole lx, and coefficients of three decimals where the data sheet has four.
		margin: func(_ string, c content, v float64) float64 {
			return 3e-4*float64(c["all"]) + 9e-4*float64(c["infrared"])
		}},
	{name: "veml7700", address: 0x10, module: "veml6030", bind: "veml6030", class: "iio,only=illuminance", model: i2c.VEML7700(0),
		// The kernel has the resolution of the newer data sheets, and doesn't correct
		// what is brighter than 1000 lx.
		driver:     "veml7700,range=30klx,calibrate.scale=1.1666666666667",
		contents:   func(r *rand.Rand) content { return content{"light": between(r, 0, 2170)} },
		boundaries: []content{{"light": 0}, {"light": 1}, {"light": 2170}},
		beyond:     []content{{"light": 65_535}},
		within:     map[string]float64{"illuminance": 1e-4}},
}
