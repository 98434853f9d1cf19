package sim

import (
	"math"

	"example.org/dormouse/sensors"
)

// Values are what the board's sensors would measure at one moment if they
// were perfect: temperatures in °C, humidities in percent, pressure in pascals,
// inputs in volts, distances in metres, masses in grams, illuminances in lux.
type Values struct {
	GreenhouseTemperature float64 // BME280
	GreenhouseHumidity    float64
	Pressure              float64
	OfficeTemperature     float64 // SHT4x
	OfficeHumidity        float64
	CellarTemperature     float64    // TMP102
	PondTemperature       float64    // DS18B20
	ProcessorTemperature  float64    // thermal zone
	Inputs                [4]float64 // ADS1115: soil probe, half the battery, light, ground
	ShedTemperature       float64    // DHT22
	ShedHumidity          float64
	CisternDistance       float64 // HC-SR04: metres down to the water
	BeehiveMass           float64 // HX711: grams
	RoofIlluminance       float64 // BH1750, by the kernel
	BatteryVoltage        float64 // MAX17048, by the kernel
	VaneVoltage           float64 // MCP3008, ch0
	TankVoltage           float64 // MCP3008, ch1
	// Particles are what the PMS5003 weighs, up to 1, 2.5 and 10 µm: grams per
	// cubic metre.
	Particles [3]float64
}

// world is the one that New makes from its seed.
type world struct{ seed uint64 }

func (w world) at(at sensors.Instant) Values {
	t := float64(at) / 1e9
	day := w.wave(0, t, 86400)
	dust := 1e-6 * (14 - 4*day + 3*w.wave(30, t, 5100) + 0.5*w.wave(31, t, 79))
	return Values{
		GreenhouseTemperature: 19 + 5*day + 0.6*w.wave(1, t, 2300) + 0.05*w.wave(2, t, 97),
		GreenhouseHumidity:    66 - 12*day + 3*w.wave(3, t, 2900) + 0.4*w.wave(4, t, 131),
		Pressure:              101325 + 900*w.wave(5, t, 5*86400) + 40*w.wave(6, t, 7100),
		OfficeTemperature:     21.5 + 1.2*day + 0.25*w.wave(7, t, 1700) + 0.05*w.wave(8, t, 113),
		OfficeHumidity:        44 - 4*day + 2*w.wave(9, t, 3100) + 0.4*w.wave(10, t, 149),
		CellarTemperature:     9.5 + 0.4*day + 0.3*w.wave(11, t, 4100),
		PondTemperature:       11 + 0.8*day + 0.35*w.wave(12, t, 5300),
		ProcessorTemperature:  47 + 2*w.wave(13, t, 1300) + 1.5*w.wave(14, t, 61),
		Inputs: [4]float64{
			1.9 + 0.25*w.wave(15, t, 3*86400) + 0.01*w.wave(16, t, 71),
			1.95 + 0.08*day + 0.01*w.wave(17, t, 613),
			1.4 + 1.2*day + 0.1*w.wave(18, t, 211),
			0.0004 + 0.0002*w.wave(19, t, 59),
		},
		ShedTemperature: 14 + 6*day + 0.8*w.wave(20, t, 2700),
		ShedHumidity:    61 - 9*day + 3*w.wave(21, t, 3300),
		CisternDistance: 1.1 + 0.4*w.wave(22, t, 2*86400) + 0.01*w.wave(23, t, 83),
		BeehiveMass:     31500 + 900*w.wave(24, t, 6*86400) + 350*day + 15*w.wave(25, t, 419),
		RoofIlluminance: 24000 * max(0, 0.4+0.6*day+0.05*w.wave(26, t, 173)),
		BatteryVoltage:  4.05 + 0.1*day + 0.002*w.wave(27, t, 89),
		VaneVoltage:     1.6 + 1.1*w.wave(28, t, 3700) + 0.3*w.wave(32, t, 47),
		TankVoltage:     2.1 + 0.5*w.wave(29, t, 2*86400),
		Particles:       [3]float64{0.6 * dust, dust, 1.4 * dust},
	}
}

// wave swings between -1 and 1 once in a period of seconds, from where the
// seed puts it.
func (w world) wave(which uint64, t, period float64) float64 {
	phase := float64(hash(w.seed, which)>>11) / (1 << 53)
	return math.Sin(2 * math.Pi * (t/period + phase))
}

// hash is a random number that depends on its arguments only: the finalizer
// of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
// Generators, 2014) over each in turn.
func hash(of ...uint64) uint64 {
	var h uint64
	for _, v := range of {
		h = (h ^ v) + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}
