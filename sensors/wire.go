package sensors

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A WireKind is a kind of wire, as /readings.json names it.
type WireKind string

const (
	I2CWire     WireKind = "i2c"
	SPIWire     WireKind = "spi"
	SerialWire  WireKind = "serial"
	LineWire    WireKind = "line"
	FileWire    WireKind = "file" // what the kernel reads
	ProgramWire WireKind = "program"
)

// wires lists the kinds, in the order in which messages name a sensor's wires.
// Each kind has a file in this package: its options, its claim, and the interface
// that drivers use. A kind that drivers open also has a file and an entry in a
// table in each of the packages board, board/sim and sensortest.
var wires = []*wire{i2cWire, spiWire, serialWire, lineWire, fileWire, programWire}

// A wire describes one kind.
type wire struct {
	kind WireKind
	// options are the types of option that name such a wire, with their parsers.
	options map[OptionType]func(o Option, text string) (any, error)
	// check finds a mistake in a driver's options. May be nil.
	check func(d *Driver) error
	// claims derives the claims from a driver's options. May be nil: then the kind
	// is claimed only by drivers with Claims of their own.
	claims func(d *Driver, o *Options) []Claim
	use    Use
	// reasons are what a read over such a wire can fail with, besides what any
	// read can.
	reasons []Reason
	noun    string // "a line"
	key     func(c Claim) string
	words   func(c Claim) string
	// medium is what several claims of this kind share, such as a bus; pins are
	// its pins on the header. Each may be nil.
	medium func(c Claim) string
	pins   func(c Claim) []Signal
	// bus and sel tell whether a claim has a bus and a chip select.
	bus, sel bool
}

// A Use says who may claim the same wire.
type Use uint8

const (
	Exclusive Use = iota // one sensor
	OneChip              // the sensors that read channels of one chip
	Shared               // anybody
)

// A Signal is a pin of the header with what a wire has there.
type Signal struct {
	BCM  int
	Name string // "SDA"
}

// A Claim is a wire that a sensor uses. Only the fields of its kind are set.
type Claim struct {
	Kind   WireKind
	Option string // that names it; empty: none does

	Bus     int     // of I2C and SPI
	Address Address // of I2C
	Select  int     // of SPI
	Line    LineRef // of a line
	Output  bool    // a line that is driven
	Held    bool    // a line that is kept between reads
	Force   bool    // a line that is taken even from a peripheral
	Path    string  // of a serial port, a file or a program; empty: found at the read
	Name    string  // of a file that is found at the read, in words
}

func (c Claim) wire() *wire {
	i := slices.IndexFunc(wires, func(w *wire) bool { return w.kind == c.Kind })
	if i < 0 {
		return unknownWire
	}
	return wires[i]
}

// unknownWire describes a kind that only a newer version knows, as its daemon
// may report it.
var unknownWire = &wire{
	use: Shared, noun: "a wire",
	key:   func(c Claim) string { return fmt.Sprint(c.Bus, c.Select, c.Address, c.Path, c.Name) },
	words: func(c Claim) string { return fmt.Sprintf("%s %s", c.Kind, c.Path) },
}

// String tells the wire in words: "I2C bus 1, address 0x76".
func (c Claim) String() string { return c.wire().words(c) }

// Key is equal for claims of one wire, in whichever spelling. Two that differ
// may still be one: names of a line, or of a serial port, that only the board
// at hand can tell (package board, Identify).
func (c Claim) Key() string { return string(c.Kind) + " " + c.wire().key(c) }

// Use says who else may claim the wire.
func (c Claim) Use() Use { return c.wire().use }

// Noun is the wire's kind in words, with its article: "a line".
func (c Claim) Noun() string { return c.wire().noun }

// Medium is what claims of this kind share, "I2C bus 1"; empty: nothing.
func (c Claim) Medium() string {
	if w := c.wire(); w.medium != nil {
		return w.medium(c)
	}
	return ""
}

// Pins are the header's pins that the wire's peripheral has, besides lines that
// are claimed as such. They are known for the peripherals that are on the same
// pins on every model.
func (c Claim) Pins() []Signal {
	if w := c.wire(); w.pins != nil {
		return w.pins(c)
	}
	return nil
}

// Claims lists the wires that the sensor uses, not those of its supply. There is
// one at least.
func (o *Options) Claims() []Claim {
	var claims []Claim
	if o.driver.Claims != nil {
		claims = o.driver.Claims(o)
	} else {
		for _, w := range wires {
			if w.claims != nil {
				claims = append(claims, w.claims(o.driver, o)...)
			}
		}
	}
	if len(claims) == 0 {
		claims = []Claim{unnamedFile(o.driver, o)}
	}
	if o.driver.Holds != nil && o.driver.Holds(o) {
		for i := range claims {
			claims[i].Held = claims[i].Kind == LineWire
		}
	}
	return claims
}

// Claim is the first claim of a kind.
func (o *Options) Claim(kind WireKind) (Claim, bool) {
	claims := o.Claims()
	i := slices.IndexFunc(claims, func(c Claim) bool { return c.Kind == kind })
	if i < 0 {
		return Claim{}, false
	}
	return claims[i], true
}

// Words tells claims in words: "out GPIO5 (pin 29), echo gpiochip1:2".
func Words(claims []Claim) string {
	count := map[WireKind]int{}
	for _, c := range claims {
		count[c.Kind]++
	}
	var parts []string
	for _, c := range claims {
		text := c.String()
		if count[c.Kind] > 1 && c.Option != "" {
			text = c.Option + " " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// openWire opens the first claim of a kind by the environment, as what drivers
// use of that kind.
func openWire[T io.Closer](e Env, kind WireKind, config any) (T, error) {
	var none T
	claim, ok := e.Options().Claim(kind)
	if !ok {
		panic(fmt.Sprintf("sensors: the driver of %s opens a wire of the kind %s and claims none", e.Name(), kind))
	}
	opened, err := e.Open(claim, config)
	if err != nil {
		return none, err
	}
	w, ok := opened.(T)
	if !ok {
		panic(fmt.Sprintf("sensors: %s is opened as a %T", claim, opened))
	}
	return w, nil
}

// optionWire is the kind of wire that an option of the type names; nil: none.
func optionWire(t OptionType) *wire {
	for _, w := range wires {
		if _, ok := w.options[t]; ok {
			return w
		}
	}
	return nil
}

// Uses tells whether the driver has an option that names a wire of the kind.
func (d *Driver) Uses(kind WireKind) bool {
	return slices.ContainsFunc(d.Options, func(o Option) bool {
		w := optionWire(o.Type)
		return w != nil && w.kind == kind
	})
}
