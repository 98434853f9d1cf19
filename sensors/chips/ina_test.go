package chips

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

func TestINA219(t *testing.T) {
	for _, tc := range []struct {
		shunt, samples   string
		config           uint16
		shuntRaw, busRaw []byte
		volts, amperes   float64
	}{
		{"2mΩ", "1", 0x3c43, b(0x07, 0xd0), b(0x5d, 0x9a), 11.98, 10}, // the worked example: 20 mV, 11.98 V
		{"0.1Ω", "1", 0x3c43, b(0xf8, 0x30), b(0x00, 0x02), 0, -0.2},
		{"0.1Ω", "128", 0x3ffb, b(0x00, 0x01), b(0xbb, 0x82), 24, 0.0001},
		{"0.1Ω", "16", 0x3e63, b(0x7c, 0xff), b(0xfa, 0x02), 32, 3.1999},
	} {
		c, asleep := b(byte(tc.config>>8), byte(tc.config)), b(byte(tc.config>>8), byte(tc.config)&^7)
		playedRead{
			driver: "ina219", texts: map[string]string{"shunt": tc.shunt, "samples": tc.samples}, addr: 0x40,
			sense: seq(
				[]io{{append(b(0), c...), nil}, {b(2), b(0x00, 0x00)}, {b(2), tc.busRaw}},
				twice(io{b(1), tc.shuntRaw}), twice(io{b(2), tc.busRaw}),
				[]io{{b(0), c}, {append(b(0), asleep...), nil}, {b(0), asleep}}),
			want:   map[string]float64{"voltage": tc.volts, "current": tc.amperes, "power": tc.volts * tc.amperes},
			within: 1e-9,
		}.run(t)
	}
}

func TestINA219Errors(t *testing.T) {
	start := []io{{b(0, 0x3c, 0x43), nil}, {b(2), b(0x5d, 0x9a)}}
	results := func(shunt, bus []byte) []io { return seq(start, twice(io{b(1), shunt}), twice(io{b(2), bus})) }
	off := []io{{b(0, 0x3c, 0x40), nil}}
	good := results(b(0x07, 0xd0), b(0x5d, 0x9a))
	for _, tc := range []playedError{
		{ops: seq(good, []io{{b(0), b(0x39, 0x9f)}}, off), reason: sensors.Identity, says: "register 0x00 reads 0x399f and not the 0x3c43 that was set"},
		{ops: seq(good, []io{{b(0), b(0, 0)}}, off), reason: sensors.Identity, says: "reads 0x0000"},
		{ops: seq(results(b(0x7d, 0x00), b(0x5d, 0x9a)), []io{{b(0), b(0x3c, 0x43)}}, off), reason: sensors.OutOfRange, says: "beyond the range of the shunt"},
		{ops: seq(results(b(0x83, 0x00), b(0x5d, 0x9a)), []io{{b(0), b(0x3c, 0x43)}}, off), reason: sensors.OutOfRange, says: "beyond the range of the shunt"},
		{ops: seq(results(b(0x07, 0xd0), b(0x5d, 0x9e))[:5], off), reason: sensors.Identity, says: "it is no INA219"},
		{ops: seq(good, []io{{b(0), b(0x3c, 0x43)}}, off, []io{{b(0), b(0x3c, 0x43)}}), reason: sensors.Identity, says: "and not the 0x3c40"},
	} {
		tc.driver, tc.addr = "ina219", 0x40
		tc.run(t)
	}
}

