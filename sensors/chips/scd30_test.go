package chips

import (
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// The interface description's example: 439.1 ppm, 27.24 °C, 48.8 %.
var scd30Example = b(0x43, 0xdb, 0xcb, 0x8c, 0x2e, 0x8f, 0x41, 0xd9, 0x70, 0xe7, 0xff, 0xf5, 0x42, 0x43, 0xbf, 0x3a, 0x1b, 0x74)

// scd30Asked is a command and its answer, apart: there is no repeated start.
func scd30Asked(command, answer []byte) []io { return []io{{command, nil}, {nil, answer}} }

var (
	scd30Probe   = seq(scd30Asked(b(0xd1, 0x00), b(0x03, 0x42, 0xf3)), scd30Asked(b(0x46, 0x00), b(0x00, 0x02, 0xe3)))
	scd30IsReady = scd30Asked(b(0x02, 0x02), b(0x00, 0x01, 0xb0))
	scd30NotYet  = scd30Asked(b(0x02, 0x02), b(0x00, 0x00, 0x81))
)

func scd30Read(answer []byte) []io { return scd30Asked(b(0x03, 0x00), answer) }

func TestSCD30(t *testing.T) {
	for _, tc := range []struct {
		answer              []byte
		ppm, celsius, ratio float64
	}{
		{scd30Example, 439.09515, 27.23828, 0.4880674},
		{scd30Words(0x44, 0x7a, 0x00, 0x00, 0xc1, 0xa4, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00), 1000, -20.5, 0},
		{scd30Words(0x47, 0x1c, 0x40, 0x00, 0x42, 0x8c, 0x00, 0x00, 0x42, 0xca, 0x00, 0x00), 40000, 70, 1}, // 101 %, cut
	} {
		playedRead{
			driver: "scd30", addr: 0x61, probe: scd30Probe, sense: seq(scd30IsReady, scd30Read(tc.answer)),
			want: map[string]float64{"carbon_dioxide": tc.ppm, "temperature": tc.celsius, "humidity": tc.ratio}, within: 1e-5,
			waits: []time.Duration{4 * time.Millisecond, 4 * time.Millisecond},
		}.run(t)
	}
}

// scd30Words adds the checksums.
func scd30Words(p ...byte) []byte {
	var all []byte
	for w := range slices.Chunk(p, 2) {
		all = append(all, w...)
		all = append(all, crc31(w))
	}
	return all
}

// crc31 is Sensirion's checksum bit by bit.
func crc31(p []byte) byte {
	sum := byte(0xff)
	for _, v := range p {
		sum ^= v
		for range 8 {
			if sum&0x80 != 0 {
				sum = sum<<1 ^ 0x31
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// TestSCD30Waits lets the chip have its result late: after its interval and a
// quarter one that never measures is told to, once.
func TestSCD30Waits(t *testing.T) {
	d := sensortest.Driver(t, "scd30")
	for _, tc := range []struct {
		name    string
		ready   time.Duration // after the first look, or after the start
		started bool          // it measures only then
		starts  int
		most    time.Duration // in all
	}{
		{"it measures", 1900 * time.Millisecond, false, 0, 5 * time.Second},
		{"at the end of its interval", 2300 * time.Millisecond, false, 0, 6 * time.Second},
		{"it was never told to", 2 * time.Second, true, 1, 10 * time.Second},
		{"broken", time.Hour, true, 1, 13 * time.Second},
	} {
		e := sensortest.New(t, d, nil)
		var command []byte
		starts, from := 0, sensors.Instant(0)
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			switch {
			case len(w) > 2: // continuous measurement, no ambient pressure
				if !slices.Equal(w, b(0x00, 0x10, 0x00, 0x00, 0x81)) {
					t.Errorf("it writes % x", w)
				}
				starts++
				from = e.Now()
			case len(w) > 0:
				command = slices.Clone(w)
			case command[0] == 0xd1:
				copy(r, b(0x03, 0x42, 0xf3))
			case command[0] == 0x46:
				copy(r, b(0x00, 0x02, 0xe3))
			case command[0] == 0x03:
				copy(r, scd30Example)
			default:
				if from.IsZero() && !tc.started {
					from = e.Now()
				}
				copy(r, b(0x00, 0x00, 0x81))
				if !from.IsZero() && e.Now().Sub(from) >= tc.ready {
					copy(r, b(0x00, 0x01, 0xb0))
				}
			}
			return nil
		})
		got, _, err := sensortest.Read(t, d, e)
		if tc.ready == time.Hour {
			isError(t, err, sensors.NotReady, "not ready after")
		} else if err != nil || len(got) != 3 {
			t.Errorf("%s: %d readings, error %v", tc.name, len(got), err)
		}
		if starts != tc.starts || e.Waited() > tc.most {
			t.Errorf("%s: it was started %d times, and the read took %v", tc.name, starts, e.Waited())
		}
	}
}

func TestSCD30Errors(t *testing.T) {
	bad := slices.Clone(scd30Example)
	bad[5] ^= 1
	tooEarly := scd30Words(0, 0, 0, 0, 0x41, 0xd9, 0xe7, 0xff, 0x42, 0x43, 0x3a, 0x1b)
	for _, tc := range []playedError{
		{ops: scd30Asked(b(0xd1, 0x00), b(0x03, 0x42, 0xf2)), reason: sensors.Checksum, says: "command 0xd100: the answer 03 42 f2"},
		{ops: scd30Asked(b(0xd1, 0x00), b(0xff, 0xff, 0xff)), reason: sensors.Checksum, says: "disturbed or stuck"},
		{ops: seq(scd30Probe, scd30IsReady, scd30Read(bad)), reason: sensors.Checksum, says: "command 0x0300"},
		{ops: seq(scd30Probe, scd30IsReady, scd30Read(scd30Words(0x47, 0x1c, 0x41, 0x00, 0x41, 0xd9, 0xe7, 0xff, 0x42, 0x43, 0x3a, 0x1b))), reason: sensors.OutOfRange, says: "carbon_dioxide of"},
		{ops: seq(scd30Probe, scd30IsReady, scd30Read(scd30Words(0x7f, 0xc0, 0x00, 0x00, 0x41, 0xd9, 0xe7, 0xff, 0x42, 0x43, 0x3a, 0x1b))), reason: sensors.OutOfRange, says: "not a number"},
		{ops: seq(scd30Probe, scd30IsReady, scd30Read(scd30Words(0x43, 0xdb, 0x8c, 0x2e, 0xc2, 0x24, 0x00, 0x00, 0x42, 0x43, 0x3a, 0x1b))), reason: sensors.OutOfRange, says: "temperature of -41"},
	} {
		tc.driver, tc.addr = "scd30", 0x61
		tc.run(t)
	}
	// A concentration of 0 is that of a chip which has just begun: the next counts.
	d := sensortest.Driver(t, "scd30")
	e := sensortest.New(t, d, nil)
	p := playback(0x61, scd30Probe, scd30IsReady, scd30Read(tooEarly), scd30NotYet, scd30IsReady, scd30Read(scd30Example))
	e.Bus = p
	got, _, err := sensortest.Read(t, d, e)
	if err != nil || len(got) != 3 {
		t.Errorf("%d readings, error %v", len(got), err)
	}
	played(t, p)
}

func TestSCD30Cancelled(t *testing.T) {
	cancelled(t, "scd30", nil, 0, 0x61)
	cancelled(t, "scd30", nil, 1, 0x61, scd30Probe[:1])
	cancelled(t, "scd30", nil, 3, 0x61, scd30Probe, scd30IsReady[:1])
}
