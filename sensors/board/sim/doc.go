// Package sim is a board of modelled chips: the wires of package board at the
// level of bytes, levels and files, with time taken from a clock. It is what
// "dormouse demo" shows, and what drivers are tested against: each chip, line
// and file can be pulled out, stuck, or made to lie.
//
//	I2C bus 1   BME280 at 0x76, SHT4x at 0x44, TMP102 at 0x48, ADS1115 at 0x4a
//	SPI bus 0   MCP3008 at chip select 0: a wind vane, a tank's level
//	serial      PMS5003 at /dev/serial0
//	1-Wire      one DS18B20, by the kernel's files below /sys/bus/w1
//	thermal     /sys/class/thermal/thermal_zone0
//	header      54 lines, of which GPIO4 to GPIO27 can be wired:
//	            16 float switch, 22 rain gauge, 23 motion, 24 water meter,
//	            25 energy meter, 26 anemometer, 27 door; 4 DHT22, 12 and 13
//	            trigger and echo of an HC-SR04, 20 and 21 data and clock of an
//	            HX711; others follow their pull
//
// Values move slowly and plausibly; the same seed and the same moments give
// the same values. Nothing runs by itself: no goroutine, no timer. What has
// happened since the last look is worked out when somebody looks.
//
// The models are written from the data sheets and share no code with the
// drivers. They don't model analogue faults, bouncing contacts or bus speed.
package sim
