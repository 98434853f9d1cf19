package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

var (
	veml7700Off   = io{b(0x00, 0x11, 0x00), nil}
	veml7700IsOff = io{b(0x00), b(0x11, 0x00)}
)

// veml7700Sense is one integration in a range by its low and high byte of
// ALS_CONF.
func veml7700Sense(low, high byte, raw uint16) []io {
	return seq([]io{veml7700Off, {b(0x03, 0x00, 0x00), nil}, {b(0x00, low, high), nil}},
		twice(io{b(0x04), b(byte(raw), byte(raw>>8))}),
		[]io{{b(0x03), b(0x00, 0x00)}, {b(0x00), b(low, high)}})
}

func TestVEML7700(t *testing.T) {
	for _, tc := range []struct {
		within    string
		low, high byte
		raw       uint16
		lux       float64
		wait      time.Duration
	}{
		// 1480 counts in each range: 85.248 and 5.328 lx, and 3183.247 lx corrected.
		{"3700lx", 0x10, 0x00, 1480, 85.248, 130 * time.Millisecond},
		{"230lx", 0xd0, 0x08, 1480, 5.328, 1005 * time.Millisecond},
		{"120klx", 0x10, 0x13, 1480, 3183.247, 37 * time.Millisecond},
		{"30klx", 0x10, 0x10, 1480, 681.984, 130 * time.Millisecond},
		{"3700lx", 0x10, 0x00, 0, 0, 130 * time.Millisecond},
		{"3700lx", 0x10, 0x00, 65534, 3774.7584, 130 * time.Millisecond}, // isn't corrected: gain 1
		{"30klx", 0x10, 0x10, 2170, 999.936, 130 * time.Millisecond},
		{"30klx", 0x10, 0x10, 2171, 1075.4491, 130 * time.Millisecond},
	} {
		playedRead{
			driver: "veml7700", texts: map[string]string{"range": tc.within}, addr: 0x10,
			sense: seq(veml7700Sense(tc.low, tc.high, tc.raw), []io{veml7700Off, veml7700IsOff}),
			want:  map[string]float64{"illuminance": tc.lux}, within: 0.001,
			waits: []time.Duration{tc.wait},
		}.run(t)
	}
}

// TestVEML7700Auto: cold it begins with the brightest range, and warm with that
// of the read before.
func TestVEML7700Auto(t *testing.T) {
	off := []io{veml7700Off, veml7700IsOff}
	d := sensortest.Driver(t, "veml7700")
	e := sensortest.New(t, d, nil)
	bus := playback(0x10,
		veml7700Sense(0x10, 0x13, 25), veml7700Sense(0x10, 0x10, 100), veml7700Sense(0x10, 0x00, 800), veml7700Sense(0xd0, 0x08, 12800), off,
		veml7700Sense(0xd0, 0x08, 60000), veml7700Sense(0x10, 0x00, 3750), off, // brighter
		veml7700Sense(0x10, 0x00, 65535), veml7700Sense(0x10, 0x10, 20000), off,
		veml7700Sense(0x10, 0x10, 3500), off)
	e.Bus = bus
	s, err := d.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{46.08, 216, 13144.454, 1793.136} {
		got, failures, err := sensortest.Sense(t.Context(), t, d, s)
		if err != nil || len(failures) > 0 {
			t.Fatalf("read %d: %v, %v", i, failures, err)
		}
		near(t, "illuminance", sensortest.Value(t, got, sensors.Illuminance), want, 0.01)
	}
	played(t, bus)
}

func TestVEML7700Errors(t *testing.T) {
	good := veml7700Sense(0x10, 0x00, 1480)
	for _, tc := range []playedError{
		{ops: seq(veml7700Sense(0x10, 0x00, 65535), []io{veml7700Off}), reason: sensors.OutOfRange, says: "take another range or auto, or shade it"},
		{ops: seq(good[:len(good)-1], []io{{b(0x00), b(0x01, 0x00)}, veml7700Off}), reason: sensors.Identity, says: "register 0x00 reads 0x0100 and not the 0x1000 that was set"},
	} {
		tc.driver, tc.addr, tc.texts = "veml7700", 0x10, map[string]string{"range": "3700lx"}
		tc.run(t)
	}
}
