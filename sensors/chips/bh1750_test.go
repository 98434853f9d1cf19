package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// bh1750Wake switches it on and sets the usual measuring time.
var bh1750Wake = seq(twice(io{b(0x01), nil}), []io{{b(0x42), nil}, {b(0x65), nil}, {b(0x42), nil}, {b(0x65), nil}})

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
		{"high", 0x20, b(0xff, 0xfe), 54611.667, 180 * time.Millisecond},
		{"high2", 0x21, b(0x83, 0x90), 14033.333, 180 * time.Millisecond},
		{"low", 0x23, b(0x01, 0x10), 226.667, 24 * time.Millisecond},
	} {
		playedRead{
			driver: "bh1750", texts: map[string]string{"resolution": tc.resolution}, addr: 0x23,
			sense: seq(bh1750Wake, twice(io{b(tc.command), nil}), twice(io{nil, tc.raw}), []io{{b(0x00), nil}}),
			want:  map[string]float64{"illuminance": tc.lux}, within: 0.001,
			waits: []time.Duration{tc.wait},
		}.run(t)
	}
}

// Night is measured twice: a chip that was reset reads as it does.
func TestBH1750Night(t *testing.T) {
	measured := func(raw ...byte) []io { return seq(twice(io{b(0x20), nil}), twice(io{nil, raw})) }
	for _, tc := range []struct {
		second []byte
		lux    float64
	}{{b(0, 0), 0}, {b(0x01, 0x10), 226.667}} {
		playedRead{
			driver: "bh1750", addr: 0x23,
			sense: seq(bh1750Wake, measured(0, 0), bh1750Wake, measured(tc.second...), []io{{b(0x00), nil}}),
			want:  map[string]float64{"illuminance": tc.lux}, within: 0.001,
			waits: []time.Duration{180 * time.Millisecond, 180 * time.Millisecond},
		}.run(t)
	}
}

func TestBH1750Errors(t *testing.T) {
	start := seq(bh1750Wake, twice(io{b(0x20), nil}))
	off := []io{{b(0x00), nil}}
	for _, tc := range []playedError{
		{ops: seq(start, twice(io{nil, b(0xff, 0xff)}), start, twice(io{nil, b(0xff, 0xff)}), off), reason: sensors.OutOfRange, says: "the light is beyond the range of resolution=high: shade it"},
		{ops: seq(start, []io{{nil, b(0x01, 0x10)}, {nil, b(0x01, 0x11)}, {nil, b(0x01, 0x10)}}, off), reason: sensors.Checksum, says: "reads 0x0111 and then 0x0110"},
	} {
		tc.driver, tc.addr = "bh1750", 0x23
		tc.run(t)
	}
}
