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

// newer are the kernels that have a driver only since then, or only here.
var newer = []string{"6.12"}

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
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1},
		margin: oneAboveBelowZero(0.01)},
	{name: "bme280", address: 0x77, module: "bmp280-i2c", bind: "bme280", class: "iio", driver: "bme280", model: i2c.BME280(),
		contents: func(r *rand.Rand) content {
			return content{"adc_T": between(r, 450_000, 580_000), "adc_P": between(r, 400_000, 600_000), "adc_H": between(r, 21_500, 38_500)}
		},
		// 0 and 100 % at 25 °C, by the formula of appendix 8.1.
		boundaries: []content{{"adc_T": 519_888, "adc_P": 415_148, "adc_H": 20_957}, {"adc_T": 519_888, "adc_P": 415_148, "adc_H": 20_958},
			{"adc_T": 519_888, "adc_P": 415_148, "adc_H": 38_963}, {"adc_T": 519_888, "adc_P": 415_148, "adc_H": 38_964}},
		// Humidity in 1/1024 %, cut to thousandths of a percent.
		within: map[string]float64{"temperature": 0.0051, "pressure": 0.1, "humidity": 3e-5},
		margin: oneAboveBelowZero(0.01)},
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
	{name: "lps22hb", address: 0x5c, module: "st_pressure_i2c", bind: "lps22hb", class: "iio", driver: "lps22hb", model: i2c.LPS22HB(0, 0), forOwn: slower, rate: "10",
		contents: randomPair("pressure", 1_064_960, 5_160_960, "temperature", -4000, 8500),
		boundaries: pairs("pressure", "temperature", [2]int{1_064_960, -4000}, [2]int{5_160_960, 8500}, [2]int{4_150_272, -1},
			[2]int{4_150_272, 0}, [2]int{4_150_272, 1}),
		beyond: pairs("pressure", "temperature", [2]int{1_064_959, 0}, [2]int{5_160_961, 0}, [2]int{4_150_272, -4001}, [2]int{4_150_272, 8501}),
		// The kernel's scale of the pressure has nine decimals of a kPa: 24.414e-6 for
		// 1/40960.
		within: map[string]float64{"temperature": 1e-6, "pressure": 0.33}},
	{name: "lps25h", address: 0x5d, module: "st_pressure_i2c", bind: "lps25h", class: "iio", driver: "lps22hb,model=lps25h", model: i2c.LPS25H(0, 0), forOwn: slower, rate: "7",
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
			// Linux chooses the gain by all light alone: the higher one must be enough
			// for both, else it takes 65535 for the infrared light.
			most := 65_534
			if 16*all < 65_535 {
				most /= 16
			}
			return content{"all": 16 * all, "infrared": 16 * min(all*r.IntN(130)/100, most)}
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
		within: map[string]float64{"temperature": 0, "pressure": 0},
		margin: oneAboveBelowZero(0.1)},
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
	{name: "dps310", address: 0x76, module: "dps310", bind: "dps310", class: "iio", driver: "dps310", model: i2c.DPS310(0, 0),
		// Multiples of 64, which are exact at the kernel's one sample and at our 16.
		contents: func(r *rand.Rand) content {
			return content{"pressure": 64 * between(r, -5500, 6000), "temperature": 64 * between(r, 534, 4456)}
		},
		// 300 and 1200 hPa at 20 °C, -40, 0 and 85 °C, by the formulas of section 4.9.
		boundaries: pairs("pressure", "temperature", [2]int{64 * 6456, 164_672}, [2]int{64 * -7641, 164_672}, [2]int{0, 64 * 4456},
			[2]int{0, 64 * 3201}, [2]int{0, 64 * 3202}, [2]int{0, 64 * 534}),
		beyond: pairs("pressure", "temperature", [2]int{64 * 6457, 164_672}, [2]int{64 * -7642, 164_672}, [2]int{0, 64 * 4458}, [2]int{0, 64 * 533}),
		// Thousandths of °C, and whole Pa, cut towards zero in each of the formula's six
		// terms: of 500 contents none is 2.4 Pa apart.
		within: map[string]float64{"temperature": 0.001, "pressure": 3}},

	{name: "bmp388", address: 0x77, module: "bmp280-i2c", bind: "bmp380", class: "iio", driver: "bmp388", model: i2c.BMP388(), series: newer,
		contents: randomPair("temperature", 4_800_000, 11_890_000, "pressure", 8_000_000, 13_300_000),
		// -40, 0 and 85 °C, 300 and 1250 hPa at 24 °C, by the formula of section 9.
		boundaries: pairs("temperature", "pressure", [2]int{4_787_744, 9_000_000}, [2]int{7_041_023, 9_000_000}, [2]int{7_041_024, 9_000_000}, [2]int{11_898_367, 9_000_000},
			[2]int{8_400_000, 13_919_990}, [2]int{8_400_000, 6_626_550}),
		beyond: pairs("temperature", "pressure", [2]int{4_787_000, 9_000_000}, [2]int{11_899_000, 9_000_000}, [2]int{8_400_000, 13_921_000}, [2]int{8_400_000, 6_626_000}),
		// Hundredths of °C, cut; the kernel computes in integers with as many bits as fit.
		within: map[string]float64{"temperature": 0.0101, "pressure": 0.1}},
	{name: "bme680", address: 0x76, module: "bme680_i2c", bind: "bme680", class: "iio", driver: "bme680", model: i2c.BME680(), series: newer,
		contents: func(r *rand.Rand) content {
			return content{"adc_T": between(r, 292_000, 687_000), "adc_P": between(r, 370_000, 700_000), "adc_H": between(r, 14_500, 23_000),
				"adc_G": between(r, 0, 1023), "range": between(r, 1, 15)}
		},
		// -40, 0 and 85 °C, 300 hPa, 0 and 100 % at 25 °C, by the formulas of section 3.3;
		// the ends of the gas's ranges. In range 0 and from 1062 hPa on the kernel's 32
		// bits overflow.
		boundaries: []content{bme680Content(290_728, 400_000, 18_000, 0, 1), bme680Content(417_999, 400_000, 18_000, 1023, 1), bme680Content(418_000, 400_000, 18_000, 0, 15),
			bme680Content(688_268, 400_000, 18_000, 1023, 15), bme680Content(497_500, 756_440, 12_624, 500, 7), bme680Content(497_500, 400_000, 29_283, 500, 8)},
		beyond: []content{bme680Content(290_600, 400_000, 18_000, 0, 1), bme680Content(688_400, 400_000, 18_000, 0, 1),
			bme680Content(497_500, 756_600, 18_000, 0, 1), bme680Content(497_500, 286_000, 18_000, 0, 1)},
		// The kernel computes in 32 bits, and cuts or rounds to hundredths of °C.
		within: map[string]float64{"temperature": 0.015, "pressure": 8, "humidity": 6e-4, "resistance": 1},
		// Its factors of the ranges 4, 5, 7 and 8 are round numbers, where Bosch's are
		// 0.1, 0.7, 0.8 and 0.1 % beside them.
		margin: func(quantity string, _ content, v float64) float64 {
			return map[string]float64{"resistance": 0.0085 * v}[quantity]
		}},
	{name: "hts221", address: 0x5f, module: "hts221_i2c", bind: "hts221", class: "iio", driver: "hts221", model: i2c.HTS221(0, 0), series: newer,
		contents:   randomPair("humidity", -14_211, 22_966, "temperature", -2395, 4059),
		boundaries: pairs("humidity", "temperature", [2]int{-14_211, -2395}, [2]int{22_966, 4059}, [2]int{0, -782}, [2]int{0, -781}),
		beyond:     pairs("humidity", "temperature", [2]int{0, -2396}, [2]int{0, 4060}),
		// The slopes of its lines are whole numbers, of 1/64000 °C and 1/16000 %: here
		// 1586 for 1586.4 and 43 for 43.03, for up to 4090 and 22966 steps.
		within: map[string]float64{"temperature": 0.029, "humidity": 5.1e-4}},
	{name: "tmp117", address: 0x49, module: "tmp117", bind: "tmp117", class: "iio", driver: "tmp117,samples=1", model: i2c.TMP117(0), series: newer,
		contents: randomTemperature(-7040, 19_200), boundaries: temperatures(-7040, -1, 0, 1, 19_200), beyond: temperatures(-7041, 19_201),
		within: map[string]float64{"temperature": 0}},
	{name: "adt7410", address: 0x48, module: "adt7410", bind: "adt7410", class: "hwmon", driver: "adt7410", model: i2c.ADT7410(0), series: newer,
		contents: randomTemperature(-7040, 19_200), boundaries: temperatures(-7040, -1, 0, 1, 19_200), beyond: temperatures(-7041, 19_201),
		// Rounded to thousandths.
		within: map[string]float64{"temperature": 0.0005}},
	{name: "hdc1080", address: 0x40, module: "hdc100x", bind: "hdc1080", class: "iio", driver: "hdc1080", model: i2c.HDC1080(0, 0), series: newer,
		contents: func(r *rand.Rand) content {
			return content{"temperature": 4 * between(r, 1, 16_383), "humidity": 4 * between(r, 0, 16_383)}
		},
		boundaries: climates([2]int{4, 0}, [2]int{65_532, 65_532}, [2]int{15_884, 4}, [2]int{15_888, 8}),
		beyond:     climates([2]int{0, 4000}),
		within:     map[string]float64{"temperature": 1e-6, "humidity": 1e-9}},
	{name: "hdc302x", address: 0x45, module: "hdc3020", bind: "hdc3020", class: "iio", driver: "hdc302x", model: i2c.HDC302x(0, 0), series: newer,
		contents:   randomPair("temperature", 1873, 63_662, "humidity", 0, 65_535),
		boundaries: climates([2]int{1873, 0}, [2]int{63_662, 65_535}, [2]int{16_851, 1}, [2]int{16_852, 1}),
		beyond:     climates([2]int{1872, 30_000}, [2]int{63_663, 30_000}),
		// The kernel divides by 65536 where the data sheet has 65535, and its offset is a
		// whole number, of raw steps.
		within: map[string]float64{"temperature": 0.0031, "humidity": 1.6e-5}},
	{name: "aht20", address: 0x38, module: "aht10", bind: "aht20", class: "hwmon", driver: "aht20", model: i2c.AHT20(0, 0), series: newer, cached: true,
		contents:   randomPair("temperature", 52_429, 707_788, "humidity", 0, 1_048_575),
		boundaries: climates([2]int{52_429, 0}, [2]int{707_788, 1_048_575}, [2]int{262_143, 1}, [2]int{262_144, 1}),
		beyond:     climates([2]int{52_428, 500_000}, [2]int{707_789, 500_000}),
		// Cut to hundredths of °C and of a percent.
		within: map[string]float64{"temperature": 0.0101, "humidity": 1.01e-4}},
	{name: "scd4x", address: 0x62, module: "scd4x", bind: "scd4x", class: "iio", driver: "scd4x,model=scd40", model: everyMillisecond(i2c.SCD4x(400, 0, 0)), series: newer,
		contents: func(r *rand.Rand) content {
			return content{"co2": between(r, 1, 40_000), "temperature": between(r, 13_200, 39_200), "humidity": between(r, 0, 65_535)}
		},
		boundaries: []content{{"co2": 1, "temperature": 13_108, "humidity": 0}, {"co2": 40_000, "temperature": 39_320, "humidity": 65_535},
			{"co2": 400, "temperature": 16_851, "humidity": 1}, {"co2": 400, "temperature": 16_852, "humidity": 1}},
		beyond: []content{{"co2": 40_001, "temperature": 20_000, "humidity": 1}, {"co2": 400, "temperature": 13_100, "humidity": 1}, {"co2": 400, "temperature": 39_330, "humidity": 1}},
		// The kernel divides by 65536 where the data sheet has 65535.
		within: map[string]float64{"temperature": 0.0027, "humidity": 1.6e-5, "carbon_dioxide": 1e-6}},
	{name: "tsl2591", address: 0x29, module: "tsl2591", bind: "tsl2591", class: "iio,only=illuminance", model: i2c.TSL2591(1, 0), series: newer,
		// The kernel measures for 300 ms, for which it has 18 counts in a lx at this
		// gain, where 300 · 25 / 408 are 18.4.
		driver: "tsl2591,gain=25,calibrate.scale=1.021241830065",
		contents: func(r *rand.Rand) content {
			all := between(r, 1, 873)
			return content{"all": all, "infrared": all * r.IntN(101) / 100}
		},
		// Not 0 and 0, where the kernel divides by 0.
		boundaries: pairs("all", "infrared", [2]int{1, 0}, [2]int{1, 1}, [2]int{873, 0}, [2]int{873, 873}),
		beyond:     pairs("all", "infrared", [2]int{500, 501}, [2]int{2000, 0}),
		within:     map[string]float64{"illuminance": 0.001},
		// The share of infrared light is cut to thousandths.
		margin: func(_ string, c content, v float64) float64 { return 0.00417 * float64(c["all"]-c["infrared"]) }},
	{name: "ina260", address: 0x46, module: "ina2xx", bind: "ina260", class: "hwmon", driver: "ina260", model: i2c.INA260(0, 0), series: newer,
		contents:   randomPair("current", -12_000, 12_000, "bus", 0, 28_800),
		boundaries: pairs("current", "bus", [2]int{-12_000, 0}, [2]int{-1, 1}, [2]int{0, 28_800}, [2]int{1, 3000}, [2]int{12_000, 28_800}),
		beyond:     pairs("current", "bus", [2]int{-16_001, 3000}, [2]int{16_001, 3000}, [2]int{0, 28_801}),
		// Whole mV and mA; the chip computes its power, without a sign, in steps of 10 mW.
		within: map[string]float64{"voltage": 0.0005, "current": 0.0005, "power": 0.01}, unsigned: []string{"power"},
		channels: map[string]string{"in1": "", "curr1": "", "power1": ""}},
	{name: "ina3221", address: 0x43, module: "ina3221", bind: "ina3221", class: "hwmon", driver: "ina3221,shunt=0.01Ω", model: i2c.INA3221(0, 0), series: newer,
		contents: func(r *rand.Rand) content {
			return threeChannels(between(r, -4095, 4094), between(r, 0, 4095), between(r, -4095, 4094), between(r, 0, 4095))
		},
		boundaries: []content{threeChannels(-4095, 0, -1, 1), threeChannels(4094, 4095, 0, 0)},
		beyond:     []content{threeChannels(-4096, 0, 0, 0), threeChannels(4095, 0, 0, 0)},
		within:     map[string]float64{"voltage": 0, "current": 0},
		channels:   map[string]string{"in1": "ch1", "in2": "ch2", "in3": "ch3", "curr1": "ch1", "curr2": "ch2", "curr3": "ch3"}},
}

func bme680Content(t, p, h, gas, span int) content {
	return content{"adc_T": t, "adc_P": p, "adc_H": h, "adc_G": gas, "range": span}
}

// threeChannels are an INA3221's contents: the third channel's are the first's
// the other way round.
func threeChannels(shunt1, bus1, shunt2, bus2 int) content {
	return content{"shunt1": shunt1, "bus1": bus1, "shunt2": shunt2, "bus2": bus2, "shunt3": -shunt1 - 1, "bus3": 4095 - bus1}
}

func everyMillisecond(s i2c.Spec) i2c.Spec {
	s.Values["interval"] = 1
	return s
}

// oneAboveBelowZero allows for Linux 6.12, whose temperatures of these chips are one
// step above the data sheet's integers below 0 °C. Those of 6.1 aren't.
func oneAboveBelowZero(step float64) func(string, content, float64) float64 {
	return func(quantity string, _ content, v float64) float64 {
		if quantity != "temperature" || v > 0 {
			return 0
		}
		return step
	}
}
