package sensors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The options of an I2C chip.
const (
	BusOption     OptionType = "I2C bus"     // 1, or i2c-1
	I2CAddrOption OptionType = "I2C address" // 0x76; Choices are the addresses the chip can have
)

// A Bus is the number of an I2C bus: 1 is /dev/i2c-1.
type Bus int

// String is the bus as people name it.
func (b Bus) String() string { return fmt.Sprintf("I2C bus %d", int(b)) }

// An Address is the 7-bit address of a chip on an I2C bus.
type Address uint16

// String is the address as it is written: 0x76.
func (a Address) String() string { return fmt.Sprintf("0x%02x", uint16(a)) }

// An ExclusiveBus is an i2c.Bus whose transactions from Acquire to Release are not
// interrupted by other sensors of this process: for transactions between which
// no time may pass.
type ExclusiveBus interface {
	Acquire()
	Release()
}

// BusOpt is the bus of an I2C chip.
func BusOpt() Option {
	return Option{Name: "bus", Type: BusOption, Default: "1", Help: "I2C bus: 1 is /dev/i2c-1, pins 3 and 5 of the header"}
}

// AddrOpt is the chip's address, the first of those it can have by default.
func AddrOpt(addresses ...string) Option {
	return Option{Name: "addr", Type: I2CAddrOption, Default: addresses[0], Choices: addresses, Help: "I2C address, written with 0x"}
}

var i2cWire = &wire{
	kind: I2CWire, reasons: []Reason{NoAnswer, Identity, Busy}, use: OneChip, noun: "an address", bus: true,
	options: map[OptionType]func(Option, string) (any, error){BusOption: parseBus, I2CAddrOption: Option.parseAddress},
	check: func(d *Driver) error {
		if a, ok := d.optionOf(I2CAddrOption); ok {
			if _, ok := d.optionOf(BusOption); !ok {
				return fmt.Errorf("option %s is an address without a bus", a.Name)
			}
		}
		return nil
	},
	claims: func(d *Driver, o *Options) []Claim {
		bus, _ := d.optionOf(BusOption)
		addr, ok := d.optionOf(I2CAddrOption)
		b, hasBus := o.values[bus.Name].(Bus)
		a, hasAddr := o.values[addr.Name].(Address)
		if !ok || !hasBus || !hasAddr { // an option that is wrong has no value
			return nil
		}
		return []Claim{{Kind: I2CWire, Option: addr.Name, Bus: int(b), Address: a}}
	},
	key:    func(c Claim) string { return fmt.Sprint(c.Bus, " ", c.Address) },
	words:  func(c Claim) string { return fmt.Sprintf("%s, address %s", Bus(c.Bus), c.Address) },
	medium: func(c Claim) string { return Bus(c.Bus).String() },
	pins:   func(c Claim) []Signal { return Bus(c.Bus).Pins() },
}

// Pins are the bus's on the header: Raspberry Pi documentation, "GPIO and the
// 40-pin header". Those of other buses differ between the models.
func (b Bus) Pins() []Signal {
	switch b {
	case 0:
		return []Signal{{0, "SDA"}, {1, "SCL"}}
	case 1:
		return []Signal{{2, "SDA"}, {3, "SCL"}}
	}
	return nil
}

func parseBus(_ Option, text string) (any, error) {
	// The kernel numbers adapters in 20 bits: MINORBITS, linux/kdev_t.h.
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimPrefix(text, "/dev/"), "i2c-"), 10, 20)
	if err != nil {
		return nil, fmt.Errorf("%q is not an I2C bus: write 1 for /dev/i2c-1", text)
	}
	return Bus(n), nil
}

// parseAddress refuses a bare number: 76 means 0x76 to one reader and 0x4c to
// another, and both may be right.
func (o Option) parseAddress(text string) (any, error) {
	digits, hex := strings.CutPrefix(strings.ToLower(text), "0x")
	n, err := strconv.ParseUint(digits, 16, 16)
	if !hex {
		if dec, derr := strconv.ParseUint(text, 10, 16); err == nil && derr == nil {
			return nil, fmt.Errorf("%q could mean 0x%s or, read as decimal, 0x%02x: write the one you mean with 0x", text, text, dec)
		}
		if err == nil {
			return nil, fmt.Errorf("%q: write an address with 0x, as in 0x%s", text, digits)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%q is not an I2C address: write it as in 0x76", text)
	}
	// 0x00 to 0x07 and 0x78 to 0x7f are reserved: I2C specification UM10204, table 4.
	if n < 0x08 || n > 0x77 {
		return nil, fmt.Errorf("%q is outside 0x08 to 0x77, the addresses that chips can have", text)
	}
	a := Address(n)
	if len(o.Choices) > 0 && !slices.Contains(o.Choices, a.String()) {
		return nil, fmt.Errorf("this chip can't have address %s: it has %s", a, strings.Join(o.Choices, ", "))
	}
	return a, nil
}
