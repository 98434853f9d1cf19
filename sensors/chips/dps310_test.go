package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// dps310Coef are the coefficients of a real chip, which were published in a
// question to Infineon (DPS310-Pressure-Sensor, issue 30): c0 222, c1 -297, c00
// 79832, c10 -56308, c01 -2295, c11 1444, c20 -9701, c21 111, c30 -1289.
var dps310Coef = b(0x0d, 0xee, 0xd7, 0x13, 0x7d, 0x8f, 0x24, 0x0c, 0xf7, 0x09, 0x05, 0xa4, 0xda, 0x1b, 0x00, 0x6f, 0xfa, 0xf7)

func dps310Begin(ext, source, fuse byte) []io {
	return seq([]io{
		{b(0x0d), b(0x10)}, {b(0x0c, 0x09), nil},
		{b(0x08), b(0x40)}, {b(0x08), b(0xc0)}, // the coefficients are there at the second look
		{b(0x06, 0x04), nil}, {b(0x07, ext), nil}, {b(0x09, 0x04), nil},
		{b(0x06), b(0x04)}, {b(0x07), b(ext)}, {b(0x09), b(0x04)},
	}, twice(io{b(0x10), dps310Coef}), twice(io{b(0x28), b(source)}), twice(io{b(0x32), b(fuse)}))
}

var dps310Probe = dps310Begin(0x80, 0x80, 0x02)

func dps310Sense(ext byte, rawT, rawP int32) []io {
	raw := func(v int32) []byte { return b(byte(v>>16), byte(v>>8), byte(v)) }
	return seq(
		[]io{{b(0x08, 0x00), nil}, {b(0x00), make([]byte, 6)}, {b(0x08), b(0xc0)}, {b(0x08, 0x02), nil}, {b(0x08), b(0xe0)}},
		twice(io{b(0x03), raw(rawT)}),
		[]io{{b(0x08, 0x01), nil}, {b(0x08), b(0xd0)}},
		twice(io{b(0x00), raw(rawP)}),
		[]io{{b(0x06), b(0x04)}, {b(0x07), b(ext)}, {b(0x09), b(0x04)}})
}

// TestDPS310 holds the compensation against values that were computed apart in
// fractions; the kernel's driver (drivers/iio/pressure/dps310.c) computes the
// same, cut to m°C and Pa.
func TestDPS310(t *testing.T) {
	for _, tc := range []struct {
		rawT, rawP       int32
		celsius, pascals float64
	}{
		{157993, -91000, 21.4997, 97979.58},
		{157993, 0, 21.4997, 79140.41},
		{200000, -120000, -2.2965, 103282.84},
		{45900, -30000, 84.9985, 86134.83},
		{266400, -180000, -39.9109, 113670.31},
		{157993, 190000, 21.4997, 31386.49},
		{157993, -205000, 21.4997, 118621.49},
	} {
		playedRead{
			driver: "dps310", addr: 0x77, probe: dps310Probe, sense: dps310Sense(0x80, tc.rawT, tc.rawP),
			want: map[string]float64{"temperature": tc.celsius, "pressure": tc.pascals}, within: 1,
			waits: []time.Duration{4 * time.Millisecond, 28 * time.Millisecond},
		}.run(t)
		f := frame{data: b(byte(tc.rawT>>16), byte(tc.rawT>>8), byte(tc.rawT), byte(tc.rawP>>16), byte(tc.rawP>>8), byte(tc.rawP)), constants: dps310Coef, values: make([]float64, 2)}
		if err := dps310Decode(&f); err != nil {
			t.Fatal(err)
		}
		near(t, "temperature", f.values[0], tc.celsius, 0.0001)
		near(t, "pressure", f.values[1], tc.pascals, 0.01)
	}
}

// The temperature sensor is the one that the coefficients are for, and a wrong
// fuse is corrected, twice.
func TestDPS310Kinds(t *testing.T) {
	want := map[string]float64{"temperature": 21.499, "pressure": 97980}
	first := dps310Begin(0x80, 0x00, 0x02)
	playedRead{
		driver: "dps310", texts: map[string]string{"addr": "0x76"}, addr: 0x76,
		probe: seq(first, dps310Begin(0x00, 0x00, 0x02)), sense: dps310Sense(0x00, 157993, -91000), want: want, within: 1,
	}.run(t)
	fix := []io{{b(0x0e, 0xa5), nil}, {b(0x0f, 0x96), nil}, {b(0x62, 0x02), nil}, {b(0x0e, 0x00), nil}, {b(0x0f, 0x00), nil}}
	playedRead{
		driver: "dps310", addr: 0x77, probe: seq(dps310Begin(0x80, 0x80, 0x00), fix, fix), sense: dps310Sense(0x80, 157993, -91000), want: want, within: 1,
	}.run(t)
	// What was not acknowledged is an error.
	d := sensortest.Driver(t, "dps310")
	e := sensortest.New(t, d, nil)
	p := playback(0x77, dps310Begin(0x80, 0x80, 0x00), fix[:2])
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		if p.Count == len(p.Ops) {
			return sensortest.ErrNACK
		}
		return p.Tx(0x77, w, r)
	})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.NoAnswer, "remote")
}

func TestDPS310Errors(t *testing.T) {
	good := dps310Sense(0x80, 157993, -91000)
	flat := append(b(0x0d, 0xe0, 0x00), dps310Coef[3:]...)
	other := append(b(0x0c), dps310Coef[1:]...)
	for _, tc := range []playedError{
		{ops: []io{{b(0x0d), b(0x11)}}, reason: sensors.Identity, says: "0x11, which no DPS310 has"},
		{ops: []io{{b(0x0d), b(0x00)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(dps310Probe[:7], []io{{b(0x06), b(0x00)}}), reason: sensors.Identity, says: "register 0x06 reads 0x00 and not the 0x04"},
		{ops: seq(dps310Probe[:11], []io{{b(0x10), other}, {b(0x10), flat}}), reason: sensors.Checksum, says: "register 0x10: it reads"},
		{ops: seq(dps310Probe[:10], twice(io{b(0x10), flat}), dps310Probe[12:], good), reason: sensors.Identity, says: "have no slope"},
		{ops: seq(dps310Probe, good[:2], []io{{b(0x08), b(0xc7)}}), reason: sensors.Busy, says: "another program uses it"},
		{ops: seq(dps310Probe, dps310Sense(0x80, -1<<23, -91000)), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(dps310Probe, dps310Sense(0x80, 157993, -1<<23)), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(dps310Probe, dps310Sense(0x80, 266600, -91000)), reason: sensors.OutOfRange, says: "temperature of -40.02"},
		{ops: seq(dps310Probe, dps310Sense(0x80, 45000, -91000)), reason: sensors.OutOfRange, says: "temperature of 85.5"},
		{ops: seq(dps310Probe, dps310Sense(0x80, 157993, 230000)), reason: sensors.OutOfRange, says: "pressure of"},
		{ops: seq(dps310Probe, good[:11], []io{{b(0x06), b(0x00)}}), reason: sensors.Identity, says: "register 0x06 reads 0x00 and not the 0x04 that was set"},
	} {
		tc.driver, tc.addr = "dps310", 0x77
		tc.run(t)
	}
}
