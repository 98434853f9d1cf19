package chips

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/crc"
	"example.org/dormouse/sensors/sensortest"
)

// crcs appends to each word its checksum, as the chip does.
func crcs(words ...uint16) []byte {
	var p []byte
	for _, w := range words {
		p = append(p, byte(w>>8), byte(w), crc.Sum8(0x31, 0xff, byte(w>>8), byte(w)))
	}
	return p
}

var sht4xProbe = []io{{b(0x89), nil}, {nil, crcs(0x0f4c, 0x1a25)}}

// TestSHT4xChecksum is the example of section 4.4.
func TestSHT4xChecksum(t *testing.T) {
	if p := crcs(0xbeef); !bytes.Equal(p, b(0xbe, 0xef, 0x92)) {
		t.Errorf("the checksum of BE EF is 0x%02x, want 0x92", p[2])
	}
}

func TestSHT4x(t *testing.T) {
	d := sensortest.Driver(t, "sht4x")
	for _, tc := range []struct {
		precision string
		command   byte
		wait      time.Duration
	}{
		{"high", 0xfd, 8300 * time.Microsecond},
		{"medium", 0xf6, 4500 * time.Microsecond},
		{"low", 0xe0, 1700 * time.Microsecond},
	} {
		for _, v := range []struct {
			t, h              uint16
			celsius, humidity float64
		}{
			{0x6666, 0x7a00, 25, 0.53572},
			{26214, 32768, 25, 0.56501},
			{16852, 3146, 0, 0},     // the zeros of both formulas
			{0x6666, 0x0300, 25, 0}, // -4.5 %, cut
			{0x6666, 0xe000, 25, 1}, // 103.4 %, cut
			{1873, 55575, -40, 1},   // the ends of the range
			{63661, 55574, 124.9974, 1},
		} {
			e := sensortest.New(t, d, map[string]string{"precision": tc.precision})
			p := playback(0x44, sht4xProbe, []io{{b(tc.command), nil}, {nil, crcs(v.t, v.h)}})
			e.Bus = p
			got, failures, err := sensortest.Read(t, d, e)
			if err != nil || len(failures) > 0 || len(got) != 2 {
				t.Fatalf("%s %04x %04x: %d readings, failures %v, error %v", tc.precision, v.t, v.h, len(got), failures, err)
			}
			near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), v.celsius, 0.002)
			near(t, "humidity", sensortest.Value(t, got, sensors.Humidity), v.humidity, 0.00002)
			played(t, p)
			if want := []time.Duration{time.Millisecond, time.Millisecond, tc.wait}; !slices.Equal(e.Waits, want) {
				t.Errorf("%s: it waits %v, want %v", tc.precision, e.Waits, want)
			}
		}
	}
}

// refusing is a chip that answers its first reads with a NACK, after the
// probe.
func refusing(t *testing.T, refusals int) (*sensortest.Env, *sensors.Driver) {
	d := sensortest.Driver(t, "sht4x")
	e := sensortest.New(t, d, nil)
	p := playback(0x44, sht4xProbe, []io{{b(0xfd), nil}, {nil, crcs(0x6666, 0x7a00)}})
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		if p.Count == 3 && len(r) > 0 && refusals > 0 {
			refusals--
			return sensortest.ErrNACK
		}
		return p.Tx(0x44, w, r)
	})
	return e, d
}

func TestSHT4xStillMeasuring(t *testing.T) {
	e, d := refusing(t, 2)
	got, _, err := sensortest.Read(t, d, e)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d readings, error %v", len(got), err)
	}
	if want := 14300 * time.Microsecond; e.Waited() != want {
		t.Errorf("it waits %v, want %v", e.Waited(), want)
	}
}

func TestSHT4xNeverReady(t *testing.T) {
	e, d := refusing(t, 1000)
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.NotReady, "command 0xfd: the chip has no answer yet")
	if !errors.Is(err, sensortest.ErrNACK) {
		t.Errorf("the error %q has lost what the bus said", err)
	}
	if most := 25 * time.Millisecond; e.Waited() > most {
		t.Errorf("it waits %v, more than %v", e.Waited(), most)
	}
}

