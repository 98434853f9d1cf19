package chips

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// A machine that is too busy to see a conversion begins it again; one that is
// in time takes it for lost.
func TestBegunTooLongAgo(t *testing.T) {
	d := sensortest.Driver(t, "tmp102")
	start, idle := io{b(1, 0xe1, 0xa0), nil}, io{b(1), b(0xe1, 0xa0)}
	seen := []io{{b(1), b(0x61, 0xa0)}, idle, {b(0), b(0x19, 0x00)}, {b(0), b(0x19, 0x00)}, idle}
	for _, tc := range []struct {
		name string
		late int // conversions that are seen too late
		ops  []io
		says string
	}{
		{"once", 1, seq([]io{start, idle, start}, seen), ""},
		{"four times", 4, seq(twice(start), nil, nil), ""},
		{"always", mostLate, nil, "no conversion was begun"},
	} {
		e := sensortest.New(t, d, nil)
		ops := []io{}
		for range tc.late {
			ops = append(ops, start, idle)
		}
		if tc.late < mostLate {
			ops = append(ops, start)
			ops = append(ops, seen...)
		}
		p := playback(0x48, lm75Probe, ops)
		starts := 0
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if len(w) == 3 {
				if starts++; starts <= tc.late {
					e.NextWake(40 * time.Millisecond) // as long as a conversion
				}
			}
			return p.Tx(0x48, w, r)
		})
		got, _, err := sensortest.Read(t, d, e)
		played(t, p)
		if tc.says != "" {
			isError(t, err, sensors.Identity, tc.says)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		near(t, tc.name, sensortest.Value(t, got, sensors.Temperature), 25, 0)
	}
}

// A chip whose range follows its result, as a light sensor's does.
func rangedChip() *family {
	return &family{
		name: "ranged", summary: "a chip of the test", datasheet: "none", addresses: []string{"0x10"},
		models: []chip{{
			settings: []setting{{name: "gain", unset: automatic, help: "gain", auto: &auto{kind: "be:u16/16>>0", low: 1000, high: 60000},
				values: []value{{name: "1", bits: 0x10, scale: 1}, {name: "10", bits: 0x20, scale: 0.1}, {name: "100", bits: 0x30, scale: 0.01}}}},
			measure: []step{{set: hex{0, 0x01}, with: []string{"gain"}}, {write: hex{4}, result: 2}},
			fields: []field{{quantity: sensors.Illuminance, kind: "be:u16/16>>0", by: []string{"gain"},
				low: -1, high: 0xffff, says: "it is brighter than gain {gain} can tell"}},
		}},
	}
}

func TestAutomaticRange(t *testing.T) {
	f := rangedChip()
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	d := f.driver()
	for _, tc := range []struct {
		texts map[string]string
		lux   []float64 // of one wake after the other
		gains []byte    // that were set
	}{
		{nil, []float64{50000, 50000, 500, 5, 5, 50000}, []byte{0x11, 0x11, 0x11, 0x21, 0x21, 0x31, 0x31, 0x31, 0x21, 0x11}},
		{map[string]string{"gain": "10"}, []float64{500, 5}, []byte{0x21, 0x21}},
	} {
		e := sensortest.New(t, d, tc.texts)
		var lux float64
		var gain byte
		var gains []byte
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if len(w) == 2 {
				gain = w[1]
				gains = append(gains, gain)
			}
			raw := min(lux*map[byte]float64{0x11: 1, 0x21: 10, 0x31: 100}[gain], 0xffff)
			for i := range r {
				r[i] = map[bool]byte{true: gain, false: byte(int(raw) >> (8 * (1 - i)))}[w[0] == 0]
			}
			return nil
		})
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for _, lux = range tc.lux {
			got, _, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "illuminance", sensortest.Value(t, got, sensors.Illuminance), lux, 1e-9)
		}
		if string(gains) != string(tc.gains) {
			t.Errorf("the gains are % x, want % x", gains, tc.gains)
		}
	}
	e := sensortest.New(t, d, map[string]string{"gain": "100"})
	e.Bus = sensortest.ByteRegisters(&[256]byte{0: 0x31, 4: 0xff, 5: 0xff})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.OutOfRange, "it is brighter than gain 100 can tell")
}

