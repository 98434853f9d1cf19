package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// stSense is one shot of a chip with these control registers; p is the first
// register of the result as it is asked for.
func stSense(first, awake, second, begin, p byte, result []byte) []io {
	return seq(
		[]io{{b(first, awake), nil}, {b(second, begin), nil}, {b(second), b(begin)}, {b(second), b(begin &^ 1)}, {b(0x27), b(0x03)}},
		twice(io{b(p), result}), []io{{b(first), b(awake)}})
}

func lps22hbSense(result []byte) []io { return stSense(0x10, 0x02, 0x11, 0x11, 0x28, result) }

// stSleep is how the older two are powered down.
var stSleep = []io{{b(0x20, 0x04), nil}, {b(0x20), b(0x04)}}

func TestLPS22HB(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		pascals float64
		celsius float64
	}{
		{b(0x00, 0x40, 0x3f, 0xc4, 0x09), 101200, 25}, // 0x3f4000/4096 hPa
		{b(0x00, 0x40, 0x10, 0x00, 0x00), 26000, 0},
		{b(0x00, 0xc0, 0x4e, 0x34, 0x21), 126000, 85},
		{b(0x01, 0x40, 0x3f, 0x60, 0xf0), 101200.0244, -40},
	} {
		playedRead{
			driver: "lps22hb", addr: 0x5c, probe: []io{{b(0x0f), b(0xb1)}}, sense: lps22hbSense(tc.raw),
			want: map[string]float64{"pressure": tc.pascals, "temperature": tc.celsius}, within: 1e-4,
			waits: []time.Duration{14 * time.Millisecond},
		}.run(t)
	}
}

func TestLPS25H(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		pascals float64
		celsius float64
	}{
		{b(0x00, 0x40, 0x3f, 0x00, 0x00), 101200, 42.5},
		{b(0x00, 0x40, 0x10, 0xb0, 0x4f), 26000, 85},
		{b(0x00, 0xc0, 0x4e, 0x50, 0xb0), 126000, 0},
	} {
		playedRead{
			driver: "lps25h", texts: map[string]string{"addr": "0x5d"}, addr: 0x5d, probe: []io{{b(0x0f), b(0xbd)}},
			sense: seq(stSense(0x20, 0x84, 0x21, 0x01, 0xa8, tc.raw), stSleep),
			want:  map[string]float64{"pressure": tc.pascals, "temperature": tc.celsius}, within: 0.003,
			waits: []time.Duration{40 * time.Millisecond},
		}.run(t)
	}
}

func TestLPSErrors(t *testing.T) {
	probe := []io{{b(0x0f), b(0xb1)}}
	good := lps22hbSense(b(0x00, 0x40, 0x3f, 0xc4, 0x09))
	for _, tc := range []playedError{
		{ops: []io{{b(0x0f), b(0xbd)}}, reason: sensors.Identity, says: "it looks like an LPS25H (give model=lps25h)"},
		{driver: "lps25h", ops: []io{{b(0x0f), b(0xb1)}}, reason: sensors.Identity, says: "it looks like an LPS22HB (give model=lps22hb)"},
		{ops: []io{{b(0x0f), b(0x00)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(probe, good[:2], []io{{b(0x11), b(0x10)}}), reason: sensors.Identity, says: "no measurement was begun"},
		{ops: seq(probe, good[:4], []io{{b(0x27), b(0x01)}}), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(probe, good[:len(good)-1], []io{{b(0x10), b(0x00)}}), reason: sensors.Identity, says: "register 0x10 reads 0x00 and not the 0x02 that was set"},
		{ops: seq(probe, lps22hbSense(b(0xff, 0x3f, 0x10, 0, 0))), reason: sensors.OutOfRange, says: "pressure of"},
		{ops: seq(probe, lps22hbSense(b(0x00, 0x40, 0x3f, 0x5f, 0xf0))), reason: sensors.OutOfRange, says: "temperature of -40.01"},
	} {
		if tc.driver == "" {
			tc.driver = "lps22hb"
		}
		tc.addr = 0x5c
		tc.run(t)
	}
}

// hts221Calib has 20 % at 1000, 70 % at -9000, 10 °C at -200 and 33 °C at 720:
// the last is above 31.875 °C, and takes a bit of register 0x35.
var hts221Calib = b(40, 140, 80, 0x08, 0, 0x04, 0xe8, 0x03, 0, 0, 0xd8, 0xdc, 0x38, 0xff, 0xd0, 0x02)

var hts221Probe = []io{{b(0x0f), b(0xbc)}, {b(0xb0), hts221Calib}, {b(0xb0), hts221Calib}}

func hts221Sense(result []byte) []io {
	return stSense(0x20, 0x84, 0x21, 0x01, 0xa8, result)
}

func TestHTS221(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		ratio   float64
		celsius float64
	}{
		{b(0xe8, 0x03, 0x38, 0xff), 0.2, 10}, // the points of the calibration
		{b(0xd8, 0xdc, 0xd0, 0x02), 0.7, 33},
		{b(0x60, 0xf0, 0x04, 0x01), 0.45, 21.5},  // halfway
		{b(0x88, 0x13, 0x38, 0xf8), 0, -34.8},    // 5000 and -1992
		{b(0x70, 0x17, 0x38, 0xf8), 0, -34.8},    // 6000: -5 %, cut
		{b(0x78, 0xc5, 0xc8, 0x0f), 0.9992, 116}, // -14984 and 4040
	} {
		playedRead{
			driver: "hts221", addr: 0x5f, probe: hts221Probe, sense: seq(hts221Sense(tc.raw), stSleep),
			want: map[string]float64{"humidity": tc.ratio, "temperature": tc.celsius}, within: 1e-9,
			waits: []time.Duration{80 * time.Millisecond},
		}.run(t)
	}
}

func TestHTS221Errors(t *testing.T) {
	flat := append([]byte(nil), hts221Calib...)
	copy(flat[14:], flat[12:14])
	good := hts221Sense(b(0x60, 0xf0, 0x04, 0x01))
	off := stSleep[:1]
	for _, tc := range []playedError{
		{ops: []io{{b(0x0f), b(0xbd)}}, reason: sensors.Identity, says: "which no HTS221 has"},
		{ops: seq(hts221Probe[:2], []io{{b(0xb0), flat}, {b(0xb0), hts221Calib}}), reason: sensors.Checksum, says: "register 0xb0: it reads"},
		{ops: seq(hts221Probe[:1], twice(io{b(0xb0), flat}), good, off), reason: sensors.Identity, says: "the two points of the calibration"},
		{ops: seq(hts221Probe, good[:2], []io{{b(0x21), b(0x00)}}, off), reason: sensors.Identity, says: "no measurement was begun"},
		{ops: seq(hts221Probe, good[:4], []io{{b(0x27), b(0x00)}}, off), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(hts221Probe, hts221Sense(b(0x60, 0xf0, 0xff, 0x7f)), off), reason: sensors.OutOfRange, says: "temperature of"},
	} {
		tc.driver, tc.addr = "hts221", 0x5f
		tc.run(t)
	}
}