func TestSHT4xErrors(t *testing.T) {
	good := crcs(0x6666, 0x7a00)
	flip := func(at int) []byte {
		p := bytes.Clone(good)
		p[at] ^= 0x01
		return p
	}
	for _, tc := range []struct {
		name string
		ops  []io
		says string
	}{
		{"serial number", []io{{b(0x89), nil}, {nil, b(0x0f, 0x4c, 0x00, 0x1a, 0x25, 0x00)}}, "command 0x89: the answer 0f 4c 00 1a 25 00 has the checksum 0x00"},
		{"stuck low", []io{{b(0x89), nil}, {nil, make([]byte, 6)}}, "stuck"},
		{"stuck high", []io{{b(0x89), nil}, {nil, bytes.Repeat(b(0xff), 6)}}, "stuck"},
		{"temperature", append(sht4xProbe[:2:2], io{b(0xfd), nil}, io{nil, flip(1)}), "has the checksum"},
		{"its checksum", append(sht4xProbe[:2:2], io{b(0xfd), nil}, io{nil, flip(2)}), "has the checksum"},
		{"humidity", append(sht4xProbe[:2:2], io{b(0xfd), nil}, io{nil, flip(4)}), "has the checksum"},
		{"its checksum too", append(sht4xProbe[:2:2], io{b(0xfd), nil}, io{nil, flip(5)}), "has the checksum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sensortest.Driver(t, "sht4x")
			e := sensortest.New(t, d, nil)
			p := playback(0x44, tc.ops)
			e.Bus = p
			_, _, err := sensortest.Read(t, d, e)
			isError(t, err, sensors.Checksum, tc.says)
			played(t, p)
		})
	}
}

// A good checksum over a value that can't be is still no reading, and what was
// measured with it isn't believed either.
func TestSHT4xOutOfRange(t *testing.T) {
	for _, tc := range []struct {
		t, h uint16
		says string
	}{
		{0xffff, 0x7a00, "temperature of 130.00 °C is outside"},
		{0x6666, 0xffff, "humidity of 119.0 % is outside"},
		{0x6666, 0x0000, "humidity of -6.0 % is outside"},
	} {
		d := sensortest.Driver(t, "sht4x")
		e := sensortest.New(t, d, nil)
		e.Bus = playback(0x44, sht4xProbe, []io{{b(0xfd), nil}, {nil, crcs(tc.t, tc.h)}})
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.OutOfRange, tc.says)
	}
}

// Another program has asked for the serial number between our command and our
// read: its checksum is good.
func TestSHT4xAnswerToAnotherProgram(t *testing.T) {
	d := sensortest.Driver(t, "sht4x")
	e := sensortest.New(t, d, nil)
	e.Bus = playback(0x44, sht4xProbe, []io{{b(0xfd), nil}, {nil, crcs(0x0f4c, 0x1a25)}})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.Busy, "command 0xfd: it is 0f 4c 58 1a 25 72, what the chip answers when it is asked what it is")
}

func TestSHT4xCancelled(t *testing.T) {
	cancelled(t, "sht4x", nil, 0, 0x44)
	cancelled(t, "sht4x", nil, 1, 0x44, sht4xProbe[:1])
	cancelled(t, "sht4x", nil, 2, 0x44, sht4xProbe, []io{{b(0xfd), nil}})
}

func BenchmarkSHT4x(bm *testing.B) {
	d := sensortest.Driver(bm, "sht4x")
	e := sensortest.New(bm, d, nil)
	p := playback(0x44, sht4xProbe, []io{{b(0xfd), nil}, {nil, crcs(0x6666, 0x7a00)}})
	e.Bus = p
	sensortest.Bench(bm, d, e, func() { p.Count = 2 })
}
