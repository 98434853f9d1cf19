package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/crc"
)

// word0 is a word with the checksum of the HTU21D family, which begins with 0.
func word0(v uint16) []byte {
	return b(byte(v>>8), byte(v), crc.Sum8(0x31, 0, byte(v>>8), byte(v)))
}

var htu21dProbe = []io{
	{b(0xfe), nil},
	{b(0xfc, 0xc9), word0(0x32ff)},
	{b(0xe7), b(0x02)}, // the user register is as it should be, and isn't written
	{b(0xe7), b(0x02)},
}

func TestHTU21D(t *testing.T) {
	for _, tc := range []struct {
		model             string
		t, h              []byte
		celsius, humidity float64
		waits             []time.Duration
	}{
		// The checksums are those of the data sheet.
		{"htu21d", b(0x4e, 0x85, 0x6b), b(0x68, 0x3a, 0x7c), 7.043, 0.44895, []time.Duration{50 * time.Millisecond, 16 * time.Millisecond}},
		{"sht2x", b(0x4e, 0x85, 0x6b), b(0x68, 0x3a, 0x7c), 7.043, 0.44895, []time.Duration{85 * time.Millisecond, 29 * time.Millisecond}},
		{"si7021", word0(0x6648), word0(0x7002), 23.3565, 0.48688, []time.Duration{10800 * time.Microsecond, 22800 * time.Microsecond}},
		{"htu21d", word0(0x6648), word0(0x0306), 23.3565, 0, []time.Duration{50 * time.Millisecond, 16 * time.Millisecond}},
		{"sht2x", word0(0x6648), word0(0xe002), 23.3565, 1, []time.Duration{85 * time.Millisecond, 29 * time.Millisecond}},
		{"si7021", word0(0x0a00), word0(0x0306), -39.986, 0, []time.Duration{10800 * time.Microsecond, 22800 * time.Microsecond}}, // -4.5 %, cut
		{"si7021", word0(0x0a00), word0(0xe002), -39.986, 1, []time.Duration{10800 * time.Microsecond, 22800 * time.Microsecond}}, // 103.4 %, cut
	} {
		playedRead{
			driver: "htu21d", texts: map[string]string{"model": tc.model}, addr: 0x40, probe: htu21dProbe,
			sense: []io{{b(0xf3), nil}, {nil, tc.t}, {b(0xf5), nil}, {nil, tc.h}, {b(0xe7), b(0x02)}},
			want:  map[string]float64{"temperature": tc.celsius, "humidity": tc.humidity}, within: 0.001, waits: tc.waits,
		}.run(t)
	}
}

func TestHTU21DErrors(t *testing.T) {
	measure := func(temperature, humidity uint16) []io {
		return []io{{b(0xf3), nil}, {nil, word0(temperature)}, {b(0xf5), nil}, {nil, word0(humidity)}}
	}
	for _, tc := range []playedError{
		{ops: seq(htu21dProbe, measure(0x6642, 0)[:2]), reason: sensors.Busy, says: "it isn't a temperature"},
		{ops: seq(htu21dProbe, measure(0x6640, 0x7000)), reason: sensors.Busy, says: "it isn't a humidity"},
		{ops: seq(htu21dProbe, measure(0x32ff, 0)[:2]), reason: sensors.Busy, says: "what the chip answers when it is asked what it is"},
		{ops: seq(htu21dProbe, measure(0x6640, 0x7002), []io{{b(0xe7), b(0x06)}}), reason: sensors.Identity, says: "command 0xe600 reads 0x06 and not the 0x00 that was set"},
		{ops: seq(htu21dProbe, measure(0x6640, 0x7002), []io{{b(0xe7), b(0x42)}}), reason: sensors.Identity, says: "reads 0x42"},
		{ops: seq(htu21dProbe, measure(0x6640, 0xfffe), []io{{b(0xe7), b(0x02)}}), reason: sensors.OutOfRange, says: "humidity of 119.0 %"},
	} {
		tc.driver, tc.addr = "htu21d", 0x40
		tc.run(t)
	}
}

// The heater that another program left on is switched off, and the reserved
// bits are left as they are.
func TestHTU21DMerges(t *testing.T) {
	playedRead{
		driver: "htu21d", addr: 0x40,
		probe: seq(htu21dProbe[:2], []io{{b(0xe7), b(0x3e)}, {b(0xe7), b(0x3e)}, {b(0xe6, 0x3a), nil}, {b(0xe7), b(0x3a)}}),
		sense: []io{{b(0xf3), nil}, {nil, word0(0x6640)}, {b(0xf5), nil}, {nil, word0(0x7002)}, {b(0xe7), b(0x3a)}},
		want:  map[string]float64{"temperature": 23.335, "humidity": 0.48688}, within: 0.001,
	}.run(t)
}

func ahtFrame(status byte, h, v uint32) []byte {
	return b(status, byte(h>>12), byte(h>>4), byte(h<<4)|byte(v>>16), byte(v>>8), byte(v))
}

func withCRC(p []byte) []byte { return append(p, crc.Sum8(0x31, 0xff, p...)) }

