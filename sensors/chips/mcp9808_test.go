package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var (
	mcp9808Probe = []io{{b(6), b(0x00, 0x54)}, {b(7), b(0x04, 0x00)}, {b(8, 3), nil}, {b(8), b(3)}}
	mcp9808Sense = []io{
		{b(1, 0, 0), nil},
		{b(1), b(0, 0)}, // it is awake
		{b(8), b(3)},
		{b(1, 1, 0), nil},
	}
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
			sense: seq(mcp9808Sense, twice(io{b(5), tc.raw}), []io{{b(1), b(1, 0)}}),
			want:  map[string]float64{"temperature": tc.celsius},
			waits: []time.Duration{300 * time.Millisecond},
		}.run(t)
	}
}

func TestMCP9808Errors(t *testing.T) {
	off := []io{{b(1, 1, 0), nil}}
	for _, tc := range []playedError{
		{ops: []io{{b(6), b(0, 0)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: []io{{b(6), b(0x01, 0x17)}}, reason: sensors.Identity, says: "register 0x06 reads 0x0117, which no MCP9808 has"},
		{ops: []io{{b(6), b(0, 0x54)}, {b(7), b(0x05, 0)}}, reason: sensors.Identity, says: "register 0x07 reads 0x0500"},
		{ops: seq(mcp9808Probe, mcp9808Sense[:1], []io{{b(1), b(1, 0)}}, off), reason: sensors.Identity, says: "register 0x01 reads 0x0100 and not the 0x0000 that was set"},
		{ops: seq(mcp9808Probe, mcp9808Sense[:2], []io{{b(8), b(1)}}, off), reason: sensors.Identity, says: "register 0x08 reads 0x01 and not the 0x03"},
		{ops: seq(mcp9808Probe, mcp9808Sense, twice(io{b(5), b(0, 0)}), []io{{b(1), b(0, 0)}}), reason: sensors.Identity, says: "register 0x01 reads 0x0000 and not the 0x0100"},
		{ops: seq(mcp9808Probe, mcp9808Sense, twice(io{b(5), b(0x08, 0)}), []io{{b(1), b(1, 0)}}), reason: sensors.OutOfRange, says: "temperature of 128.00 °C"},
	} {
		tc.driver, tc.addr = "mcp9808", 0x18
		tc.run(t)
	}
}
