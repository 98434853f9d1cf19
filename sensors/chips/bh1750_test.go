package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

func TestBH1750(t *testing.T) {
	for _, tc := range []struct {
		resolution string
		command    byte
		raw        []byte
		lux        float64
		wait       time.Duration
	}{
		{"high", 0x20, b(0x83, 0x90), 28066.667, 180 * time.Millisecond}, // page 7: 28067 lx
		{"high", 0x20, b(0x01, 0x10), 226.667, 180 * time.Millisecond},
		{"high", 0x20, b(0x00, 0x00), 0, 180 * time.Millisecond}, // night
		{"high", 0x20, b(0xff, 0xfe), 54611.667, 180 * time.Millisecond},
		{"high2", 0x21, b(0x83, 0x90), 14033.333, 180 * time.Millisecond},
		{"low", 0x23, b(0x01, 0x10), 226.667, 24 * time.Millisecond},
	} {
		playedRead{
			driver: "bh1750", texts: map[string]string{"resolution": tc.resolution}, addr: 0x23,
			sense: seq([]io{{b(0x01), nil}, {b(tc.command), nil}}, twice(io{nil, tc.raw}), []io{{b(0x00), nil}}),
			want:  map[string]float64{"illuminance": tc.lux}, within: 0.001,
			waits: []time.Duration{tc.wait},
		}.run(t)
	}
}

func TestBH1750Errors(t *testing.T) {
	start := []io{{b(0x01), nil}, {b(0x20), nil}}
	off := []io{{b(0x00), nil}}
	for _, tc := range []playedError{
		{ops: seq(start, twice(io{nil, b(0xff, 0xff)}), off), reason: sensors.OutOfRange, says: "the light is beyond what resolution=high can tell: shade it"},
		{ops: seq(start, []io{{nil, b(0x01, 0x10)}, {nil, b(0x01, 0x11)}}, off), reason: sensors.Checksum, says: "reads 0x0110 and then 0x0111"},
	} {
		tc.driver, tc.addr = "bh1750", 0x23
		tc.run(t)
	}
}
