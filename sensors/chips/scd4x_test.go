package chips

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// scd4xProbe is the probe of both: stop, and the serial number of the data
// sheet's example.
var scd4xProbe = []io{{b(0x3f, 0x86), nil}, {b(0x36, 0x82), nil}, {nil, b(0xf8, 0x96, 0x31, 0x9f, 0x07, 0xc2, 0x3b, 0xbe, 0x89)}}

// scd4xResult is read as soon as it is ready.
func scd4xResult(result []byte) []io {
	return []io{{b(0xe4, 0xb8), nil}, {nil, crcs(0x8006)}, {b(0xec, 0x05), nil}, {nil, result}}
}

func TestSCD4x(t *testing.T) {
	for _, tc := range []struct {
		result         []byte
		ppm, t, wanted float64
	}{
		{b(0x01, 0xf4, 0x33, 0x66, 0x67, 0xa2, 0x5e, 0xb9, 0x3c), 500, 25.0019, 0.37002}, // example of read_measurement
		{crcs(40000, 0x3334, 0), 40000, -9.9973, 0},
		{crcs(1, 0x9999, 0xffff), 1, 60, 1},
	} {
		want := map[string]float64{"carbon_dioxide": tc.ppm, "temperature": tc.t, "humidity": tc.wanted}
		playedRead{
			driver: "scd4x", addr: 0x62, probe: scd4xProbe,
			sense: seq([]io{{b(0x21, 0x9d), nil}}, scd4xResult(tc.result)), want: want, within: 0.001,
			waits: []time.Duration{5 * time.Second, time.Millisecond, time.Millisecond},
		}.run(t)
		playedRead{
			driver: "scd40", addr: 0x62, probe: seq(scd4xProbe, []io{{b(0x21, 0xb1), nil}}),
			sense: scd4xResult(tc.result), want: want, within: 0.001,
			waits: []time.Duration{time.Millisecond, time.Millisecond},
		}.run(t)
	}
	// Until there is a result it is asked again and again.
	notYet := []io{{b(0xe4, 0xb8), nil}, {nil, b(0x80, 0x00, 0xa2)}}
	playedRead{
		driver: "scd40", addr: 0x62, probe: seq(scd4xProbe, []io{{b(0x21, 0xb1), nil}}),
		sense: seq(notYet, notYet, scd4xResult(crcs(500, 0x6667, 0x5eb9))),
		want:  map[string]float64{"carbon_dioxide": 500, "temperature": 25, "humidity": 0.37}, within: 0.01,
		waits: []time.Duration{time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, time.Millisecond},
	}.run(t)
}

func TestSCD4xErrors(t *testing.T) {
	shot := seq(scd4xProbe, []io{{b(0x21, 0x9d), nil}})
	notYet := []io{{b(0xe4, 0xb8), nil}, {nil, crcs(0x8000)}}
	never := seq(notYet, notYet, notYet, notYet, notYet, notYet, []io{{b(0xe4, 0xb8), nil}})
	for _, tc := range []playedError{
		{ops: seq(scd4xProbe[:2], []io{{nil, b(0xf8, 0x96, 0x30, 0x9f, 0x07, 0xc2, 0x3b, 0xbe, 0x89)}}), reason: sensors.Checksum, says: "command 0x3682: the answer"},
		{ops: seq(shot, never), reason: sensors.NotReady, says: "command 0xe4b8: not ready after 500ms"},
		{ops: seq(shot, scd4xResult(crcs(0, 0x6667, 0x5eb9))), reason: sensors.NotReady, says: "carbon dioxide wasn't measured"},
		{ops: seq(shot, scd4xResult(crcs(0xf896, 0x9f07, 0x3bbe))), reason: sensors.Busy, says: "another program uses it"},
		{ops: seq(shot, scd4xResult(crcs(40001, 0x6667, 0x5eb9))), reason: sensors.OutOfRange, says: "carbon_dioxide of 40001"},
		{ops: seq(shot, scd4xResult(crcs(500, 0x9a00, 0x5eb9))), reason: sensors.OutOfRange, says: "temperature of 60.28"},
	} {
		tc.driver, tc.addr = "scd4x", 0x62
		tc.run(t)
	}
}

func TestSCD4xCancelled(t *testing.T) {
	cancelled(t, "scd4x", nil, 0, 0x62)
	cancelled(t, "scd4x", nil, 1, 0x62, scd4xProbe[:1])
	cancelled(t, "scd4x", nil, 3, 0x62, scd4xProbe, []io{{b(0x21, 0x9d), nil}})
}
