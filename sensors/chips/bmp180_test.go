package chips

import (
	"encoding/binary"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// The example of section 3.5.
var bmp180Calib = func() (p []byte) {
	for _, v := range []int{408, -72, -14383, 32741, 32757, 23153, 6190, 4, -32768, -8711, 2868} {
		p = binary.BigEndian.AppendUint16(p, uint16(v))
	}
	return p
}()

var bmp180Probe = []io{{b(0xd0), b(0x55)}, {b(0xaa), bmp180Calib}, {b(0xaa), bmp180Calib}}

// bmp180Sense has measured in time.
func bmp180Sense(control byte, ut, up []byte) []io {
	return seq(
		[]io{{b(0xf4, 0x2e), nil}, {b(0xf4), b(0x2e)}, {b(0xf4), b(0x0e)}}, twice(io{b(0xf6), ut}),
		[]io{{b(0xf4, control), nil}, {b(0xf4), b(control)}, {b(0xf4), b(control &^ 0x20)}}, twice(io{b(0xf6), up}),
		[]io{{b(0xd0), b(0x55)}})
}

func TestBMP180(t *testing.T) {
	for _, tc := range []struct {
		oversampling string
		control      byte
		up           []byte
		wait         time.Duration
	}{
		{"1", 0x34, b(0x5d, 0x23, 0x00), 4500 * time.Microsecond}, // 23843
		{"2", 0x74, b(0x5d, 0x23, 0x00), 7500 * time.Microsecond},
		{"4", 0xb4, b(0x5d, 0x23, 0x00), 13500 * time.Microsecond},
		{"8", 0xf4, b(0x5d, 0x23, 0x00), 25500 * time.Microsecond},
	} {
		playedRead{
			driver: "bmp180", texts: map[string]string{"oversampling": tc.oversampling}, addr: 0x77, probe: bmp180Probe,
			sense: bmp180Sense(tc.control, b(0x6c, 0xfa), tc.up),
			want:  map[string]float64{"temperature": 15, "pressure": 69964}, within: 3,
			waits: []time.Duration{4500 * time.Microsecond, tc.wait},
		}.run(t)
	}
	// To the pascal at the one that the data sheet computes.
	playedRead{
		driver: "bmp180", addr: 0x77, probe: bmp180Probe, sense: bmp180Sense(0x34, b(0x6c, 0xfa), b(0x5d, 0x23, 0x00)),
		want: map[string]float64{"temperature": 15, "pressure": 69964},
	}.run(t)
}

func TestBMP180Errors(t *testing.T) {
	spoilt := func(at int, v byte) []byte {
		p := append([]byte(nil), bmp180Calib...)
		p[at] = v
		return p
	}
	good := bmp180Sense(0x34, b(0x6c, 0xfa), b(0x5d, 0x23, 0x00))
	for _, tc := range []playedError{
		{ops: []io{{b(0xd0), b(0x58)}}, reason: sensors.Identity, says: "it looks like a BMP280, which driver bmp180 doesn't read"},
		{ops: []io{{b(0xd0), b(0x00)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(bmp180Probe[:2], []io{{b(0xaa), spoilt(3, 0)}, {b(0xaa), spoilt(3, 1)}}), reason: sensors.Checksum, says: "register 0xaa: it reads"},
		{ops: seq(bmp180Probe, good[:1], []io{{b(0xf4), b(0x0e)}}), reason: sensors.Identity, says: "no measurement was begun"},
		{ops: seq(bmp180Probe, good[:3], []io{{b(0xf6), b(0x80, 0x00)}}), reason: sensors.NotReady, says: "nothing was measured"},
		{ops: seq(bmp180Probe, good[:len(good)-1], []io{{b(0xd0), b(0xff)}}), reason: sensors.Identity, says: "the bus is stuck"},
		{ops: seq(bmp180Probe[:1], twice(io{b(0xaa), append(make([]byte, 2), bmp180Calib[2:]...)}), good), reason: sensors.Identity, says: "the calibration has 0x0000 at 0xaa"},
		{ops: seq(bmp180Probe, bmp180Sense(0x34, b(0xff, 0xff), b(0x5d, 0x23, 0x00))), reason: sensors.OutOfRange, says: "temperature of"},
	} {
		tc.driver, tc.addr = "bmp180", 0x77
		tc.run(t)
	}
}
