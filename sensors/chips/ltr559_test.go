package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var (
	ltr559Probe = []io{{b(0x86), b(0x92, 0x05)}}
	ltr559Off   = []io{{b(0x80, 0x00), nil}}
)

// ltr559Sense is one integration, which has ended in time.
func ltr559Sense(control byte, ch0, ch1 uint16) []io {
	return seq([]io{{b(0x80, 0x00), nil}, {b(0x85, 0x01), nil}, {b(0x88), b(0, 0, 0, 0)}, {b(0x8c), b(0x00)}, {b(0x80, control), nil}, {b(0x8c), b(0x04)}},
		twice(io{b(0x88), b(byte(ch1), byte(ch1>>8), byte(ch0), byte(ch0>>8))}),
		[]io{{b(0x85), b(0x01)}, {b(0x80), b(control)}})
}

func TestLTR559(t *testing.T) {
	for _, tc := range []struct {
		gain     string
		control  byte
		ch0, ch1 uint16
		lux      float64
	}{
		// Each piece of appendix A, computed from its coefficients.
		{"1", 0x01, 10000, 0, 17743},
		{"1", 0x01, 1100, 900, 2947.03}, // 45 % is of the second piece
		{"1", 0x01, 1200, 800, 3013.88}, // 40 %
		{"1", 0x01, 1000, 1000, 2323.7}, // 50 %
		{"1", 0x01, 360, 640, 289.176},  // 64 % is of the third
		{"1", 0x01, 300, 700, 260.73},   // 70 %
		{"1", 0x01, 150, 850, 0},        // 85 %
		{"1", 0x01, 0, 0, 0},            // the dark
		{"4", 0x09, 1000, 0, 443.575},
		{"48", 0x19, 1000, 0, 36.96458},
		{"96", 0x1d, 1000, 0, 18.48229},
		{"96", 0x1d, 65534, 0, 1211.2185},
	} {
		playedRead{
			driver: "ltr559", texts: map[string]string{"gain": tc.gain}, addr: 0x23, probe: ltr559Probe,
			sense: seq(ltr559Sense(tc.control, tc.ch0, tc.ch1), ltr559Off),
			want:  map[string]float64{"illuminance": tc.lux}, within: 1e-3,
			waits: []time.Duration{120 * time.Millisecond},
		}.run(t)
	}
}

func TestLTR559Errors(t *testing.T) {
	good := ltr559Sense(0x01, 1000, 250)
	for _, tc := range []playedError{
		{ops: []io{{b(0x86), b(0xa2, 0x05)}}, reason: sensors.Identity, says: "which no LTR-559 has"},
		{ops: []io{{b(0x86), b(0xff, 0xff)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(ltr559Probe, good[:3], []io{{b(0x8c), b(0x04)}}, ltr559Off), reason: sensors.Busy, says: "another program uses it"},
		{ops: seq(ltr559Probe, ltr559Sense(0x01, 65535, 250), ltr559Off), reason: sensors.OutOfRange, says: "take a smaller gain or auto"},
		{ops: seq(ltr559Probe, good[:len(good)-1], []io{{b(0x80), b(0x00)}}, ltr559Off), reason: sensors.Identity, says: "register 0x80 reads 0x00 and not the 0x01"},
	} {
		tc.driver, tc.addr, tc.texts = "ltr559", 0x23, map[string]string{"gain": "1"}
		tc.run(t)
	}
}
