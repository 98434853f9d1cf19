package chips

import (
	"encoding/binary"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// shtProbe is the probe of an SHT3x or STS3x: break, serial number, heater off.
var shtProbe = []io{
	{b(0x30, 0x93), nil},
	{b(0x36, 0x82), nil}, {nil, crcs(0x0e3a, 0x51c7)},
	{b(0x30, 0x66), nil},
}

var heaterOff = io{b(0xf3, 0x2d), crcs(0x8010)}

func TestSHT3x(t *testing.T) {
	for _, tc := range []struct {
		precision string
		low       byte
		wait      time.Duration
	}{
		{"high", 0x00, 15500 * time.Microsecond},
		{"medium", 0x0b, 6500 * time.Microsecond},
		{"low", 0x16, 4500 * time.Microsecond},
	} {
		for _, v := range []struct {
			t, h              uint16
			celsius, humidity float64
		}{
			{0x6666, 0x7a00, 25, 0.47657},
			{16852, 0x0000, 0, 0},
			{0x6666, 0xffff, 25, 1},
			{1873, 0x8000, -40, 0.50001},
			{63661, 0x8000, 124.9974, 0.50001},
		} {
			playedRead{
				driver: "sht3x", texts: map[string]string{"precision": tc.precision}, addr: 0x44, probe: shtProbe,
				sense: []io{{b(0x24, tc.low), nil}, {nil, crcs(v.t, v.h)}, heaterOff},
				want:  map[string]float64{"temperature": v.celsius, "humidity": v.humidity}, within: 0.002,
				waits: []time.Duration{tc.wait},
			}.run(t)
		}
	}
}

func TestSTS3x(t *testing.T) {
	playedRead{
		driver: "sts31", texts: map[string]string{"addr": "0x4b"}, addr: 0x4b, probe: shtProbe,
		sense: []io{{b(0x24, 0x00), nil}, {nil, crcs(0x6666)}, heaterOff},
		want:  map[string]float64{"temperature": 25}, within: 0.001,
	}.run(t)
}

var (
	shtc3Wake  = io{b(0x35, 0x17), nil}
	shtc3Sleep = io{b(0xb0, 0x98), nil}
	shtc3Probe = []io{shtc3Wake, {b(0xef, 0xc8), crcs(0x0887)}}
)

func TestSHTC3(t *testing.T) {
	for _, tc := range []struct {
		precision string
		command   []byte
		wait      time.Duration
	}{
		{"high", b(0x78, 0x66), 12100 * time.Microsecond},
		{"low", b(0x60, 0x9c), 800 * time.Microsecond},
	} {
		playedRead{
			driver: "shtc3", texts: map[string]string{"precision": tc.precision, "addr": "0x70"}, addr: 0x70, probe: shtc3Probe,
			sense: []io{shtc3Wake, {tc.command, nil}, {nil, b(0x64, 0x8b, 0xc7, 0xa1, 0x33, 0x1c)}, shtc3Sleep},
			want:  map[string]float64{"temperature": 23.73, "humidity": 0.6297}, within: 0.005,
			waits: []time.Duration{240 * time.Microsecond, tc.wait},
		}.run(t)
	}
}

func TestSHT3xErrors(t *testing.T) {
	start := seq(shtProbe, []io{{b(0x24, 0x00), nil}})
	for _, tc := range []playedError{
		{ops: seq(start, []io{{nil, append(crcs(0x6666), 0x7a, 0x00, 0x00)}}), reason: sensors.Checksum, says: "command 0x2400: the answer"},
		{ops: seq(start, []io{{nil, crcs(0x0e3a, 0x51c7)}}), reason: sensors.Busy, says: "another program uses it"},
		{ops: seq(start, []io{{nil, crcs(0xffff, 0x7a00)}, heaterOff}), reason: sensors.OutOfRange, says: "temperature of 130.00 °C"},
		{ops: seq(start, []io{{nil, crcs(0x6666, 0x7a00)}, {b(0xf3, 0x2d), crcs(0xa010)}}), reason: sensors.Busy, says: "the chip's heater is on"},
		// An STS3x's whole answer has the length of a status.
		{texts: map[string]string{"model": "sts3x", "addr": "0x4a"}, addr: 0x4a, ops: seq(start, []io{{nil, crcs(0x8010)}, heaterOff}), reason: sensors.Busy, says: "as the result was"},
		// What it is called by an alias it is in the other direction, too.
		{driver: "shtc3", texts: map[string]string{"addr": "0x70"}, addr: 0x70, ops: []io{shtc3Wake, {b(0xef, 0xc8), crcs(0x0007)}, shtc3Sleep}, reason: sensors.Identity, says: "command 0xefc8 reads 0x0007, which no SHTC3 has"},
	} {
		if tc.driver == "" {
			tc.driver = "sht3x"
		}
		if tc.addr == 0 {
			tc.addr = 0x44
		}
		tc.run(t)
	}
}

// Copies of the chip have no serial number, and measure all the same; a scan
// doesn't offer them.
func TestSHT3xWithoutSerialNumber(t *testing.T) {
	d := sensortest.Driver(t, "sht3x")
	for _, refuses := range []string{"the command", "the read", "a good checksum"} {
		e := sensortest.New(t, d, nil)
		var asked uint16
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if len(w) == 2 {
				asked = binary.BigEndian.Uint16(w)
			}
			switch {
			case asked == 0x3682 && (refuses == "the command" || refuses == "the read" && len(r) > 0):
				return sensortest.ErrNACK
			case asked == 0x2400:
				copy(r, crcs(0x6666, 0x7a00))
			case asked == 0xf32d:
				copy(r, crcs(0x8010))
			}
			return nil
		})
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 {
			t.Errorf("%s: failures %v, error %v", refuses, failures, err)
			continue
		}
		near(t, refuses, sensortest.Value(t, got, sensors.Temperature), 25, 0.002)
		if found, err := d.Identity.Probe(t.Context(), e); err == nil {
			t.Errorf("%s: a scan finds %+v", refuses, found)
		}
	}
}

