package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var (
	mcp9808Probe = []io{{b(6), b(0x00, 0x54)}, {b(7), b(0x04, 0x00)}, {b(8, 3), nil}, {b(8), b(3)}}
	mcp9808Start = []io{{b(1, 6, 0), nil}}
	mcp9808Check = []io{{b(1), b(6, 0)}, {b(8), b(3)}} // it was awake, and not reset
	mcp9808Sleep = []io{{b(1, 7, 0), nil}, {b(1), b(7, 0)}}
)

func TestMCP9808(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		celsius float64
	}{
		{b(0xc1, 0x94), 25.25}, // equation 5-1
		{b(0x1f, 0xf0), -1},
		{b(0x00, 0x00), 0},
		{b(0x1f, 0xff), -0.0625},
		{b(0x07, 0xd0), 125},
		{b(0x1d, 0x80), -40},
	} {
		playedRead{
			driver: "mcp9808", addr: 0x18, probe: mcp9808Probe,
			sense: seq(mcp9808Start, twice(io{b(5), tc.raw}), mcp9808Check, mcp9808Sleep),
			want:  map[string]float64{"temperature": tc.celsius},
			waits: []time.Duration{300 * time.Millisecond},
		}.run(t)
	}
}

func TestMCP9808Errors(t *testing.T) {
	off := mcp9808Sleep[:1]
	start := seq(mcp9808Probe, mcp9808Start)
	good := twice(io{b(5), b(0xc1, 0x94)})
	for _, tc := range []playedError{
		{ops: []io{{b(6), b(0, 0)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: []io{{b(6), b(0x01, 0x17)}}, reason: sensors.Identity, says: "register 0x06 reads 0x0117, which no MCP9808 has"},
		{ops: []io{{b(6), b(0, 0x54)}, {b(7), b(0x05, 0)}}, reason: sensors.Identity, says: "register 0x07 reads 0x0500"},
		{ops: seq(start, good, []io{{b(1), b(0, 0)}}, off), reason: sensors.Identity, says: "register 0x01 reads 0x0000 and not the 0x0600 that was set"},
		{ops: seq(start, good, mcp9808Check[:1], []io{{b(8), b(1)}}, off), reason: sensors.Identity, says: "register 0x08 reads 0x01 and not the 0x03"},
		{ops: seq(start, good, mcp9808Check, mcp9808Sleep[:1], []io{{b(1), b(6, 0)}}), reason: sensors.Identity, says: "register 0x01 reads 0x0600 and not the 0x0700"},
		{ops: seq(start, twice(io{b(5), b(0x08, 0)}), mcp9808Check, off), reason: sensors.OutOfRange, says: "temperature of 128.00 °C"},
	} {
		tc.driver, tc.addr = "mcp9808", 0x18
		tc.run(t)
	}
}
