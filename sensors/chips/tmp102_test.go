package chips

import (
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// limits are those after power-up: 75 °C and 80 °C.
var lm75Probe = []io{{b(2), b(0x4b, 0x00)}, {b(3), b(0x50, 0x00)}}

func TestTMP102(t *testing.T) {
	d := sensortest.Driver(t, "tmp102")
	for _, tc := range []struct {
		hi, lo  byte
		celsius float64
	}{
		{0x7f, 0xf0, 127.9375}, // section 7.5.2, table of the 12-bit format
		{0x64, 0x00, 100},
		{0x50, 0x00, 80},
		{0x4b, 0x00, 75},
		{0x32, 0x00, 50},
		{0x19, 0x00, 25},
		{0x00, 0x40, 0.25},
		{0x00, 0x00, 0}, // frost
		{0xff, 0xc0, -0.25},
		{0xe7, 0x00, -25},
		{0xc9, 0x00, -55},
	} {
		e := sensortest.New(t, d, map[string]string{"addr": "0x49"})
		p := playback(0x49, lm75Probe, []io{
			{b(1, 0xe1, 0xa0), nil}, // one shot, out of shutdown
			{b(1), b(0x61, 0xa0)},   // it has begun
			{b(1), b(0x61, 0xa0)},   // not yet
			{b(1), b(0xe1, 0x80)},   // converted; AL says that it is warm
			{b(0), b(tc.hi, tc.lo)},
			{b(0), b(tc.hi, tc.lo)}, // it is held
			{b(1), b(0xe1, 0x80)},   // shut down
		})
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 || len(got) != 1 {
			t.Fatalf("%02x%02x: %d readings, failures %v, error %v", tc.hi, tc.lo, len(got), failures, err)
		}
		near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), tc.celsius, 0)
		played(t, p)
		if want := []time.Duration{35 * time.Millisecond, 5 * time.Millisecond}; !slices.Equal(e.Waits, want) {
			t.Errorf("it waits %v, want %v", e.Waits, want)
		}
	}
}

func TestLM75Family(t *testing.T) {
	for _, tc := range []struct {
		model   string
		hi, lo  byte
		celsius float64
		sense   func(data []byte) []io
	}{
		{"tmp75", 0x19, 0x10, 25.0625, tmp75Sense},
		{"tmp75", 0xff, 0xf0, -0.0625, tmp75Sense},
		{"tmp75", 0xc9, 0x00, -55, tmp75Sense},
		{"tmp75", 0x00, 0x00, 0, tmp75Sense},
		{"lm75", 0x7d, 0x00, 125, lm75Sense},
		{"lm75", 0x19, 0x00, 25, lm75Sense},
		{"lm75", 0x00, 0x80, 0.5, lm75Sense},
		{"lm75", 0x00, 0x00, 0, lm75Sense},
		{"lm75", 0xff, 0x80, -0.5, lm75Sense},
		{"lm75", 0xe7, 0x00, -25, lm75Sense},
		{"lm75", 0xc9, 0x7f, -55, lm75Sense}, // the seven lowest bits are undefined
		{"lm75b", 0x00, 0x20, 0.125, lm75Sense},
		{"lm75b", 0xff, 0xe0, -0.125, lm75Sense},
	} {
		d := sensortest.Driver(t, "tmp102")
		e := sensortest.New(t, d, map[string]string{"model": tc.model, "addr": "0x4f"})
		p := playback(0x4f, lm75Probe, tc.sense(b(tc.hi, tc.lo)))
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 || len(got) != 1 {
			t.Fatalf("%s %02x%02x: %d readings, failures %v, error %v", tc.model, tc.hi, tc.lo, len(got), failures, err)
		}
		near(t, tc.model, sensortest.Value(t, got, sensors.Temperature), tc.celsius, 0)
		played(t, p)
		if want := []time.Duration{300 * time.Millisecond}; !slices.Equal(e.Waits, want) {
			t.Errorf("%s waits %v, want %v", tc.model, e.Waits, want)
		}
	}
}

