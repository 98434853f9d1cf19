package main

import (
	"strings"
	"testing"
)

// No command takes a pin from its peripheral, however the line comes to be
// asked for, and each says the same about it. pinout and check say it without
// asking for the line.
func TestNoCommandTakesAPeripheralsPin(t *testing.T) {
	const (
		sda     = "GPIO2 (pin 3) is SDA of I2C bus 1 at present (i2c@7e804000)"
		txd     = "GPIO14 (pin 8) is TXD of the serial port at present (serial@7e201000)"
		refused = ": wire another line, or switch that off"
		forced  = ", and is taken from that by force=yes: the function returns at the next boot only"
	)
	for _, tt := range []struct {
		name string
		args []string
		code int // of check --hardware and read
		want string
	}{
		{"a sensor", []string{"--sensor=d=switch,pin=GPIO2"}, 1, sda + refused},
		{"by a pin's number", []string{"--sensor=d=pulse,pin=BOARD8"}, 1, txd + refused},
		{"a second line", []string{"--sensor=d=hcsr04,trigger=GPIO17,echo=GPIO2"}, 1, sda + refused},
		{"a supply", []string{"--sensor=d=thermal,power=GPIO14"}, 1, txd + refused},
		{"a rail", []string{"--rail=r=GPIO2", "--sensor=d=thermal,power=r"}, 1, sda + refused},
		{"a sensor by force", []string{"--sensor=d=switch,pin=GPIO2,force=yes"}, 0, sda + forced},
		{"a rail by force", []string{"--rail=r=GPIO14,force=yes", "--sensor=d=thermal,power=r"}, 0, txd + forced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			run := func(command ...string) (stdout, stderr string, code int) {
				return p.run(append(append(command, "--board=sim"), tt.args...)...)
			}
			if stdout, stderr, code := run("check"); code != 0 || !strings.Contains(stderr, "warning: ") || !strings.Contains(stderr, tt.want) {
				t.Errorf("check: exit status %d\n%s%s", code, stdout, stderr)
			}
			if stdout, stderr, code := run("pinout"); code != 0 || !strings.Contains(stdout, tt.want) {
				t.Errorf("pinout: exit status %d\n%s%s", code, stdout, stderr)
			}
			for _, command := range [][]string{{"check", "--hardware"}, {"read"}} {
				stdout, stderr, code := run(command...)
				if code != tt.code || tt.code != 0 && !strings.Contains(stdout+stderr, tt.want) {
					t.Errorf("%s: exit status %d\n%s%s", command, code, stdout, stderr)
				}
			}
		})
	}
	p := newPlace(t)
	if stdout, stderr, _ := p.run("scan", "--board=sim", "--rail=r=GPIO2"); !strings.Contains(stdout+stderr, sda+refused) {
		t.Errorf("scan:\n%s%s", stdout, stderr)
	}
	stdout, stderr, code := p.run("read", "--board=sim", "--sensor=t=tmp102,bus=1", "--rail=r=GPIO17", "--sensor=d=switch,pin=GPIO3,force=yes")
	if code != 6 || !strings.Contains(stderr, "GPIO3 (pin 5) is taken by I2C bus 1") {
		t.Errorf("a pin and its bus: exit status %d\n%s%s", code, stdout, stderr)
	}
	if help := p.must("drivers", "switch"); !strings.Contains(help, "force") || !strings.Contains(help, "next boot only") {
		t.Errorf("the help of the drivers doesn't tell of force:\n%s", help)
	}
}
