package sensors

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRegisterRefusesWrongTables(t *testing.T) {
	with := func(options ...Option) *Driver { return fake("wrong", Driver{Options: options}) }
	text := func(name string) Option { return Option{Name: name, Type: TextOption, Help: "x"} }
	for want, d := range map[string]*Driver{
		"registered twice":                    fake("bme280", Driver{}),
		"lacks a valid name":                  fake("a b", Driver{}),
		"lacks a valid name, a summary":       {Name: "wrong"},
		"no valid name":                       with(text("a.b")),
		"has no help text":                    with(Option{Name: "a"}),
		"has no choices":                      with(Option{Name: "a", Help: "x", Type: EnumOption}),
		"default of option a":                 with(Option{Name: "a", Help: "x", Type: DurationOption, Default: "5"}),
		"choices of option addr":              with(BusOpt(), Option{Name: "addr", Help: "x", Type: I2CAddrOption, Choices: []string{"76"}}),
		"an address without a bus":            with(AddrOpt("0x76")),
		"option a is there twice":             with(text("a"), text("a")),
		"option name is the name of a key":    with(text("name")),
		"option power is the name of a key":   with(text("power")),
		"option at is the name of a key":      with(text("at")),
		"option offset is the name of a key":  with(text("offset")),
		"option timeout must be like that":    with(text("timeout")),
		"option retries must be like that":    with(Option{Name: "retries", Type: IntegerOption, Help: "x", Required: true}),
		"of channels, and there are none":     with(Option{Name: "gain", Type: TextOption, Help: "x", Channel: true}),
		`channel "a.b" has no valid name`:     fake("wrong", Driver{Channels: []string{"a.b"}}),
		"channel a has the name of an option": fake("wrong", Driver{Channels: []string{"a"}, Options: []Option{text("a")}}),
		"channel b has the name of":           fake("wrong", Driver{Channels: []string{"b", "b"}}),
		"channel every has the name of":       fake("wrong", Driver{Channels: []string{"every"}}),
		"channel label has the name of":       fake("wrong", Driver{Channels: []string{"label"}}),
		"measures nil":                        fake("wrong", Driver{Measures: []*Quantity{nil}}),
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, want) {
					t.Errorf("panic is %q, want %q", got, want)
				}
			}()
			Register(d)
		}()
	}
	if _, ok := DriverByName("wrong"); ok {
		t.Error("a wrong table was registered")
	}
}

func TestDrivers(t *testing.T) {
	all := Drivers()
	if !slices.IsSortedFunc(all, func(a, b *Driver) int { return strings.Compare(a.Name, b.Name) }) || len(all) != len(drivers) {
		t.Errorf("drivers are %v", all)
	}
	if d, ok := DriverByName("bme280"); !ok || d.Name != "bme280" {
		t.Errorf("bme280 is %v, %v", d, ok)
	}
}

func TestCommonOptions(t *testing.T) {
	for _, o := range CommonOptions() {
		if o.Help == "" {
			t.Errorf("%s has no help text", o.Name)
		}
		if o.Default != "" {
			if _, err := o.Parse(o.Default); err != nil {
				t.Errorf("default of %s: %v", o.Name, err)
			}
		}
		if o.Name == "quantity" && !slices.Equal(o.Choices, QuantityNames()) {
			t.Errorf("quantity has the choices %q", o.Choices)
		}
	}
	for _, name := range overridable {
		if o, ok := CommonOption(name); !ok || o.Default == "" {
			t.Errorf("%s has no default to be replaced", name)
		}
	}
}

// A chip without a driver isn't answered with another chip; what is mistyped is.
func TestUnknownDriver(t *testing.T) {
	for name, want := range map[string]string{"bme208": "bme280", "bem280": "bme280", "BME280": "bme280", "bme28": "bme280", "bme2800": "bme280",
		"bmp280": "", "bme180": "", "bme680": "", "swithc": "switch", "swich": "switch", "mpu6050": ""} {
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		want = fmt.Sprintf("there is no driver %q%s: `dormouse drivers` lists them", name, want)
		if err := UnknownDriver(name); err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"every", "timeout", "power", "addr", "bus", "up"}
	for word, want := range map[string]string{"evry": "every", "tiemout": "timeout", "adr": "addr", "ADDR": "addr", "pu": "up", "zzz": "", "bao": "",
		"": "", strings.Repeat("x", 100): "", "bis": "bus"} {
		got := DidYouMean(word, known)
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got != want {
			t.Errorf("DidYouMean(%q) = %q, want %q", word, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"bme208", "bme280", 1}} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// ValidName is what the expression says that users are told.
func TestValidName(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	names := []string{"", "door", "dör", "a b", "a\n", strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("é", 32), "a\xff"}
	for c := range rune(0x200) {
		names = append(names, string(c), "a"+string(c)+"b")
	}
	for _, name := range names {
		if got, want := ValidName(name), pattern.MatchString(name); got != want {
			t.Errorf("ValidName(%q) is %t", name, got)
		}
	}
}
