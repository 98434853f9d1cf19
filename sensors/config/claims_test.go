package config

import (
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

// header is a board that knows the names of some wires.
func header(c sensors.Claim) (string, bool) {
	id, ok := map[string]string{
		"GPIO17": "17", "gpiochip0:17": "17", "pinctrl-bcm2835:17": "17", "PUMP": "17",
		"GPIO2": "2", "gpiochip0:2": "2", "GPIO14": "14", "gpiochip0:14": "14",
		"/dev/serial0": "ttyAMA0", "/dev/ttyAMA0": "ttyAMA0", "/dev/serial/by-id/usb-x": "ttyUSB0", "/dev/ttyUSB0": "ttyUSB0",
	}[strings.TrimPrefix(c.Key(), string(c.Kind)+" ")]
	return id, ok
}

func TestOneWireHasOneUse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		sensors []string
		rails   []string
		blind   bool     // no board is there to ask
		want    []string // the problems, each by a part of it
	}{
		{name: "by two names", sensors: []string{"a=switch,pin=17", "b=switch,pin=gpiochip0:17"}, want: []string{"pin: gpiochip0:17 is taken by sensor a (--sensor a=…): a line has one use"}},
		{name: "by two names, and nobody knows", blind: true, sensors: []string{"a=switch,pin=17", "b=switch,pin=gpiochip0:17"}},
		{name: "by a label", sensors: []string{"a=switch,pin=BOARD11", "b=switch,pin=pinctrl-bcm2835:17"}, want: []string{"pin: pinctrl-bcm2835:17 is taken by sensor a"}},
		{name: "by a name", sensors: []string{"a=switch,pin=17", "b=switch,pin=PUMP"}, want: []string{"pin: PUMP is taken by sensor a"}},
		{name: "a supply", sensors: []string{"a=switch,pin=17", "b=bme280,power=gpiochip0:17"}, want: []string{"pin: GPIO17 (pin 11) is taken by power of a sensor"}},
		{name: "one supply by two names", sensors: []string{"a=bme280,power=GPIO17", "b=tmp102,power=gpiochip0:17"}},
		{name: "a rail by two names", sensors: []string{"a=bme280,power=vcc", "b=tmp102,power=gpiochip0:17"}, rails: []string{"vcc=17"}},
		{name: "two rails", sensors: []string{"a=bme280,power=vcc", "b=tmp102,power=vdd"}, rails: []string{"vcc=17", "vdd=PUMP"}, want: []string{"line: PUMP is taken by rail vcc"}},
		{name: "a bus's pin", sensors: []string{"a=bme280", "b=switch,pin=gpiochip0:2"}, want: []string{"pin: gpiochip0:2 is taken by I2C bus 1, on which sensor a is"}},
		{name: "an SPI bus's pins", sensors: []string{"a=mcp3008", "b=switch,pin=GPIO11", "c=switch,pin=GPIO8", "d=switch,pin=GPIO7"},
			want: []string{"GPIO11 (pin 23) is taken by SPI bus 0, on which sensor a is", "GPIO8 (pin 24) is taken by SPI bus 0"}},
		{name: "two chips on an SPI bus", sensors: []string{"a=mcp3008", "b=mcp3008,select=1"}},
		{name: "one SPI chip", sensors: []string{"a=mcp3008,channels=ch0", "b=mcp3008,channels=ch1"}},
		{name: "one SPI chip, two ways", sensors: []string{"a=mcp3008", "b=mcp3008,reference=5V"}, want: []string{"reference: differs from sensor a (--sensor a=…), which reads the same chip, SPI bus 0, chip select 0"}},
		{name: "the serial port's pins", sensors: []string{"a=dust", "b=switch,pin=gpiochip0:14"}, want: []string{"pin: gpiochip0:14 is taken by serial port /dev/serial0, on which sensor a is"}},
		{name: "an adapter has no pins", sensors: []string{"a=dust,port=/dev/serial/by-id/usb-x", "b=switch,pin=GPIO14"}},
		{name: "a port", sensors: []string{"a=dust,port=/dev/ttyUSB0", "b=dust,port=/dev/ttyUSB0"}, blind: true, want: []string{"port: serial port /dev/ttyUSB0 is taken by sensor a (--sensor a=…): a serial port has one use"}},
		{name: "a port by two names", sensors: []string{"a=dust,port=/dev/ttyUSB0", "b=dust,port=/dev/serial/by-id/usb-x"}, want: []string{"port: serial port /dev/serial/by-id/usb-x is taken by sensor a"}},
		{name: "two ports", sensors: []string{"a=dust,port=/dev/ttyUSB0", "b=dust,port=/dev/ttyUSB1"}},
		{name: "two files", sensors: []string{"a=hwmon,path=/sys/x", "b=hwmon,path=/sys/x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := Source{SensorFlags: tt.sensors, RailFlags: tt.rails, Identify: header}
			if tt.blind {
				src.Identify = nil
			}
			_, err := Load(src)
			problems, _ := err.(Problems)
			if len(problems) != len(tt.want) {
				t.Fatalf("the problems are\n%v\nwant %d", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(problems[i].Error(), want) {
					t.Errorf("%v\nwant %q", problems[i], want)
				}
			}
		})
	}
}

// A counter keeps its supply on; a limit of that would end the counting for
// good.
func TestHeldLineBehindALimit(t *testing.T) {
	const limited = "rain=pulse,pin=GPIO22,power=probes"
	for _, tt := range []struct {
		name, sensor string
		rails        []string
		want         string
	}{
		{"its own", limited, []string{"probes=17,max-on=1m"},
			"--sensor rain=…: power: GPIO22 (pin 15) is held between reads, for which rail probes stays on, and max-on (--rail probes=…) would switch it off after 1m for good"},
		{"of the rail that it comes after", limited, []string{"probes=17,after=main", "main=18,max-on=1m"}, "for which rail main stays on"},
		{"none", limited, []string{"probes=17"}, ""},
		{"of a line that isn't held", "door=switch,pin=GPIO22,power=probes", []string{"probes=17,max-on=1m"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(Source{SensorFlags: []string{tt.sensor}, RailFlags: tt.rails})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