// The log at the debug level shows each transaction.
func TestTrace(t *testing.T) {
	d := sensortest.Driver(t, "mcp9808")
	e := sensortest.New(t, d, nil)
	e.Debug = true
	e.Bus = playback(0x18, mcp9808Probe, mcp9808Start, twice(io{b(5), b(0xc1, 0x94)}), mcp9808Check, mcp9808Sleep)
	if _, _, err := sensortest.Read(t, d, e); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{`msg="I2C transaction" wrote=06 read="00 54" err=<nil>`, `wrote="01 06 00" read=""`} {
		if !strings.Contains(e.Logged(), says) {
			t.Errorf("the log doesn't say %s:\n%s", says, e.Logged())
		}
	}
}

// A probe changes nothing, and finds out what the chip is; a chip of registers
// gets no command of two bytes.
func TestProbe(t *testing.T) {
	silent := io{nil, nil}
	for _, tc := range []struct {
		driver string
		texts  map[string]string
		ops    []io // the answer nil of a read means that there is none
		found  sensors.Found
		says   string
	}{
		{"mcp9808", nil, mcp9808Probe[:2], sensors.Found{Family: "mcp9808", Model: "MCP9808"}, ""},
		{"bme280", nil, []io{{b(0xd0), b(0x58)}}, sensors.Found{Family: "bme280", Model: "BMP280"}, ""},
		{"bme280", nil, []io{{b(0xd0), b(0x60)}}, sensors.Found{Family: "bme280", Model: "BME280"}, ""},
		{"bme280", nil, []io{{b(0xd0), b(0x61)}}, sensors.Found{}, "looks like a BME680"},
		{"sht4x", nil, sht4xProbe, sensors.Found{Family: "sht4x", Model: "SHT4x", Serial: "0f4c1a25"}, ""},
		{"sht3x", nil, []io{silent, {b(0x36, 0x82), nil}, {nil, crcs(0x0e3a, 0x51c7)}}, sensors.Found{Family: "sht3x", Model: "SHT3x", Serial: "0e3a51c7"}, ""},
		{"sht3x", nil, []io{{nil, b(0x00)}}, sensors.Found{}, "it answers to a read, as no idle SHT3x does"},
		{"sht3x", map[string]string{"model": "shtc3", "addr": "0x70"}, []io{silent, shtc3Wake, {b(0xef, 0xc8), crcs(0x0887)}, shtc3Sleep}, sensors.Found{Family: "sht3x", Model: "SHTC3"}, ""},
		{"hdc302x", nil, seq([]io{silent}, hdc302xProbe[1:5]), sensors.Found{Family: "hdc302x", Model: "HDC302x", Serial: "112233445566"}, ""},
		{"htu21d", nil, []io{{b(0xf3), nil}, {nil, word0(0x6648)}}, sensors.Found{Family: "htu21d"}, ""},
		{"ina260", nil, []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x22, 0x70)}}, sensors.Found{Family: "ina260", Model: "INA260"}, ""},
		{"hdc1080", nil, []io{{b(0xfe), b(0x54, 0x49)}, {b(0xff), b(0x10, 0x00)}}, sensors.Found{Family: "hdc1080", Model: "HDC1000"}, ""},
	} {
		d := sensortest.Driver(t, tc.driver)
		e := sensortest.New(t, d, tc.texts)
		at := 0
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if at == len(tc.ops) {
				t.Fatalf("%s: it goes on to write % x and read %d", tc.driver, w, len(r))
			}
			o := tc.ops[at]
			at++
			if string(o.w) != string(w) {
				t.Errorf("%s: it writes % x, want % x", tc.driver, w, o.w)
			}
			if len(r) > 0 && o.r == nil {
				return sensortest.ErrNACK
			}
			copy(r, o.r)
			return nil
		})
		found, err := d.Identity.Probe(t.Context(), e)
		if tc.says != "" {
			isError(t, err, sensors.Identity, tc.says)
		} else if err != nil || found != tc.found {
			t.Errorf("%s: found %+v, error %v, want %+v", tc.driver, found, err, tc.found)
		}
		if at != len(tc.ops) {
			t.Errorf("%s: %d of %d transactions", tc.driver, at, len(tc.ops))
		}
	}
	d := sensortest.Driver(t, "mcp9808")
	e := sensortest.New(t, d, nil)
	e.Bus = sensortest.Chip(func(w, r []byte) error { return sensortest.ErrNACK })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Identity.Probe(ctx, e); !errors.Is(err, context.Canceled) {
		t.Errorf("a probe whose context has ended gives %v", err)
	}
}