func TestSHT3xCancelled(t *testing.T) {
	cancelled(t, "sht3x", nil, 0, 0x44)
	cancelled(t, "sht3x", nil, 3, 0x44, shtProbe, []io{{b(0x24, 0x00), nil}})
	// An SHTC3 is put to sleep even then.
	cancelled(t, "shtc3", map[string]string{"addr": "0x70"}, 3, 0x70, shtc3Probe, []io{shtc3Wake, {b(0x78, 0x66), nil}, shtc3Sleep})
}

var hdc302xProbe = []io{
	{b(0x30, 0x93), nil},
	{b(0x37, 0x81), b(0x30, 0x00, 0x33)},
	{b(0x36, 0x83), crcs(0x1122)}, {b(0x36, 0x84), crcs(0x3344)}, {b(0x36, 0x85), crcs(0x5566)},
	{b(0x30, 0x66), nil},
}

func TestHDC302x(t *testing.T) {
	playedRead{
		driver: "hdc302x", texts: map[string]string{"addr": "0x46"}, addr: 0x46, probe: hdc302xProbe,
		sense: []io{{b(0x24, 0x00), nil}, {nil, b(0x68, 0xc5, 0x51, 0x3b, 0x82, 0x31)}, heaterOff},
		want:  map[string]float64{"temperature": 26.62, "humidity": 0.2324}, within: 0.005,
		waits: []time.Duration{15 * time.Millisecond},
	}.run(t)
	playedError{driver: "hdc302x", addr: 0x44, ops: []io{hdc302xProbe[0], {b(0x37, 0x81), crcs(0x3001)}},
		reason: sensors.Identity, says: "command 0x3781 reads 0x3001, which no HDC302x has"}.run(t)
}