func tmp75Sense(data []byte) []io { return lm75Like(0x68, data) }
func lm75Sense(data []byte) []io  { return lm75Like(0x08, data) }

// lm75Like is awake for a conversion, and then shut down.
func lm75Like(config byte, data []byte) []io {
	return []io{{b(1, config), nil}, {b(0), data}, {b(0), data}, {b(1), b(config)}, {b(1, config|1), nil}, {b(1), b(config | 1)}}
}

func TestTMP102Errors(t *testing.T) {
	tmp102 := map[string]string{}
	lm75 := map[string]string{"model": "lm75"}
	limits := func(low, high uint16) []io {
		return []io{{b(2), b(byte(low>>8), byte(low))}, {b(3), b(byte(high>>8), byte(high))}}
	}
	sense := func(data, config []byte) []io {
		return append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0x61, 0xa0)}, io{b(1), b(0xe1, 0xa0)}, io{b(0), data}, io{b(0), data}, io{b(1), config})
	}
	for _, tc := range []struct {
		name  string
		texts map[string]string
		ops   []io
		says  string
	}{
		{"stuck low", tmp102, slices.Concat(limits(0, 0), []io{{b(1, 0xe1, 0xa0), nil}}, slices.Repeat([]io{{b(1), b(0, 0)}}, 9)), "not ready"},
		{"stuck high", tmp102, limits(0xffff, 0xffff)[:1], "the bus is stuck"},
		{"ADS1115", tmp102, limits(0x8000, 0x7fff)[:1], "looks like an ADS1115"},
		{"a stranger", tmp102, limits(0x1230, 0x5001), "no chip of this family"},
		{"stuck low later", tmp102, sense(b(0, 0), b(0, 0)), "reads 0x0000 and not the 0xe1a0 that was set"},
		{"stuck high later", tmp102, sense(b(0xff, 0xf0), b(0xff, 0xff)), "reads 0xffff and not the 0xe1a0 that was set"},
		{"lost its supply", tmp102, sense(b(0, 0), b(0x60, 0xa0)), "lost its supply"},
		{"extended mode", tmp102, sense(b(0x0c, 0x80), b(0xe1, 0xb0)), "reads 0xe1b0"},
		{"more than 12 bits", tmp102, sense(b(0x0c, 0x81), nil)[:6], "more bits than this model"},
		{"no conversion", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0xe1, 0xa0)}), "no conversion was begun"},
		{"TMP75 that repeats its byte", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0x61, 0x61)}), "give model=tmp75"},
		{"TMP75 that ends after its byte", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0x61, 0xff)}), "give model=tmp75"},
		{"TMP75 that takes both bytes", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0x20, 0x20)}), "give model=tmp75"},
		{"TMP75 that takes both bytes, one shot too", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0xa0, 0xa0)}), "give model=tmp75"},
		{"LM75 for a TMP102", tmp102, append(lm75Probe[:2:2], io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0x01, 0x01)}), "model=lm75"},
		{"LM75 was asleep", lm75, seq(lm75Probe, lm75Sense(b(0x19, 0))[:3], []io{{b(1), b(9)}, {b(1, 9), nil}}), "register 0x01 reads 0x09 and not the 0x08 that was set"},
		{"LM75 was reset", lm75, seq(lm75Probe, lm75Sense(b(0x00, 0))[:3], []io{{b(1), b(0)}, {b(1, 9), nil}}), "register 0x01 reads 0x00 and not the 0x08 that was set"},
		{"LM75 awake", lm75, seq(lm75Probe, lm75Sense(b(0x19, 0))[:5], []io{{b(1), b(8)}}), "register 0x01 reads 0x08 and not the 0x09 that was set"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sensortest.Driver(t, "tmp102")
			e := sensortest.New(t, d, tc.texts)
			p := playback(0x48, tc.ops)
			e.Bus = p
			_, _, err := sensortest.Read(t, d, e)
			reason := sensors.Identity
			if tc.says == "not ready" {
				reason = sensors.NotReady
			}
			isError(t, err, reason, tc.says)
			played(t, p)
		})
	}
}

