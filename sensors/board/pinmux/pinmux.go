// Package pinmux tells which pins of a Raspberry Pi's header peripherals have:
// I2C controllers, SPI controllers, serial ports. The kernel lets a program take
// such a pin as a line and doesn't say so: the GPIO drivers of the Pi aren't
// strict (Documentation/driver-api/pin-control.rst, "GPIO mode pitfalls"). The
// peripheral then has lost its pin until the next boot.
//
// It reads the device tree, which every user may read, and debugfs, which root
// may. It reads no registers and changes nothing.
package pinmux

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// A Function is what a peripheral uses a pin for. The zero value is a pin that
// no peripheral has.
type Function struct {
	Name   string // "SDA of I2C bus 1"
	Device string // who has it, as the kernel calls it: "i2c@7e804000"; may be empty
	// SwitchOff is the line of the firmware's config.txt that makes a plain line
	// of it; empty: not known.
	SwitchOff string
	// Guess tells that it is so on a Pi unless that was switched off, and that
	// nothing tells whether it was.
	Guess bool
}

// IsZero tells that no peripheral has the pin.
func (f Function) IsZero() bool { return f == Function{} }

// String tells it in a few words: "SDA of I2C bus 1".
func (f Function) String() string {
	if f.Guess {
		return "probably " + f.Name
	}
	return f.Name
}

// Refusal says why the line isn't taken and what to do, after the line's name:
// "is SDA of I2C bus 1 at present (i2c@7e804000): …".
func (f Function) Refusal() string {
	off := "switch that off"
	if f.SwitchOff != "" {
		off += " (" + f.SwitchOff + " in config.txt, then a reboot)"
	}
	return fmt.Sprintf("%s: wire another line, or %s; force=yes, on the sensor or on a rail that is defined, takes it, and the function returns at the next boot only", f.is(), off)
}

// Refuse is the error of the line that isn't taken.
func (f Function) Refuse(ref sensors.LineRef) error {
	return sensors.Errorf(sensors.Busy, "line %s %s: %w", ref, f.Refusal(), unix.EBUSY)
}

// Forced says what becomes of the line that is taken nevertheless.
func (f Function) Forced() string {
	return f.is() + ", and is taken from that by force=yes: the function returns at the next boot only"
}

func (f Function) is() string {
	is := "is " + f.Name + " at present"
	if f.Guess {
		is = "is " + f.Name + " on a Raspberry Pi unless that was switched off, and nothing on this machine shows whether it was"
	}
	if f.Device != "" {
		is += " (" + f.Device + ")"
	}
	return is
}

// A Reader finds functions. It may be used from several goroutines.
type Reader struct {
	root string
	now  func() time.Duration

	mu     sync.Mutex
	chips  map[string]pins // by the chip's label
	readAt time.Duration
}

// pins are the functions of one chip's pins, and no entry for a plain line.
type pins map[int]Function

// NewReader reads below root, "/".
func NewReader(root string) *Reader { return &Reader{root: root, now: sinceBoot} }

// keepFor is how long an answer stands. To walk the device tree costs a Pi Zero
// some tens of milliseconds; it changes while the system runs only when somebody
// loads an overlay.
const keepFor = time.Hour

func sinceBoot() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0 // it can't fail with this clock: Linux 2.6.39
	}
	return time.Duration(t.Nano())
}

// Function is what a peripheral uses a line of a chip for. The label is the
// chip's, as "pinctrl-bcm2835"; of chips that aren't a Pi's header nothing is
// known.
func (r *Reader) Function(label string, offset int) Function {
	if _, ok := controllers[label]; !ok {
		return Function{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); r.chips == nil || now-r.readAt >= keepFor {
		r.chips, r.readAt = map[string]pins{}, now
	}
	if r.chips[label] == nil {
		r.chips[label] = r.read(label)
	}
	return r.chips[label][offset]
}

// read asks all sources. What the tree says stands. Debugfs adds the pins that
// drivers have otherwise, and says of a pin of which the tree isn't sure what it
// is.
func (r *Reader) read(label string) pins {
	found, ok := r.readTree(label)
	if !ok {
		found = pins{}
		for offset := range reserved {
			found[offset] = function(offset, "", "")
			f := found[offset]
			f.Guess = true
			found[offset] = f
		}
	}
	claimed, actual := r.readDebug(label)
	for offset, f := range claimed {
		if known, ok := found[offset]; !ok || known.Guess {
			found[offset] = f
		}
	}
	for offset, f := range found {
		if name, ok := actual[offset]; ok && f.Guess {
			f.Guess = false
			found[offset] = f
			if isLine(name) {
				delete(found, offset)
			}
		}
	}
	return found
}

// The pins of the header's peripherals as they are on every model: Raspberry Pi
// documentation, "GPIO and the 40-pin header".
var usual = func() map[int]usage {
	m := map[int]usage{}
	add := func(kind string, number int, signals []sensors.Signal, off string) {
		for _, s := range signals {
			m[s.BCM] = usage{kind, number, s.Name, off}
		}
	}
	add("i2c", 0, sensors.Bus(0).Pins(), "dtparam=i2c_vc=off")
	add("i2c", 1, sensors.Bus(1).Pins(), "dtparam=i2c_arm=off")
	for n := range 2 {
		add("spi", 0, sensors.SPIDevice{Select: n}.Pins(), "dtparam=spi=off")
	}
	add("serial", 0, sensors.HeaderUART, "enable_uart=0")
	return m
}()

type usage struct {
	kind   string // as the device tree names the node
	number int
	signal string
	off    string // parameter of the firmware: its overlays' README
}

// reserved are those that mustn't be taken unless it is known that they are
// free: the bus of the ID EEPROM, I2C bus 1 and the serial console.
var reserved = map[int]bool{0: true, 1: true, 2: true, 3: true, 14: true, 15: true}

// Usual is a pin of the header as that peripheral has it which it is for on
// every model.
func Usual(bcm int, device string) Function { return function(bcm, device, "") }

// function describes a pin that a device has. What the firmware calls it, as
// alt0, helps only where the pin isn't a usual one of that kind of device.
func function(offset int, device, mux string) Function {
	f := Function{Device: device}
	u, ok := usual[offset]
	if device != "" && kindOf(device) != u.kind {
		ok = false
	}
	switch {
	case !ok && mux != "":
		f.Name = fmt.Sprintf("a pin of %s (%s)", device, mux)
	case !ok:
		f.Name = "a pin of " + device
	case u.kind == "i2c":
		f.Name = fmt.Sprintf("%s of %s", u.signal, sensors.Bus(u.number))
	case u.kind == "spi":
		f.Name = fmt.Sprintf("%s of SPI bus %d", u.signal, u.number)
	default:
		f.Name = u.signal + " of the serial port"
	}
	if ok {
		f.SwitchOff = u.off
	}
	return f
}

// isLine tells whether the name of a function is that of a plain line: gpio_in
// and gpio_out of pinctrl-bcm2835.c, gpio of pinctrl-rp1.c.
func isLine(mux string) bool {
	return slices.Contains([]string{"gpio", "gpio_in", "gpio_out"}, mux)
}
