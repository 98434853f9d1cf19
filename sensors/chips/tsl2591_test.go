package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var (
	tsl2591Probe = []io{{b(0xb2), b(0x50)}}
	tsl2591Off   = []io{{b(0xa0, 0x00), nil}}
)

// tsl2591Sense is one integration, which has ended in time.
func tsl2591Sense(control byte, ch0, ch1 uint16) []io {
	return seq([]io{{b(0xa0, 0x00), nil}, {b(0xa1, control), nil}, {b(0xa0, 0x03), nil}, {b(0xb3), b(0x01)}},
		twice(io{b(0xb4), b(byte(ch0), byte(ch0>>8), byte(ch1), byte(ch1>>8))}),
		[]io{{b(0xa1), b(control)}, {b(0xa0), b(0x03)}})
}

func TestTSL2591(t *testing.T) {
	for _, tc := range []struct {
		gain     string
		control  byte
		ch0, ch1 uint16
		lux      float64
	}{
		// (ch0 - ch1) · (1 - ch1/ch0) · 408 / (100 · gain)
		{"1", 0x00, 1000, 0, 4080},
		{"1", 0x00, 20000, 5000, 45900},
		{"25", 0x10, 1000, 500, 40.8},
		{"428", 0x20, 1000, 250, 5.36215},
		{"9876", 0x30, 1000, 250, 0.232382},
		{"25", 0x10, 0, 0, 0},
		{"25", 0x10, 1, 1, 0},
		{"9876", 0x30, 0, 1, 0}, // the noise of the dark
		{"9876", 0x30, 7, 20, 0},
		{"25", 0x10, 36862, 0, 6015.8784},
	} {
		playedRead{
			driver: "tsl2591", texts: map[string]string{"gain": tc.gain}, addr: 0x29, probe: tsl2591Probe,
			sense: seq(tsl2591Sense(tc.control, tc.ch0, tc.ch1), tsl2591Off),
			want:  map[string]float64{"illuminance": tc.lux}, within: 1e-4,
			waits: []time.Duration{108 * time.Millisecond},
		}.run(t)
	}
}

func TestTSL2591Errors(t *testing.T) {
	good := tsl2591Sense(0x10, 1000, 250)
	for _, tc := range []playedError{
		{ops: []io{{b(0xb2), b(0x44)}}, reason: sensors.Identity, says: "it looks like a TCS34725"},
		{ops: []io{{b(0xb2), b(0x00)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(tsl2591Probe, tsl2591Sense(0x10, 36863, 250), tsl2591Off), reason: sensors.OutOfRange, says: "take a smaller gain or auto"},
		{ops: seq(tsl2591Probe, tsl2591Sense(0x10, 65535, 65535), tsl2591Off), reason: sensors.OutOfRange, says: "take a smaller gain or auto"},
		{ops: seq(tsl2591Probe, tsl2591Sense(0x10, 7, 21), tsl2591Off), reason: sensors.OutOfRange, says: "more infrared light (21) than light at all (7)"},
		{ops: seq(tsl2591Probe, tsl2591Sense(0x10, 250, 251), tsl2591Off), reason: sensors.OutOfRange, says: "more infrared light (251) than light at all (250)"},
		{ops: seq(tsl2591Probe, good[:len(good)-1], []io{{b(0xa0), b(0x00)}}, tsl2591Off), reason: sensors.Identity, says: "register 0xa0 reads 0x00 and not the 0x03 that was set"},
	} {
		tc.driver, tc.addr, tc.texts = "tsl2591", 0x29, map[string]string{"gain": "25"}
		tc.run(t)
	}
}
