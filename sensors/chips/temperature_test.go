package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

var tmp117Probe = []io{{b(0x0f), b(0x01, 0x17)}}

func TestTMP117(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		celsius float64
	}{
		{b(0x0c, 0x80), 25}, // section 7.6.2, table
		{b(0xf3, 0x80), -25},
		{b(0xff, 0xf0), -0.125},
		{b(0x00, 0x00), 0},
		{b(0x00, 0x01), 0.0078125},
		{b(0x4b, 0x00), 150},
		{b(0xe4, 0x80), -55},
	} {
		playedRead{
			driver: "tmp117", addr: 0x48, probe: tmp117Probe,
			sense: seq([]io{{b(1, 0x0c, 0x20), nil}, {b(1), b(0x0c, 0x20)}, {b(1), b(0x24, 0x20)}}, twice(io{b(0), tc.raw}), []io{{b(1), b(0x04, 0x20)}}),
			want:  map[string]float64{"temperature": tc.celsius},
			waits: []time.Duration{140 * time.Millisecond, 5 * time.Millisecond},
		}.run(t)
	}
}

func TestTMP117Errors(t *testing.T) {
	read := func(raw, config []byte) []io {
		return seq(tmp117Probe, []io{{b(1, 0x0c, 0x20), nil}, {b(1), b(0x24, 0x20)}}, twice(io{b(0), raw}), []io{{b(1), config}})
	}
	for _, tc := range []playedError{
		{ops: []io{{b(0x0f), b(0x00, 0x75)}}, reason: sensors.Identity, says: "register 0x0f reads 0x0075, which no TMP117 has"},
		{ops: read(b(0x80, 0x00), b(0x04, 0x20)), reason: sensors.NotReady, says: "temperature reads 0x8000, as before the first measurement"},
		{ops: read(b(0x0c, 0x80), b(0x02, 0x20)), reason: sensors.Identity, says: "register 0x01 reads 0x0220 and not the 0x0420 that was set"},
		{ops: read(b(0x7f, 0xff), b(0x04, 0x20)), reason: sensors.OutOfRange, says: "255.99 °C"},
	} {
		tc.driver, tc.addr = "tmp117", 0x48
		tc.run(t)
	}
}

var adt7410Start = []io{{b(3, 0xa0), nil}, {b(2), b(0x80)}}

func TestADT7410(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		celsius float64
	}{
		{b(0x4b, 0x00), 150}, // table 5
		{b(0x19, 0x00), 50},
		{b(0x00, 0x01), 0.0078125},
		{b(0x00, 0x00), 0},
		{b(0xff, 0xff), -0.0078125},
		{b(0xe4, 0x80), -55},
	} {
		playedRead{
			driver: "adt7410", addr: 0x48, probe: []io{{b(0x0b), b(0xcb)}},
			sense: seq(adt7410Start, []io{{b(2), b(0x80)}, {b(2), b(0x00)}}, twice(io{b(0), tc.raw}), []io{{b(3), b(0xe0)}}),
			want:  map[string]float64{"temperature": tc.celsius},
			waits: []time.Duration{240 * time.Millisecond, 10 * time.Millisecond},
		}.run(t)
	}
	for _, tc := range []playedError{
		{ops: []io{{b(0x0b), b(0xff)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: []io{{b(0x0b), b(0xcb)}, adt7410Start[0], {b(2), b(0x00)}}, reason: sensors.Identity, says: "no conversion was begun"},
		{ops: seq([]io{{b(0x0b), b(0xcb)}}, adt7410Start, []io{{b(2), b(0)}}, twice(io{b(0), b(0, 0)}), []io{{b(3), b(0)}}), reason: sensors.Identity, says: "register 0x03 reads 0x00 and not the 0xa0"},
	} {
		tc.driver, tc.addr = "adt7410", 0x48
		tc.run(t)
	}
}

var ds1621Probe = []io{{b(0x22), nil}, {b(0xac), b(0x8c)}, {b(0xac), b(0x8c)}, {b(0xac, 0x8d), nil}, {b(0xac), b(0x8d)}}

func TestDS1621(t *testing.T) {
	for _, tc := range []struct {
		raw     []byte
		celsius float64
	}{
		{b(0x7d, 0x00), 125}, // table 2
		{b(0x19, 0x00), 25},
		{b(0x00, 0x80), 0.5},
		{b(0x00, 0x00), 0},
		{b(0xff, 0x80), -0.5},
		{b(0xe7, 0x00), -25},
		{b(0xc9, 0x00), -55},
	} {
		playedRead{
			driver: "ds1621", addr: 0x48, probe: ds1621Probe,
			sense: seq([]io{{b(0xee), nil}, {b(0xac), b(0x0d)}, {b(0xac), b(0x0d)}, {b(0xac), b(0x8d)}}, twice(io{b(0xaa), tc.raw}), []io{{b(0xac), b(0x8d)}}),
			want:  map[string]float64{"temperature": tc.celsius},
			waits: []time.Duration{time.Second, 50 * time.Millisecond},
		}.run(t)
	}
	// A bit of the other ones that was disturbed once isn't kept for ever.
	disturbed := []io{ds1621Probe[0], {b(0xac), b(0x8e)}, {b(0xac), b(0x8c)}, {b(0xac), b(0x8c)}, {b(0xac, 0x8d), nil}, {b(0xac), b(0x8d)}}
	playedRead{
		driver: "ds1621", addr: 0x48, probe: disturbed,
		sense: seq([]io{{b(0xee), nil}, {b(0xac), b(0x0d)}, {b(0xac), b(0x8d)}}, twice(io{b(0xaa), b(0x19, 0x00)}), []io{{b(0xac), b(0x8d)}}),
		want:  map[string]float64{"temperature": 25},
	}.run(t)
	// A chip that is set already isn't written: its EEPROM bears so many writes.
	set := []io{ds1621Probe[0], {b(0xac), b(0x8d)}, {b(0xac), b(0x8d)}}
	start := seq(set, []io{{b(0xee), nil}, {b(0xac), b(0x0d)}, {b(0xac), b(0x8d)}})
	for _, tc := range []playedError{
		{ops: []io{set[0], {b(0xac), b(0x8c)}, {b(0xac), b(0x8e)}, {b(0xac), b(0x8c)}}, reason: sensors.Checksum, says: "it reads 0x8e and then 0x8c"},
		{ops: seq(set, []io{{b(0xee), nil}, {b(0xac), b(0x8d)}}), reason: sensors.Identity, says: "no conversion was begun"},
		{ops: seq(start, []io{{b(0xaa), b(0x19, 0x10)}}), reason: sensors.Identity, says: "more than 9 bits"},
		{ops: seq(start, twice(io{b(0xaa), b(0xc4, 0x00)}), []io{{b(0xac), b(0x8d)}}), reason: sensors.NotReady, says: "as before the first measurement"},
		{ops: seq(start, twice(io{b(0xaa), b(0, 0)}), []io{{b(0xac), b(0)}}), reason: sensors.Identity, says: "register 0xac reads 0x00"},
	} {
		tc.driver, tc.addr = "ds1621", 0x48
		tc.run(t)
	}
}