func TestINA226(t *testing.T) {
	for _, tc := range []struct {
		driver  string
		id      []byte
		texts   map[string]string
		high    byte
		current []byte
		volts   []byte
		v, a    float64
	}{
		{"ina226", b(0x22, 0x60), map[string]string{"shunt": "2mΩ"}, 0x41, b(0x1f, 0x40), b(0x25, 0x70), 11.98, 10},
		{"ina226", b(0x22, 0x60), nil, 0x41, b(0xff, 0xff), b(0x00, 0x00), 0, -25e-6},
		{"ina260", b(0x22, 0x70), nil, 0x61, b(0x27, 0x10), b(0x25, 0x70), 11.98, 12.5},
		{"ina260", b(0x22, 0x70), nil, 0x61, b(0xd8, 0xf0), b(0x25, 0x70), 11.98, -12.5},
	} {
		c, asleep := b(tc.high, 0x23), b(tc.high, 0x20)
		playedRead{
			driver: tc.driver, texts: tc.texts, addr: 0x40,
			probe: []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), tc.id}},
			sense: seq(
				[]io{{append(b(0), c...), nil}, {b(6), b(0x00, 0x00)}, {b(6), b(0x00, 0x08)}},
				twice(io{b(1), tc.current}), twice(io{b(2), tc.volts}),
				[]io{{b(0), c}, {append(b(0), asleep...), nil}, {b(0), asleep}}),
			want:   map[string]float64{"voltage": tc.v, "current": tc.a, "power": tc.v * tc.a},
			within: 1e-9,
			waits:  []time.Duration{2420 * time.Microsecond, time.Millisecond},
		}.run(t)
	}
}

func TestINA226Errors(t *testing.T) {
	id := []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x22, 0x60)}}
	off := []io{{b(0, 0x41, 0x20), nil}}
	for _, tc := range []playedError{
		{ops: []io{{b(0xfe), b(0, 0)}}, reason: sensors.Identity, says: "the bus is stuck"},
		{ops: []io{id[0], {b(0xff), b(0x10, 0x50)}}, reason: sensors.Identity, says: "it looks like an HDC1080, which driver ina226 doesn't read"},
		{ops: seq(id, []io{{b(0, 0x41, 0x23), nil}, {b(6), b(0, 8)}}, twice(io{b(1), b(0x7f, 0xff)}), twice(io{b(2), b(0x25, 0x70)}), []io{{b(0), b(0x41, 0x23)}}, off),
			reason: sensors.OutOfRange, says: "beyond the range of the shunt"},
		{ops: seq(id, []io{{b(0, 0x41, 0x23), nil}, {b(6), b(0, 8)}}, twice(io{b(1), b(0x80, 0x00)}), twice(io{b(2), b(0x25, 0x70)}), []io{{b(0), b(0x41, 0x23)}}, off),
			reason: sensors.OutOfRange, says: "beyond the range of the shunt"},
	} {
		tc.driver, tc.addr = "ina226", 0x40
		tc.run(t)
	}
}

func TestINA3221(t *testing.T) {
	raw := [][]byte{b(0x1f, 0x40), b(0x2e, 0xe0), b(0xe0, 0xc0), b(0x0c, 0xe0), b(0x00, 0x08), b(0x00, 0x00)}
	var results []io
	for i, p := range raw {
		results = append(results, twice(io{b(byte(i + 1)), p})...)
	}
	all := map[string]float64{
		"voltage ch1": 12, "current ch1": 0.4, "power ch1": 4.8,
		"voltage ch2": 3.296, "current ch2": -0.8, "power ch2": -2.6368,
		"voltage ch3": 0, "current ch3": 0.0004, "power ch3": 0,
	}
	for _, tc := range []struct {
		texts    map[string]string
		channels []string
		want     map[string]float64
	}{
		{nil, nil, all},
		{map[string]string{"ch2.shunt": "0.05Ω"}, nil, map[string]float64{"voltage ch2": 3.296, "current ch2": -0.8, "power ch2": -2.6368}},
		{map[string]string{"shunt": "0.2Ω"}, []string{"ch1"}, map[string]float64{"voltage ch1": 12, "current ch1": 0.2, "power ch1": 2.4}},
	} {
		if tc.channels == nil && tc.texts == nil {
			tc.texts = map[string]string{"ch2.shunt": "0.05Ω"}
			tc.channels = []string{"ch1", "ch2", "ch3"}
		}
		playedRead{
			driver: "ina3221", texts: tc.texts, channels: tc.channels, addr: 0x40,
			probe: []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x32, 0x20)}},
			sense: seq([]io{{b(0, 0x71, 0x23), nil}, {b(0x0f), b(0x00, 0x03)}}, results,
				[]io{{b(0), b(0x71, 0x23)}, {b(0, 0x71, 0x20), nil}, {b(0), b(0x71, 0x20)}}),
			want: tc.want, within: 1e-9,
			waits: []time.Duration{7260 * time.Microsecond},
		}.run(t)
	}
}

