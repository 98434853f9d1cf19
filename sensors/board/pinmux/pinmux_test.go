package pinmux

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes the files of a modelled system below root.
func write(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// cells are numbers as a device tree has them.
func cells(numbers ...uint32) string {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return string(b)
}

// texts are texts as a device tree has them.
func texts(all ...string) string { return strings.Join(all, "\x00") + "\x00" }

const base = "/sys/firmware/devicetree/base/"

// zero is the part of a mainline bcm2835-rpi-zero.dtb, with the I2C bus of the
// header enabled, that tells what pins are for: the pin controller sets up some
// by itself that no device has.
var zero = map[string]string{
	base + "soc/gpio@7e200000/gpio-controller":            "",
	base + "soc/gpio@7e200000/compatible":                 texts("brcm,bcm2835-gpio"),
	base + "soc/gpio@7e200000/pinctrl-0":                  cells(1, 2),
	base + "soc/gpio@7e200000/gpioout/brcm,pins":          cells(6),
	base + "soc/gpio@7e200000/gpioout/brcm,function":      cells(1),
	base + "soc/gpio@7e200000/gpioout/phandle":            cells(1),
	base + "soc/gpio@7e200000/alt0/brcm,pins":             cells(4, 5, 7, 8, 9, 10, 11),
	base + "soc/gpio@7e200000/alt0/brcm,function":         cells(4),
	base + "soc/gpio@7e200000/alt0/phandle":               cells(2),
	base + "soc/gpio@7e200000/i2c0-gpio0/brcm,pins":       cells(0, 1),
	base + "soc/gpio@7e200000/i2c0-gpio0/brcm,function":   cells(4),
	base + "soc/gpio@7e200000/i2c0-gpio0/phandle":         cells(3),
	base + "soc/gpio@7e200000/i2c1-gpio2/brcm,pins":       cells(2, 3),
	base + "soc/gpio@7e200000/i2c1-gpio2/brcm,function":   cells(4),
	base + "soc/gpio@7e200000/i2c1-gpio2/phandle":         cells(4),
	base + "soc/gpio@7e200000/uart0-gpio14/brcm,pins":     cells(14, 15),
	base + "soc/gpio@7e200000/uart0-gpio14/brcm,function": cells(4),
	base + "soc/gpio@7e200000/uart0-gpio14/phandle":       cells(5),
	base + "soc/i2c@7e205000/status":                      texts("disabled"),
	base + "soc/i2c@7e205000/pinctrl-0":                   cells(3),
	base + "soc/i2c@7e804000/status":                      texts("okay"),
	base + "soc/i2c@7e804000/pinctrl-0":                   cells(4),
	base + "soc/i2c@7e805000/status":                      texts("okay"), // HDMI's
	base + "soc/serial@7e201000/status":                   texts("okay"),
	base + "soc/serial@7e201000/pinctrl-0":                cells(5),
	base + "soc/serial@7e215040/status":                   texts("disabled"),
	base + "soc/spi@7e204000/status":                      texts("disabled"),
}

// with is a system with some files changed; an empty one is left out.
func with(system, changes map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{system, changes} {
		for name, content := range m {
			all[name] = content
		}
	}
	for name, content := range changes {
		if content == "" {
			delete(all, name)
		}
	}
	return all
}

const debug = "/sys/kernel/debug/pinctrl/20200000.gpio-pinctrl-bcm2835/"

func i2c1(signal string) Function {
	return Function{Name: signal + " of I2C bus 1", Device: "i2c@7e804000", SwitchOff: "dtparam=i2c_arm=off"}
}

func serial(signal, device string) Function {
	return Function{Name: signal + " of the serial port", Device: device, SwitchOff: "enable_uart=0"}
}

func guess(f Function) Function {
	f.Guess = true
	return f
}

// anyPi is what is known of a Pi that says nothing.
var anyPi = pins{
	0:  {Name: "SDA of I2C bus 0", SwitchOff: "dtparam=i2c_vc=off", Guess: true},
	1:  {Name: "SCL of I2C bus 0", SwitchOff: "dtparam=i2c_vc=off", Guess: true},
	2:  {Name: "SDA of I2C bus 1", SwitchOff: "dtparam=i2c_arm=off", Guess: true},
	3:  {Name: "SCL of I2C bus 1", SwitchOff: "dtparam=i2c_arm=off", Guess: true},
	14: {Name: "TXD of the serial port", SwitchOff: "enable_uart=0", Guess: true},
	15: {Name: "RXD of the serial port", SwitchOff: "enable_uart=0", Guess: true},
}

func TestFunctions(t *testing.T) {
	pl011 := pins{14: serial("TXD", "serial@7e201000"), 15: serial("RXD", "serial@7e201000")}
	plus := func(more pins) pins {
		all := pins{2: i2c1("SDA"), 3: i2c1("SCL"), 14: pl011[14], 15: pl011[15]}
		for offset, f := range more {
			all[offset] = f
		}
		return all
	}
	spi := func(signal string) Function {
		return Function{Name: signal + " of SPI bus 0", Device: "spi@7e204000", SwitchOff: "dtparam=spi=off", Guess: true}
	}
	for _, tt := range []struct {
		name  string
		label string // pinctrl-bcm2835
		files map[string]string
		want  pins
	}{
		{name: "mainline's Zero", files: zero, want: plus(nil)},
		{name: "by /proc", files: func() map[string]string {
			moved := map[string]string{}
			for name, content := range zero {
				moved["/proc/device-tree/"+strings.TrimPrefix(name, base)] = content
			}
			return moved
		}(), want: plus(nil)},
		{name: "I2C switched off", files: with(zero, map[string]string{base + "soc/i2c@7e804000/status": texts("disabled")}), want: pl011},
		{name: "all switched off", files: with(zero, map[string]string{base + "soc/status": texts("disabled")}), want: pins{}},
		{name: "the console on the other UART", files: with(zero, map[string]string{base + "soc/serial@7e201000/status": texts("disabled"),
			base + "soc/serial@7e215040/status": "", base + "soc/serial@7e215040/pinctrl-0": cells(5)}),
			want: plus(pins{14: serial("TXD", "serial@7e215040"), 15: serial("RXD", "serial@7e215040")})},
		// As Raspberry Pi OS' trees have it, for the firmware to fill in.
		{name: "a UART without a list", files: with(zero, map[string]string{base + "soc/gpio@7e200000/uart0-gpio14/brcm,pins": "", base + "soc/gpio@7e200000/uart0-gpio14/brcm,function": ""}),
			want: plus(pins{14: guess(pl011[14]), 15: guess(pl011[15])})},
		{name: "Bluetooth on the UART", files: with(zero, map[string]string{base + "soc/gpio@7e200000/uart0-gpio14/brcm,pins": cells(32, 33), base + "soc/gpio@7e200000/uart0-gpio14/brcm,function": cells(7)}),
			want: pins{2: i2c1("SDA"), 3: i2c1("SCL"), 32: {Name: "a pin of serial@7e201000 (alt3)", Device: "serial@7e201000"}, 33: {Name: "a pin of serial@7e201000 (alt3)", Device: "serial@7e201000"}}},
		{name: "SPI by the pin controller's own node", files: with(zero, map[string]string{base + "soc/spi@7e204000/status": texts("ok")}),
			want: plus(pins{7: spi("CE1"), 8: spi("CE0"), 9: spi("MISO"), 10: spi("MOSI"), 11: spi("SCLK")})},
		{name: "chip selects are lines of the kernel's", files: with(zero, map[string]string{
			base + "soc/spi@7e204000/status": texts("okay"), base + "soc/spi@7e204000/pinctrl-0": cells(20, 21),
			base + "soc/gpio@7e200000/spi0_pins/brcm,pins": cells(9, 10, 11), base + "soc/gpio@7e200000/spi0_pins/brcm,function": cells(4), base + "soc/gpio@7e200000/spi0_pins/phandle": cells(20),
			base + "soc/gpio@7e200000/spi0_cs_pins/brcm,pins": cells(8, 7), base + "soc/gpio@7e200000/spi0_cs_pins/brcm,function": cells(1), base + "soc/gpio@7e200000/spi0_cs_pins/phandle": cells(21)}),
			want: plus(pins{9: sure(spi("MISO")), 10: sure(spi("MOSI")), 11: sure(spi("SCLK"))})},
		{name: "a function for each pin", files: with(zero, map[string]string{
			base + "soc/pwm@7e20c000/pinctrl-0": cells(20), base + "soc/gpio@7e200000/pwm/phandle": cells(20),
			base + "soc/gpio@7e200000/pwm/brcm,pins": cells(18, 19, 17), base + "soc/gpio@7e200000/pwm/brcm,function": cells(2, 3, 0)}),
			want: plus(pins{18: {Name: "a pin of pwm@7e20c000 (alt5)", Device: "pwm@7e20c000"}, 19: {Name: "a pin of pwm@7e20c000 (alt4)", Device: "pwm@7e20c000"}})},
		{name: "a Pi 5", label: "pinctrl-rp1", files: map[string]string{
			base + "axi/pcie@120000/rp1/gpio@d0000/gpio-controller":    "",
			base + "axi/pcie@120000/rp1/gpio@d0000/compatible":         texts("raspberrypi,rp1-gpio"),
			base + "axi/pcie@120000/rp1/gpio@d0000/i2c1/function":      texts("i2c1"),
			base + "axi/pcie@120000/rp1/gpio@d0000/i2c1/pins":          texts("gpio2", "gpio3"),
			base + "axi/pcie@120000/rp1/gpio@d0000/i2c1/phandle":       cells(7),
			base + "axi/pcie@120000/rp1/gpio@d0000/uart/phandle":       cells(8),
			base + "axi/pcie@120000/rp1/gpio@d0000/uart/txd/function":  texts("uart0"),
			base + "axi/pcie@120000/rp1/gpio@d0000/uart/txd/pins":      texts("gpio14"),
			base + "axi/pcie@120000/rp1/gpio@d0000/fan/function":       texts("gpio"),
			base + "axi/pcie@120000/rp1/gpio@d0000/fan/pins":           texts("gpio21"),
			base + "axi/pcie@120000/rp1/gpio@d0000/fan/phandle":        cells(9),
			base + "axi/pcie@120000/rp1/i2c@74000/pinctrl-0":           cells(7),
			base + "axi/pcie@120000/rp1/serial@30000/pinctrl-0":        cells(8),
			base + "axi/pcie@120000/rp1/leds/pinctrl-0":                cells(9),
			base + "soc/pinctrl@7d504100/other/pins":                   texts("gpio14"),
			base + "soc/pinctrl@7d504100/other/function":               texts("uart1"),
			base + "soc/pinctrl@7d504100/other/phandle":                cells(10),
			base + "soc/serial@7e201000/pinctrl-0":                     cells(10),
			base + "soc/serial@7e201000/status":                        texts("okay"),
			base + "soc/pinctrl@7d504100/compatible":                   texts("brcm,bcm2712-pinctrl"),
			base + "axi/pcie@120000/rp1/gpio@d0000/i2c1/bias-pull-up":  "",
			base + "axi/pcie@120000/rp1/gpio@d0000/uart/txd/something": "x",
		}, want: pins{2: {Name: "SDA of I2C bus 1", Device: "i2c@74000", SwitchOff: "dtparam=i2c_arm=off"}, 3: {Name: "SCL of I2C bus 1", Device: "i2c@74000", SwitchOff: "dtparam=i2c_arm=off"},
			14: serial("TXD", "serial@30000")}},
		{name: "nothing tells", want: anyPi},
		{name: "another board's tree", files: map[string]string{base + "soc/pinctrl/compatible": texts("allwinner,sun8i-h3-pinctrl")}, want: anyPi},
		{name: "another chip", label: "gpio-mockup", files: zero},
		{name: "root, without a tree", files: map[string]string{
			debug + "pinmux-pins": "Pinmux settings per pin\nFormat: pin (name): mux_owner gpio_owner hog?\n" +
				"pin 0 (gpio0): (MUX UNCLAIMED) (GPIO UNCLAIMED)\npin 2 (gpio2): 20804000.i2c (GPIO UNCLAIMED) function alt0 group gpio2\n" +
				"pin 4 (gpio4): 20200000.gpio (GPIO UNCLAIMED) (HOG) function alt0 group gpio4\npin 18 (gpio18): 2020c000.pwm pinctrl-bcm2835:530 function alt5 group gpio18\n" +
				"pin 27 (gpio27): soc:w1 (GPIO UNCLAIMED) function gpio_in group gpio27\n",
			debug + "pins": "registered pins: 54\npin 0 (gpio0) 0:pinctrl-bcm2835 function gpio_in in hi; irq 0 (none)\npin 1 (gpio1) function alt0 in hi; irq 0 (none)\n" +
				"pin 2 (gpio2) 2:pinctrl-bcm2835 function gpio_in in hi; irq 0 (none)\npin 17 (gpio17) 17:pinctrl-bcm2835 function alt0 in lo; irq 0 (none)\n",
		}, want: pins{1: sure(anyPi[1]), 2: {Name: "SDA of I2C bus 1", Device: "20804000.i2c", SwitchOff: "dtparam=i2c_arm=off"}, 3: anyPi[3], 14: anyPi[14], 15: anyPi[15],
			18: {Name: "a pin of 2020c000.pwm (alt5)", Device: "2020c000.pwm"}}},
		{name: "root, with a tree that isn't sure", files: with(zero, map[string]string{base + "soc/serial@7e201000/pinctrl-0": "",
			debug + "pins": "pin 14 (gpio14) 14:pinctrl-bcm2835 function gpio_in in hi; irq 0 (none)\npin 15 (gpio15) 15:pinctrl-bcm2835 function alt0 in hi; irq 0 (none)\n" +
				"pin 2 (gpio2) 2:pinctrl-bcm2835 function gpio_in in hi; irq 0 (none)\n"}),
			want: pins{2: i2c1("SDA"), 3: i2c1("SCL"), 15: pl011[15]}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, tt.files)
			r := NewReader(root)
			label := tt.label
			if label == "" {
				label = "pinctrl-bcm2835"
			}
			got := pins{}
			for offset := range 58 {
				if f := r.Function(label, offset); !f.IsZero() {
					got[offset] = f
				}
			}
			if len(tt.want) == 0 && len(got) == 0 {
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the functions are (-want +got):\n%s", diff)
			}
		})
	}
}

