package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var tsl2561Probe = []io{{b(0x8a), b(0x50)}}

// tsl2561Sense is one integration.
func tsl2561Sense(timing byte, ch0, ch1 uint16) []io {
	return seq([]io{{b(0x80, 0x00), nil}, {b(0x81, timing), nil}, {b(0x80, 0x03), nil}},
		twice(io{b(0xac), b(byte(ch0), byte(ch0>>8))}), twice(io{b(0xae), b(byte(ch1), byte(ch1>>8))}),
		[]io{{b(0x81), b(timing)}, {b(0x80), b(0x33)}}) // the reserved bits of CONTROL don't count
}

var tsl2561Off = []io{{b(0x80, 0x00), nil}}

func TestTSL2561(t *testing.T) {
	for _, tc := range []struct {
		model, gain string
		ch0, ch1    uint16
		lux         float64
	}{
		// Each piece of the data sheet's function, computed from its coefficients.
		{"t", "16", 10000, 0, 304},
		{"t", "16", 10000, 5000, 69.0639}, // 304 - 620 · 0.5^1.4
		{"t", "16", 10000, 5500, 53.5},
		{"t", "16", 10000, 7000, 20.9},
		{"t", "16", 10000, 10000, 3.4},
		{"t", "16", 10000, 13001, 0},
		{"t", "16", 0, 0, 0},
		{"t", "16", 0, 3, 0},
		{"t", "1", 10000, 5500, 856},
		{"cs", "16", 10000, 0, 315},
		{"cs", "16", 10000, 6000, 54.4},
		{"cs", "16", 10000, 7000, 31},
		{"cs", "1", 10000, 10000, 124.8},
	} {
		timing := byte(0x12)
		if tc.gain == "1" {
			timing = 0x02
		}
		playedRead{
			driver: "tsl2561", texts: map[string]string{"model": tc.model, "gain": tc.gain}, addr: 0x39, probe: tsl2561Probe,
			sense: seq(tsl2561Sense(timing, tc.ch0, tc.ch1), tsl2561Off),
			want:  map[string]float64{"illuminance": tc.lux}, within: 0.001,
			waits: []time.Duration{430 * time.Millisecond},
		}.run(t)
	}
}

func TestTSL2561Errors(t *testing.T) {
	good := tsl2561Sense(0x12, 10000, 5500)
	for _, tc := range []playedError{
		{ops: []io{{b(0x8a), b(0x40)}}, reason: sensors.Identity, says: "which no TSL2561 has"},
		{ops: []io{{b(0x8a), b(0xff)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(tsl2561Probe, tsl2561Sense(0x12, 65535, 5500), tsl2561Off), reason: sensors.OutOfRange, says: "take gain=1 or auto, or shade it"},
		{ops: seq(tsl2561Probe, tsl2561Sense(0x12, 5500, 65535), tsl2561Off), reason: sensors.OutOfRange, says: "take gain=1 or auto, or shade it"},
		{ops: seq(tsl2561Probe, good[:len(good)-1], []io{{b(0x80), b(0x00)}}, tsl2561Off), reason: sensors.Identity, says: "register 0x80 reads 0x00 and not the 0x03 that was set"},
	} {
		tc.driver, tc.addr, tc.texts = "tsl2561", 0x39, map[string]string{"gain": "16"}
		tc.run(t)
	}
}