func TestAHT20(t *testing.T) {
	if p := withCRC(ahtFrame(0x1c, 0x80000, 0x60000)); p[6] != 0x4e {
		t.Errorf("the checksum of % x is 0x%02x, want 0x4e", p[:6], p[6])
	}
	for _, tc := range []struct {
		model             string
		begin             byte
		h, t              uint32
		celsius, humidity float64
	}{
		{"aht20", 0xbe, 0x80000, 0x60000, 25, 0.5},
		{"aht20", 0xbe, 0x00000, 0x40000, 0, 0},
		{"aht20", 0xbe, 0xfffff, 0x0cccd, -40, 1},
		{"aht10", 0xe1, 0x7ae14, 0x53333, 15, 0.48},
	} {
		result := twice(io{nil, ahtFrame(0x1c, tc.h, tc.t)})
		if tc.model == "aht20" {
			result = []io{{nil, withCRC(ahtFrame(0x1c, tc.h, tc.t))}}
		}
		playedRead{
			driver: "aht20", texts: map[string]string{"model": tc.model}, addr: 0x38,
			probe: []io{{b(tc.begin, 0x08, 0x00), nil}},
			sense: seq([]io{{b(0xac, 0x33, 0x00), nil}, {nil, b(0x9c)}, {nil, b(0x9c)}, {nil, b(0x1c)}}, result),
			want:  map[string]float64{"temperature": tc.celsius, "humidity": tc.humidity}, within: 0.0002,
			waits: []time.Duration{80 * time.Millisecond, 10 * time.Millisecond},
		}.run(t)
	}
}

func TestAHT20Errors(t *testing.T) {
	start := []io{{b(0xbe, 0x08, 0x00), nil}, {b(0xac, 0x33, 0x00), nil}, {nil, b(0x9c)}, {nil, b(0x1c)}}
	for _, tc := range []playedError{
		{ops: seq(start[:2], []io{{nil, b(0x1c)}}), reason: sensors.Identity, says: "no measurement was begun"},
		{ops: seq(start, []io{{nil, b(0x1c, 0x80, 0, 0x06, 0, 0, 0x4f)}}), reason: sensors.Checksum, says: "has the checksum 0x4f and not 0x4e"},
		{ops: seq(start, []io{{nil, withCRC(ahtFrame(0x14, 0x80000, 0x60000))}}), reason: sensors.NotReady, says: "isn't calibrated"},
		{ops: seq(start, []io{{nil, withCRC(ahtFrame(0x1c, 0, 0))}}), reason: sensors.OutOfRange, says: "temperature of -50.00 °C"},
	} {
		tc.driver, tc.addr = "aht20", 0x38
		tc.run(t)
	}
}

var hdc1080Probe = []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x10, 0x50)}, {b(2, 0x10, 0), nil}, {b(2), b(0x10, 0)}}

func TestHDC1080(t *testing.T) {
	for _, tc := range []struct {
		raw               []byte
		celsius, humidity float64
	}{
		{b(0x64, 0xa0, 0x80, 0x00), 24.856, 0.5},
		{b(0x3e, 0x0c, 0x00, 0x00), -0.00885, 0},
		{b(0xff, 0xfc, 0xff, 0xfc), 124.99, 0.99994},
	} {
		measured := []io{{b(0), nil}, {nil, tc.raw}}
		playedRead{
			driver: "hdc1080", addr: 0x40, probe: hdc1080Probe,
			sense: seq(measured, []io{{b(2), b(0x18, 0)}}, measured, []io{{b(2), b(0x10, 0)}}), // bit 11 is the supply's
			want:  map[string]float64{"temperature": tc.celsius, "humidity": tc.humidity}, within: 0.001,
			waits: []time.Duration{13 * time.Millisecond, 13 * time.Millisecond},
		}.run(t)
	}
}

func TestHDC1080Errors(t *testing.T) {
	measured := func(p ...byte) []io { return []io{{b(0), nil}, {nil, p}, {b(2), b(0x10, 0)}} }
	for _, tc := range []playedError{
		{ops: []io{hdc1080Probe[0], {b(0xff), b(0x22, 0x60)}}, reason: sensors.Identity, says: "it looks like an INA226"},
		{ops: seq(hdc1080Probe, measured(0x54, 0x49, 0x10, 0x50)[:2]), reason: sensors.Busy, says: "what the chip answers when it is asked what it is"},
		{ops: seq(hdc1080Probe, measured(0x64, 0xa1, 0x80, 0x00)[:2]), reason: sensors.Identity, says: "more than 14 bits"},
		{ops: seq(hdc1080Probe, measured(0, 0, 0, 0)), reason: sensors.NotReady, says: "as before the first measurement"},
		{ops: seq(hdc1080Probe, measured(0x64, 0xa0, 0x80, 0x00), measured(0x74, 0xa0, 0x80, 0x00)), reason: sensors.Checksum, says: "temperature of 24.86 °C and, measured again, of 35.17 °C"},
		{ops: seq(hdc1080Probe, measured(0x64, 0xa0, 0x80, 0x00), measured(0x64, 0xa0, 0x90, 0x00)), reason: sensors.Checksum, says: "humidity of 50.0 % and, measured again, of 56.2 %"},
		{ops: seq(hdc1080Probe, []io{{b(0), nil}, {nil, b(0x64, 0xa0, 0x80, 0x00)}, {b(2), b(0, 0)}}), reason: sensors.Identity, says: "register 0x02 reads 0x0000"},
	} {
		tc.driver, tc.addr = "hdc1080", 0x40
		tc.run(t)
	}
}
