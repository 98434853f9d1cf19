package board

import (
	"errors"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// piWithI2C is a Pi Zero whose device tree gives GPIO2 and GPIO3 to the I2C
// controller and switches the serial port off.
func piWithI2C(t *testing.T) *gpioKernel {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0": {name: "gpiochip0", label: "pinctrl-bcm2835", names: lineNames(54, map[int]string{2: "SDA1"})},
		"gpiochip1": {name: "gpiochip1", label: "mcp23017", names: lineNames(16, map[int]string{3: "PUMP"})},
	})
	const soc = "/sys/firmware/devicetree/base/soc/"
	for name, content := range map[string]string{
		"gpio@7e200000/gpio-controller":    "",
		"gpio@7e200000/compatible":         "brcm,bcm2835-gpio\x00",
		"gpio@7e200000/i2c1/brcm,pins":     "\x00\x00\x00\x02\x00\x00\x00\x03",
		"gpio@7e200000/i2c1/brcm,function": "\x00\x00\x00\x04",
		"gpio@7e200000/i2c1/phandle":       "\x00\x00\x00\x09",
		"i2c@7e804000/status":              "okay\x00",
		"i2c@7e804000/pinctrl-0":           "\x00\x00\x00\x09",
		"serial@7e201000/status":           "disabled\x00",
	} {
		makeFile(t, k.root, soc+name, content)
	}
	return k
}

// A pin stays its peripheral's: the kernel isn't asked for the line at all, by
// whichever name, unless it is forced.
func TestPinIsNotTakenFromItsPeripheral(t *testing.T) {
	k := piWithI2C(t)
	b := k.board()
	for _, tt := range []struct{ line, want string }{
		{"GPIO2", "line GPIO2 (pin 3) is SDA of I2C bus 1 at present (i2c@7e804000): wire another line, or switch that off (dtparam=i2c_arm=off in config.txt, then a reboot); force=yes, on the sensor or on a rail that is defined, takes it, and the function returns at the next boot only"},
		{"SCL1", "GPIO3 (pin 5) is SCL of I2C bus 1"},
		{"BOARD3", "GPIO2 (pin 3) is SDA of I2C bus 1"},
		{"gpiochip0:3", "line gpiochip0:3 is SCL of I2C bus 1"},
		{"pinctrl-bcm2835:2", "line pinctrl-bcm2835:2 is SDA of I2C bus 1"},
		{"GPIO14", ""},      // the tree says that the port is off
		{"GPIO17", ""},      // no peripheral's
		{"gpiochip1:2", ""}, // of a chip that isn't the header's
		{"PUMP", ""},
	} {
		ref := parseLine(t, tt.line)
		info, err := b.LineInfo(ref)
		check(t, err)
		line, err := b.OpenLine(ref, sensors.LineConfig{}, "dormouse d")
		if tt.want == "" {
			if err != nil || !info.Function.IsZero() {
				t.Errorf("%s: %v, %+v", tt.line, err, info.Function)
				continue
			}
			defer func() { check(t, line.Close()) }()
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || sensors.ReasonOf(err) != sensors.Busy || !errors.Is(err, unix.EBUSY) {
			t.Errorf("%s: %v", tt.line, err)
		}
		if said := info.Function.Refuse(ref); said.Error() != err.Error() {
			t.Errorf("%s: the refusal is %v, and LineInfo says %v", tt.line, err, said)
		}
	}
	if n := len(k.lines); n != 4 {
		t.Errorf("the kernel was asked for %d lines, of which 4 are free", n)
	}
	line, err := b.OpenLine(parseLine(t, "GPIO2"), sensors.LineConfig{Force: true}, "dormouse d")
	check(t, err)
	check(t, line.Close())
	lines, err := b.Lines()
	if err != nil || lines[2].Function.IsZero() || !lines[14].Function.IsZero() || !lines[54+2].Function.IsZero() {
		t.Errorf("the list of lines: %v, %+v", err, lines)
	}
}

// Where nothing tells, the pins that a Pi usually needs otherwise are refused,
// on the chip of a header alone.
func TestReservedPins(t *testing.T) {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0": {name: "gpiochip0", label: "pinctrl-bcm2711", names: lineNames(58, nil)},
		"gpiochip1": {name: "gpiochip1", label: "gpio-mockup-A", names: lineNames(32, nil)},
	})
	b := k.board()
	for offset := range 28 {
		reserved := offset <= 3 || offset == 14 || offset == 15
		ref := sensors.LineRef{BCM: offset}
		_, err := b.OpenLine(ref, sensors.LineConfig{}, "x")
		if refused := err != nil && strings.Contains(err.Error(), "unless that was switched off, and nothing on this machine shows whether it was"); refused != reserved {
			t.Errorf("GPIO%d: %v", offset, err)
		}
		if _, err := b.OpenLine(ref, sensors.LineConfig{Force: true}, "x"); err != nil {
			t.Errorf("GPIO%d by force: %v", offset, err)
		}
		other := sensors.LineRef{BCM: -1, Chip: "gpiochip1", Offset: offset}
		if _, err := b.OpenLine(other, sensors.LineConfig{}, "x"); err != nil {
			t.Errorf("line %d of another chip: %v", offset, err)
		}
	}
}

// A strict pin controller says of a peripheral's line that it is used, and
// refuses it as if the request were wrong.
func TestStrictPinController(t *testing.T) {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0": {name: "gpiochip0", label: "1c20800.pinctrl", names: lineNames(16, nil), consumers: map[int]string{5: ""}, refuse: unix.EINVAL},
	})
	_, err := k.board().OpenLine(parseLine(t, "gpiochip0:5"), sensors.LineConfig{Force: true}, "x")
	if err == nil || !strings.Contains(err.Error(), "is held by an unnamed consumer") || sensors.ReasonOf(err) != sensors.Busy {
		t.Errorf("a used line: %v", err)
	}
	if _, err := k.board().OpenLine(parseLine(t, "gpiochip0:6"), sensors.LineConfig{}, "x"); err == nil || !strings.Contains(err.Error(), "can't do this") {
		t.Errorf("another: %v", err)
	}
}
