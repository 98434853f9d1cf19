package sensors

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors/units"
)

func TestOptionParse(t *testing.T) {
	addr := AddrOpt("0x76", "0x77")
	any7bit := Option{Type: I2CAddrOption}
	for _, tt := range []struct {
		opt  Option
		text string
		want any
		err  string // a part of it
	}{
		{addr, "0x76", Address(0x76), ""},
		{addr, "0X77", Address(0x77), ""},
		{addr, "76", nil, `"76" could mean 0x76 or, read as decimal, 0x4c`},
		{addr, "118", nil, `"118" could mean 0x118 or, read as decimal, 0x76`},
		{any7bit, "4c", nil, "write an address with 0x, as in 0x4c"},
		{addr, "0x40", nil, "this chip can't have address 0x40: it has 0x76, 0x77"},
		{any7bit, "0x00", nil, "outside 0x08 to 0x77"},
		{any7bit, "0x78", nil, "outside 0x08 to 0x77"},
		{any7bit, "0x08", Address(8), ""},
		{any7bit, "0xzz", nil, "as in 0x76"},
		{any7bit, "", nil, "as in 0x76"},
		{BusOpt(), "1", Bus(1), ""},
		{BusOpt(), "i2c-3", Bus(3), ""},
		{BusOpt(), "/dev/i2c-22", Bus(22), ""},
		{BusOpt(), "-1", nil, "write 1 for /dev/i2c-1"},
		{BusOpt(), "+1", nil, "write 1 for /dev/i2c-1"},
		{BusOpt(), "1048576", nil, "write 1 for /dev/i2c-1"},
		{Option{Type: BoolOption}, "yes", true, ""},
		{Option{Type: BoolOption}, "off", false, ""},
		{Option{Type: BoolOption}, "maybe", nil, "neither yes nor no"},
		{Option{Type: IntegerOption}, "017", 17, ""},
		{Option{Type: IntegerOption}, "1.5", nil, "not a whole number"},
		{Option{Type: IntegerOption}, "2147483648", nil, `"2147483648" is outside -2147483648 to 2147483647`},
		{Option{Type: IntegerOption}, "-2147483648", -2147483648, ""},
		{Option{Type: IntegerOption, Range: &Range{1, 8}}, "9", nil, `"9" is outside 1 to 8`},
		{Option{Type: NumberOption, Unit: units.Meters}, "12cm", 0.12, ""},
		{Option{Type: NumberOption, Range: &Range{0, 1}}, "1.0001", nil, `"1.0001" is outside 0.00 to 1.00`},
		{Option{Type: EnumOption, Choices: []string{"up", "down"}}, "up", "up", ""},
		{Option{Type: EnumOption, Choices: []string{"up", "down"}}, "dwon", nil, `"dwon" is not one of up, down (did you mean down?)`},
		{Option{Type: EnumOption, Choices: []string{"up", "down"}}, "UP", nil, "did you mean up?"},
		{Option{Type: DurationOption}, "50ms", 50 * time.Millisecond, ""},
		{Option{Type: DurationOption, Range: &Range{1, 60}}, "5m", nil, `"5m" is outside 1s to 1m`},
		{Option{Type: PathOption}, "/dev/x", "/dev/x", ""},
		{Option{Type: PathOption}, "x", nil, "not an absolute path"},
		{Option{Type: SensorRefOption}, "a b", nil, "is not a valid sensor name"},
		{Option{Type: ListOption}, JoinList("a", "", "b c"), []string{"a", "", "b c"}, ""},
		{Option{Type: MapOption}, JoinList("A=1", "B=x=y"), map[string]string{"A": "1", "B": "x=y"}, ""},
		{Option{Type: MapOption}, "A", nil, `"A" is not NAME=VALUE`},
		{Option{Type: MapOption}, "=A", nil, "is not NAME=VALUE"},
		{Option{Type: LineOption}, "GPIO99", nil, "GPIO0 to GPIO57"},
		{Option{Type: TextOption}, "", "", ""},
	} {
		got, err := tt.opt.Parse(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Parse(%q) = %v, %v, want an error with %q", tt.text, got, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Parse(%q) = %#v, %v, want %#v", tt.text, got, err, tt.want)
		}
	}
}

func TestNewOptions(t *testing.T) {
	ads, _ := DriverByName("ads1115")
	o, err := NewOptions(ads, map[string]string{"addr": "0x49", "a1.gain": "2.048V", "rate": "8"}, "a3")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Channels(); !reflect.DeepEqual(got, []string{"a1", "a3"}) {
		t.Errorf("channels are %q", got)
	}
	if o.Value("bus") != Bus(1) || o.Address("addr") != 0x49 || o.Integer("rate") != 8 {
		t.Errorf("bus %v addr %v rate %v", o.Value("bus"), o.Address("addr"), o.Integer("rate"))
	}
	if o.Text("a1.gain") != "2.048V" || o.Text("a0.gain") != "4.096V" || o.Text("gain") != "4.096V" {
		t.Errorf("gains are %s %s %s", o.Text("a1.gain"), o.Text("a0.gain"), o.Text("gain"))
	}
	if o.Given("bus") || !o.Given("addr") || !o.Given("a1.gain") || o.Given("gain") {
		t.Error("Given doesn't tell defaults from what was written")
	}
}

func TestNewOptionsTellsEverything(t *testing.T) {
	sw, _ := DriverByName("switch")
	_, err := NewOptions(sw, map[string]string{"pul": "up", "active": "no", "debounce": "5"})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 4 {
		t.Fatalf("error is %v, want four", err)
	}
	for _, want := range []string{"pin: is missing: the line", "pul: is not a key of driver switch (did you mean pull?)", `active: "no" is not one of high, low`, `debounce: "5" has no unit`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	var oe *OptionError
	if !errors.As(err, &oe) || oe.Key == "" {
		t.Errorf("no OptionError in %v", err)
	}
	pulse, _ := DriverByName("pulse")
	if _, err := NewOptions(pulse, map[string]string{"pin": "4", "quantity": "energy"}); err == nil || !strings.Contains(err.Error(), "per-pulse: is missing") {
		t.Errorf("Check wasn't asked: %v", err)
	}
}

// A driver that asks for an option it hasn't declared is wrong at once, not
// only where the user has written it.
func TestOptionGettersPanic(t *testing.T) {
	sw, _ := DriverByName("switch")
	o, err := NewOptions(sw, map[string]string{"pin": "GPIO4"})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"unknown": func() { o.Text("pin2") }, "wrong type": func() { o.Text("pin") }, "of no channel": func() { o.Text("a0.pin") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestOptionsEqual(t *testing.T) {
	sw, _ := DriverByName("switch")
	opts := func(pin, pull string) *Options {
		o, err := NewOptions(sw, map[string]string{"pin": pin, "pull": pull})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if !opts("GPIO17", "up").Equal(opts("BOARD11", "up")) {
		t.Error("two spellings of one line differ")
	}
	if opts("GPIO17", "up").Equal(opts("GPIO18", "up")) || opts("GPIO17", "up").Equal(opts("GPIO17", "down")) {
		t.Error("different options are equal")
	}
}
