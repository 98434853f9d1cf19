package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// bmp388Calib is that of no real chip, but like one.
var bmp388Calib = b(
	0x98, 0x6c, 0xd4, 0x49, 0xf9, // T1 27800, T2 18900, T3 -7
	0x18, 0xfc, 0x24, 0xfa, 0x23, 0x01, // P1 -1000, P2 -1500, P3 35, P4 1
	0x9c, 0x63, 0x18, 0x79, 0x03, 0xfa, // P5 25500, P6 31000, P7 3, P8 -6
	0x80, 0x3e, 0x0d, 0xc4) // P9 16000, P10 13, P11 -60

var bmp388Probe = seq([]io{{b(0x00), b(0x50)}}, twice(io{b(0x31), bmp388Calib}))

// bmp388Sense has measured in time.
func bmp388Sense(up, ut uint32) []io {
	result := b(byte(up), byte(up>>8), byte(up>>16), byte(ut), byte(ut>>8), byte(ut>>16))
	return seq(
		[]io{{b(0x1b, 0x00), nil}, {b(0x1c, 0x03), nil}, {b(0x1f, 0x00), nil}, {b(0x04), make([]byte, 6)}, {b(0x03), b(0x10)}, {b(0x1b, 0x13), nil}, {b(0x03), b(0x70)}},
		twice(io{b(0x04), result}),
		[]io{{b(0x1c), b(0x03)}, {b(0x1f), b(0x00)}, {b(0x1b), b(0x03)}})
}

// TestBMP388 holds the compensation in floating point, that of the data sheet,
// against the one in integers that Bosch publishes with its driver: the wanted
// values are computed by that.
func TestBMP388(t *testing.T) {
	for _, tc := range []struct {
		up, ut                uint32
		temperature, pressure float64
	}{
		{6500000, 8500000, 24.2995, 104785.91},
		{7000000, 7117000, 0.0035, 90177.67},
		{6200000, 9200000, 36.5605, 113309.15},
		{6815744, 8399000, 22.5284, 99007.92},
	} {
		playedRead{
			driver: "bmp388", addr: 0x77, probe: bmp388Probe, sense: bmp388Sense(tc.up, tc.ut),
			want: map[string]float64{"temperature": tc.temperature, "pressure": tc.pressure}, within: 0.05,
			waits: []time.Duration{5 * time.Millisecond, 20 * time.Millisecond},
		}.run(t)
	}
	other := append([]io{{b(0x00), b(0x60)}}, bmp388Probe[1:]...)
	playedRead{
		driver: "bmp388", texts: map[string]string{"addr": "0x76"}, addr: 0x76, probe: other, sense: bmp388Sense(6500000, 8500000),
		want: map[string]float64{"temperature": 24.2995, "pressure": 104785.91}, within: 0.05,
	}.run(t)
}

func TestBMP388Errors(t *testing.T) {
	good := bmp388Sense(6500000, 8500000)
	none := append(make([]byte, 4), bmp388Calib[4:]...)
	for _, tc := range []playedError{
		{ops: []io{{b(0x00), b(0x58)}}, reason: sensors.Identity, says: "0x58, which no BMP388 has"},
		{ops: []io{{b(0x00), b(0xff)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(bmp388Probe[:2], []io{{b(0x31), none}, {b(0x31), make([]byte, 21)}}), reason: sensors.Checksum, says: "register 0x31: it reads"},
		{ops: seq(bmp388Probe[:1], twice(io{b(0x31), none}), good), reason: sensors.Identity, says: "has no temperature, as on no chip"},
		{ops: seq(bmp388Probe, good[:4], []io{{b(0x03), b(0x70)}}), reason: sensors.Busy, says: "another program uses it"},
		{ops: seq(bmp388Probe, bmp388Sense(0x800000, 8500000)), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(bmp388Probe, bmp388Sense(6500000, 0x800000)), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(bmp388Probe, bmp388Sense(0, 8500000)), reason: sensors.OutOfRange, says: "pressure of"},
		{ops: seq(bmp388Probe, bmp388Sense(6500000, 0xffffff)), reason: sensors.OutOfRange, says: "temperature of"},
		{ops: seq(bmp388Probe, good[:len(good)-1], []io{{b(0x1b), b(0x00)}}), reason: sensors.Identity, says: "register 0x1b reads 0x00 and not the 0x03"},
	} {
		tc.driver, tc.addr = "bmp388", 0x77
		tc.run(t)
	}
}
