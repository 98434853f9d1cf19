package sensors

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// claimed is a driver with these options, configured.
func claimed(t *testing.T, texts map[string]string, options ...Option) *Options {
	t.Helper()
	d := &Driver{Name: "made-up", Summary: "s", Datasheet: "d", Options: options, New: nil}
	o, err := NewOptions(d, texts)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestClaims(t *testing.T) {
	line := func(name string, typ OptionType) Option { return Option{Name: name, Type: typ, Help: "h"} }
	for _, tt := range []struct {
		options []Option
		texts   map[string]string
		words   string
		json    string
		keys    []string
		use     Use
		medium  string
		pins    []Signal
	}{
		{
			options: []Option{BusOpt(), AddrOpt("0x76", "0x77")}, texts: map[string]string{"addr": "0x77"},
			words: "I2C bus 1, address 0x77", json: `[{"kind":"i2c","option":"addr","bus":1,"address":"0x77"}]`, keys: []string{"i2c 1 0x77"},
			use: OneChip, medium: "I2C bus 1", pins: []Signal{{2, "SDA"}, {3, "SCL"}},
		}, {
			options: []Option{BusOpt(), AddrOpt("0x40")}, texts: map[string]string{"bus": "i2c-10"},
			words: "I2C bus 10, address 0x40", json: `[{"kind":"i2c","option":"addr","bus":10,"address":"0x40"}]`, keys: []string{"i2c 10 0x40"},
			use: OneChip, medium: "I2C bus 10",
		}, {
			options: SPIOpts(), texts: map[string]string{"select": "CE1"},
			words: "SPI bus 0, chip select 1", json: `[{"kind":"spi","option":"select","bus":0,"select":1}]`, keys: []string{"spi 0.1"},
			use: OneChip, medium: "SPI bus 0", pins: []Signal{{9, "MISO"}, {10, "MOSI"}, {11, "SCLK"}, {7, "CE1"}},
		}, {
			options: SPIOpts(), texts: map[string]string{"bus": "spi1", "select": "2"},
			words: "SPI bus 1, chip select 2", json: `[{"kind":"spi","option":"select","bus":1,"select":2}]`, keys: []string{"spi 1.2"},
			use: OneChip, medium: "SPI bus 1",
		}, {
			options: []Option{PortOpt()},
			words:   "serial port /dev/serial0", json: `[{"kind":"serial","option":"port","path":"/dev/serial0"}]`, keys: []string{"serial /dev/serial0"},
			use: Exclusive, medium: "serial port /dev/serial0", pins: []Signal{{14, "TXD"}, {15, "RXD"}},
		}, {
			options: []Option{PortOpt()}, texts: map[string]string{"port": "/dev/serial/by-id/usb-x"},
			words: "serial port /dev/serial/by-id/usb-x", json: `[{"kind":"serial","option":"port","path":"/dev/serial/by-id/usb-x"}]`,
			keys: []string{"serial /dev/serial/by-id/usb-x"}, use: Exclusive, medium: "serial port /dev/serial/by-id/usb-x",
		}, {
			options: []Option{line("in", LineOption), line("out", OutputOption), line("none", LineOption)}, texts: map[string]string{"in": "BOARD11", "out": "gpiochip1:3"},
			words: "in GPIO17 (pin 11), out gpiochip1:3",
			json:  `[{"kind":"line","option":"in","line":"GPIO17"},{"kind":"line","option":"out","line":"gpiochip1:3","output":true}]`,
			keys:  []string{"line GPIO17", "line gpiochip1:3"}, use: Exclusive,
		}, {
			options: []Option{line("where", PathOption)}, texts: map[string]string{"where": "/sys/x"},
			words: "/sys/x", json: `[{"kind":"file","option":"where","path":"/sys/x"}]`, keys: []string{"file /sys/x"}, use: Shared,
		}, {
			options: []Option{line("zone", TextOption)}, texts: map[string]string{"zone": "soc"},
			words: "made-up zone soc", json: `[{"kind":"file","option":"zone","name":"made-up zone soc"}]`, keys: []string{"file made-up zone soc"}, use: Shared,
		}, {
			words: "by the kernel", json: `[{"kind":"file","name":"by the kernel"}]`, keys: []string{"file by the kernel"}, use: Shared,
		},
	} {
		claims := claimed(t, tt.texts, tt.options...).Claims()
		if got := Words(claims); got != tt.words {
			t.Errorf("in words it is %q, want %q", got, tt.words)
		}
		data, err := json.Marshal(claims)
		if err != nil || string(data) != tt.json {
			t.Errorf("%s: JSON is %s, want %s (%v)", tt.words, data, tt.json, err)
		}
		var back []Claim
		if err := json.Unmarshal(data, &back); err != nil || !SameClaims(back, claims) {
			t.Errorf("%s: read back it is %v (%v)", tt.words, back, err)
		}
		var keys []string
		for _, c := range claims {
			keys = append(keys, c.Key())
		}
		first := claims[0]
		if !reflect.DeepEqual(keys, tt.keys) || first.Use() != tt.use || first.Medium() != tt.medium || !reflect.DeepEqual(first.Pins(), tt.pins) {
			t.Errorf("%s: keys %q, use %d, medium %q, pins %v", tt.words, keys, first.Use(), first.Medium(), first.Pins())
		}
	}
}

func TestClaimsOfItsOwn(t *testing.T) {
	held := &Driver{Name: "held", Options: []Option{{Name: "pin", Type: LineOption, Help: "h"}, BusOpt(), AddrOpt("0x20")},
		Holds: func(o *Options) bool { return o.Given("pin") }}
	o, err := NewOptions(held, map[string]string{"pin": "17"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range o.Claims() {
		if c.Held != (c.Kind == LineWire) {
			t.Errorf("%s is held: %v", c, c.Held)
		}
	}
	own := &Driver{Name: "own", Claims: func(*Options) []Claim { return []Claim{{Kind: ProgramWire, Path: "/bin/true"}} }}
	if o, err = NewOptions(own, nil); err != nil || Words(o.Claims()) != "program /bin/true" {
		t.Errorf("it claims %v, %v", o.Claims(), err)
	}
}

// What a newer version's daemon claims must not break an older scan.
func TestClaimsOfAnotherVersion(t *testing.T) {
	var claims []Claim
	if err := json.Unmarshal([]byte(`[{"kind":"can","bus":0,"frame":"0x123"},{"kind":"i2c","bus":1,"address":"0x76","new":{}}]`), &claims); err != nil {
		t.Fatal(err)
	}
	if claims[0].Use() != Shared || claims[0].Noun() == "" || claims[0].Pins() != nil || claims[0].Medium() != "" || !strings.Contains(claims[0].String(), "can") {
		t.Errorf("an unknown kind is %+v", claims[0])
	}
	if claims[1].Key() != "i2c 1 0x76" {
		t.Errorf("a known one is %s", claims[1].Key())
	}
	for _, wrong := range []string{`[1]`, `[{"kind":"i2c","address":"76"}]`, `[{"kind":"line","line":"GPIO99"}]`} {
		if err := json.Unmarshal([]byte(wrong), &claims); err == nil {
			t.Errorf("%s is a claim", wrong)
		}
	}
}

func TestWireOptions(t *testing.T) {
	for _, tt := range []struct {
		option Option
		text   string
		want   string // of the error; empty: none
	}{
		{SPIOpts()[0], "0", ""}, {SPIOpts()[0], "spi1", ""}, {SPIOpts()[0], "-1", "is not an SPI bus"}, {SPIOpts()[0], "40000", "is not an SPI bus"},
		{SPIOpts()[1], "ce0", ""}, {SPIOpts()[1], "x", "is not a chip select"}, {SPIOpts()[1], "256", "is not a chip select"},
		{PortOpt(), "/dev/ttyUSB0", ""}, {PortOpt(), "ttyUSB0", "is not a serial port"}, {PortOpt(), "/dev/", "is not a serial port"},
		{PortOpt(), "/dev/../etc/passwd", "is not a serial port"}, {PortOpt(), "COM1", "is not a serial port"},
	} {
		_, err := tt.option.Parse(tt.text)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: %v, want %q", tt.option.Name, tt.text, err, tt.want)
		}
	}
	for name, options := range map[string][]Option{"an address without a bus": {AddrOpt("0x40")}, "a bus and a chip select": SPIOpts()[:1]} {
		d := &Driver{Name: "x", Summary: "s", Datasheet: "d", Options: options, New: newNothing}
		if err := d.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a driver that lacks %s: %v", name, err)
		}
	}
	if s := (SPIDevice{}).Pins(); len(s) != 4 {
		t.Errorf("CE0 has the pins %v", s)
	}
}

func newNothing(context.Context, Env) (Sensor, error) { return nil, nil }