// A result that changes while it is held was never one.
func TestTMP102ReadsTwice(t *testing.T) {
	d := sensortest.Driver(t, "tmp102")
	e := sensortest.New(t, d, nil)
	e.Bus = playback(0x48, lm75Probe, []io{{b(1, 0xe1, 0xa0), nil}, {b(1), b(0x61, 0xa0)}, {b(1), b(0xe1, 0xa0)}, {b(0), b(0x19, 0x10)}, {b(0), b(0x19, 0x00)}, {b(0), b(0x19, 0x20)}})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.Checksum, "register 0x00: it reads 0x1900 and then 0x1920")

	// One of three is outvoted.
	e = sensortest.New(t, d, nil)
	e.Bus = playback(0x48, lm75Probe, []io{{b(1, 0xe1, 0xa0), nil}, {b(1), b(0x61, 0xa0)}, {b(1), b(0xe1, 0xa0)},
		{b(0), b(0x19, 0x10)}, {b(0), b(0x19, 0x00)}, {b(0), b(0x19, 0x00)}, {b(1), b(0xe1, 0xa0)}})
	got, _, err := sensortest.Read(t, d, e)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), 25, 0)
}

func TestTMP102NeverReady(t *testing.T) {
	d := sensortest.Driver(t, "tmp102")
	e := sensortest.New(t, d, nil)
	e.Bus = sensortest.WordRegisters(map[byte]uint16{2: 0x4b00, 3: 0x5000}, nil)
	chip := e.Bus
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		err := chip.Tx(0, w, r)
		if len(r) > 0 && w[0] == 1 {
			r[0] &= 0x7f
		}
		return err
	})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.NotReady, "not ready after 35ms")
}

func TestTMP102Addresses(t *testing.T) {
	d := sensortest.Driver(t, "tmp102")
	if _, err := sensors.NewOptions(d, map[string]string{"addr": "0x4c"}); err == nil {
		t.Error("a TMP102 at 0x4c is accepted")
	}
	if _, err := sensors.NewOptions(d, map[string]string{"addr": "0x4c", "model": "lm75"}); err != nil {
		t.Errorf("an LM75 at 0x4c is refused: %v", err)
	}
}

func TestTMP102Cancelled(t *testing.T) {
	start := []io{{b(1, 0xe1, 0xa0), nil}, {b(1), b(0x61, 0xa0)}}
	cancelled(t, "tmp102", nil, 0, 0x48, lm75Probe, start)
	cancelled(t, "tmp102", nil, 1, 0x48, lm75Probe, start, []io{{b(1), b(0x61, 0xa0)}})
	// An LM75 is shut down even then.
	cancelled(t, "tmp102", map[string]string{"model": "lm75"}, 0, 0x48, lm75Probe, []io{{b(1, 8), nil}, {b(1, 9), nil}})
}

func BenchmarkTMP102(bm *testing.B) {
	d := sensortest.Driver(bm, "tmp102")
	e := sensortest.New(bm, d, nil)
	p := playback(0x48, lm75Probe, []io{{b(1, 0xe1, 0xa0), nil}, {b(1), b(0x61, 0xa0)}, {b(1), b(0xe1, 0xa0)}, {b(0), b(0x19, 0x00)}, {b(0), b(0x19, 0x00)}, {b(1), b(0xe1, 0xa0)}})
	e.Bus = p
	sensortest.Bench(bm, d, e, func() { p.Count = 2 })
}

func BenchmarkLM75(bm *testing.B) {
	d := sensortest.Driver(bm, "tmp102")
	e := sensortest.New(bm, d, map[string]string{"model": "lm75"})
	p := playback(0x48, lm75Probe, lm75Sense(b(0x19, 0x00)))
	e.Bus = p
	sensortest.Bench(bm, d, e, func() { p.Count = 2 })
}