// A description that contradicts itself, or breaks a rule, is refused.
func TestDescriptionsThatCantBe(t *testing.T) {
	for _, tc := range []struct {
		spoil func(f *family, c *chip)
		says  string
	}{
		{func(f *family, c *chip) { f.addresses = nil }, "no model or no address"},
		{func(f *family, c *chip) { c.name = "x" }, "models have names"},
		{func(f *family, c *chip) { f.aliases = map[string]string{"y": "z"} }, `alias y is the model "z"`},
		{func(f *family, c *chip) { c.addresses = []string{"0x77"} }, "isn't among the family's"},
		{func(f *family, c *chip) { c.sum = &checksum{} }, "after no byte"},
		{func(f *family, c *chip) { c.settings[0].unset = "7" }, `default: "7" is not one`},
		{func(f *family, c *chip) { c.settings[0].help = "" }, "help: is missing"},
		{func(f *family, c *chip) { c.settings[0].auto.kind = "be:x" }, "auto: \"be:x\" is not a type"},
		{func(f *family, c *chip) { c.settings[0].auto.at = 1 }, "auto: its bytes 1 to 2 are beyond"},
		{func(f *family, c *chip) { c.identity = []identity{{}} }, "status: is missing"},
		{func(f *family, c *chip) { c.identity = []identity{{step: step{write: hex{1}, status: 1}}} }, "any answer would do"},
		{func(f *family, c *chip) {
			c.identity = []identity{{step: step{write: hex{1}, status: 1}, serial: true}}
		}, "serial: tells nothing without a checksum"},
		{func(f *family, c *chip) { c.measure[0].set = hex{0} }, "set: is a register and 1 to 8 bytes"},
		{func(f *family, c *chip) { c.measure[0].back = hex{1, 2} }, "back: isn't as long"},
		{func(f *family, c *chip) { c.measure[0].result = 2 }, "set: is read back after the measurement, and this step reads something else"},
		{func(f *family, c *chip) { c.measure[0].with = []string{"gian"} }, "there is no setting gian"},
		{func(f *family, c *chip) { c.measure[0].set[1] = 0x10 }, "the bits of gain=1 don't fit"},
		{func(f *family, c *chip) { c.settings[0].values[0].bits = 0x100 }, "the bits of gain=1 don't fit"},
		{func(f *family, c *chip) { c.measure[0].mask = 0x100 }, "mask: has bits"},
		{func(f *family, c *chip) { c.measure[1].status = 2 }, "status: is read besides a result"},
		{func(f *family, c *chip) { c.measure[1].result = 33 }, "result: 1 to 32 bytes"},
		{func(f *family, c *chip) { c.sum = &checksum{every: 3} }, "end with a checksum"},
		{func(f *family, c *chip) { c.measure[1].mask = 1 }, "mask: is of set"},
		{func(f *family, c *chip) { c.measure[1].merge = true }, "merge: is of set"},
		{func(f *family, c *chip) { c.measure[1].until = &until{mask: 1} }, "until: has no time"},
		{func(f *family, c *chip) { c.measure[1].must = []test{{mask: 1}} }, "must: says nothing"},
		{func(f *family, c *chip) { c.measure[1].must = []test{{mask: 1 << 16, says: "x"}} }, "bits that aren't read"},
		{func(f *family, c *chip) { c.measure[0].must = []test{{mask: 1, says: "x"}} }, "tests what it doesn't read"},
		{func(f *family, c *chip) { c.measure[1].wait = time.Hour }, "more than a minute"},
		{func(f *family, c *chip) { c.measure = c.measure[:1] }, "no result is read"},
		{func(f *family, c *chip) { c.wake = []step{{write: hex{1}, result: 2}} }, "result: isn't read there"},
		{func(f *family, c *chip) { c.sleep = []step{{write: hex{1}}, {write: hex{2}}} }, "sleep: is more than one write"},
		{func(f *family, c *chip) { c.measure[0] = step{write: hex{0, 1}} }, "nothing tells a stuck bus from a result"},
		{func(f *family, c *chip) { c.measure[0].set[1] = 0xff; c.measure[0].with = nil }, "nothing tells a stuck bus from a result"},
		{func(f *family, c *chip) { c.fields = nil }, "it has no fields"},
		{func(f *family, c *chip) { c.fields[0].at = 1 }, "its bytes 1 to 2 are beyond the 2"},
		{func(f *family, c *chip) { c.fields[0].at = -1 }, "its bytes -1 to 0 are beyond the 2"},
		{func(f *family, c *chip) { c.fields[0].kind = "be:u17/16>>0" }, "don't fit into 16"},
		{func(f *family, c *chip) { c.fields[0].kind = "" }, "nothing computes it"},
		{func(f *family, c *chip) { c.fields[0].by = []string{"rate"} }, "there is no setting rate"},
		{func(f *family, c *chip) { c.fields[0].per = "shunt" }, "there is no number shunt"},
		{func(f *family, c *chip) { c.fields[0].says = "" }, "says: is what a saturated value is"},
		{func(f *family, c *chip) { c.fields[0].quantity = sensors.Pulses }, "its quantity has no range"},
	} {
		f := rangedChip()
		tc.spoil(f, &f.models[0])
		if err := f.check(); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("the error is %v and should say %q", err, tc.says)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, tc := range []struct {
		kind string
		p    []byte
		want int64
	}{
		{"be:s12/16>>4", b(0xff, 0xf0), -1},
		{"be:s12/16>>4", b(0x7f, 0xff), 2047},
		{"be:u13/16>>3", b(0xff, 0xff), 8191},
		{"le:s16/16>>0", b(0xfe, 0xff), -2},
		{"le:u16/16>>0", b(0x34, 0x12), 0x1234},
		{"be:u20/24>>4", b(0x12, 0x34, 0x56), 0x12345},
		{"be:s24/24>>0", b(0x80, 0, 0), -8388608},
		{"le:s24/24>>0", b(0, 0, 0x80), -8388608},
		{"be:u8/8>>0", b(0xfe), 254},
		{"be:s64/64>>0", b(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe), -2},
		{"be:u1/8>>7", b(0x80), 1},
	} {
		k, err := parseKind(tc.kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.integer(tc.p); got != tc.want {
			t.Errorf("%s of % x is %d, want %d", tc.kind, tc.p, got, tc.want)
		}
	}
	for _, kind := range []string{"", "be", "be:", "be:u16", "be:u16/16", "be:u16/17>>0", "be:u0/16>>0", "be:u9/16>>8", "be:u65/64>>0", "be:u72/72>>0", "me:u16/16>>0", "be:x16/16>>0", "le:f32", "be:u16/16>>-1"} {
		if _, err := parseKind(kind); err == nil {
			t.Errorf("%q is taken for a type", kind)
		}
	}
}