// ina3221Read is a whole read in which all registers but some are at 12.8 V and
// 0.32 A.
func ina3221Read(special map[int][]byte) []io {
	ops := []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x32, 0x20)}, {b(0, 0x71, 0x23), nil}, {b(0x0f), b(0x00, 0x03)}}
	for register := 1; register <= 6; register++ {
		p := b(0x06, 0x40)
		if register%2 == 0 {
			p = b(0x32, 0x00)
		}
		if other, ok := special[register]; ok {
			p = other
		}
		ops = append(ops, twice(io{b(byte(register)), p})...)
	}
	return append(ops, io{b(0), b(0x71, 0x23)}, io{b(0, 0x71, 0x20), nil})
}

// A channel that is beyond its range fails alone: the others have registers of
// their own. Where all are, it is the sensor's error.
func TestINA3221Boundaries(t *testing.T) {
	for _, tc := range []struct {
		name     string
		register int // of the first channel
		raw      []byte
		says     string
	}{
		{"most current", 1, b(0x7f, 0xf8), "the current is beyond the range of the shunt"},
		{"least current", 1, b(0x80, 0x00), "the current is beyond the range of the shunt"},
		{"below ground", 2, b(0xff, 0xe0), "voltage of -0.0320 V is outside -0.0240 V to 32.7600 V"},
	} {
		d := sensortest.Driver(t, "ina3221")
		all := map[int][]byte{}
		for channel := range 3 {
			register := 2*channel + tc.register
			all[register] = tc.raw
			e := sensortest.New(t, d, nil)
			p := playback(0x40, ina3221Read(map[int][]byte{register: tc.raw}), []io{{b(0), b(0x71, 0x20)}})
			e.Bus = p
			got, failures, err := sensortest.Read(t, d, e)
			name := fmt.Sprintf("ch%d", channel+1)
			if err != nil || len(got) != 6 || len(failures) != 1 || !slices.Equal(failures[0].Labels, []string{name}) {
				t.Fatalf("%s of %s: %d readings, failures %v, error %v", tc.name, name, len(got), failures, err)
			}
			isError(t, failures[0].Err, sensors.OutOfRange, "channel "+name+": "+tc.says)
			for _, r := range got {
				want := map[string]float64{"voltage": 12.8, "current": 0.08, "power": 1.024}[r.Quantity.Name]
				if r.Labels[0] == name {
					t.Errorf("%s: %s of %s is reported", tc.name, r.Quantity.Name, name)
				}
				near(t, tc.name+": "+r.Quantity.Name, r.Value, want, 1e-9)
			}
			played(t, p)
		}
		e := sensortest.New(t, d, nil)
		e.Bus = playback(0x40, ina3221Read(all), []io{{b(0), b(0x71, 0x20)}})
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.OutOfRange, "channel ch1: "+tc.says)
		isError(t, err, sensors.OutOfRange, "channel ch3: "+tc.says)
	}
	// An input at ground reads a little less by the chip's offset.
	e := sensortest.New(t, sensortest.Driver(t, "ina3221"), nil, "ch2")
	e.Bus = playback(0x40, ina3221Read(map[int][]byte{4: b(0xff, 0xe8)}), []io{{b(0), b(0x71, 0x20)}})
	got, failures, err := sensortest.Read(t, sensortest.Driver(t, "ina3221"), e)
	if err != nil || len(failures) > 0 {
		t.Fatalf("failures %v, error %v", failures, err)
	}
	near(t, "an input at ground", sensortest.Value(t, got, sensors.Voltage.With("channel"), "ch2"), -0.024, 1e-12)
}