func sure(f Function) Function {
	f.Guess = false
	return f
}

// A tree of which a part can't be read proves nothing.
func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	write(t, root, zero)
	status := filepath.Join(root, base, "soc/i2c@7e205000/status")
	if err := os.Remove(status); err != nil {
		t.Fatal(err)
	}
	// A link to itself can be read by nobody, root included.
	if err := os.Symlink("status", status); err != nil {
		t.Fatal(err)
	}
	r := NewReader(root)
	for offset, want := range anyPi {
		if f := r.Function("pinctrl-bcm2835", offset); f != want {
			t.Errorf("line %d is %+v", offset, f)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, base)); err != nil {
		t.Fatal(err)
	}
	write(t, root, map[string]string{base: "no directory"}) // Clean takes the slash away
	if f := NewReader(root).Function("pinctrl-bcm2835", 2); f != anyPi[2] {
		t.Errorf("line 2 is %+v", f)
	}
}

// What was read stands for an hour: an overlay that somebody loads is seen then.
func TestReadAgain(t *testing.T) {
	root := t.TempDir()
	write(t, root, zero)
	now := time.Minute
	r := NewReader(root)
	r.now = func() time.Duration { return now }
	if f := r.Function("pinctrl-bcm2835", 2); f != i2c1("SDA") {
		t.Fatalf("line 2 is %+v", f)
	}
	write(t, root, map[string]string{base + "soc/i2c@7e804000/status": texts("disabled")})
	now += keepFor - 1
	if f := r.Function("pinctrl-bcm2835", 2); f.IsZero() {
		t.Error("the tree was read again too soon")
	}
	now++
	if f := r.Function("pinctrl-bcm2835", 2); !f.IsZero() {
		t.Errorf("line 2 is still %+v", f)
	}
	if s := guess(i2c1("SDA")).String() + ", " + i2c1("SCL").String(); s != "probably SDA of I2C bus 1, SCL of I2C bus 1" {
		t.Errorf("in words: %s", s)
	}
	if sinceBoot() <= 0 {
		t.Error("there is no clock")
	}
}
