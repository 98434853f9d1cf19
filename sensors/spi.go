package sensors

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// The options of an SPI chip.
const (
	SPIBusOption    OptionType = "SPI bus"         // 0
	SPISelectOption OptionType = "SPI chip select" // 0, or CE0
)

// An spiBus and an spiSelect are the values of these options.
type (
	spiBus    int
	spiSelect int
)

// SPIOpts are the bus and the chip select of an SPI chip.
func SPIOpts() []Option {
	return []Option{
		{Name: "bus", Type: SPIBusOption, Default: "0", Help: "SPI bus: with select=1, 0 is /dev/spidev0.1, pins 19, 21 and 23 of the header"},
		{Name: "select", Type: SPISelectOption, Default: "0", Help: "chip select: 0 or CE0 is pin 24 of the header on bus 0, 1 or CE1 pin 26"},
	}
}

var spiWire = &wire{
	kind: SPIWire, reasons: []Reason{NoAnswer, Busy}, use: OneChip, noun: "a chip select", bus: true, sel: true,
	options: map[OptionType]func(Option, string) (any, error){SPIBusOption: parseSPIBus, SPISelectOption: parseSPISelect},
	check: func(d *Driver) error {
		_, bus := d.optionOf(SPIBusOption)
		if _, sel := d.optionOf(SPISelectOption); bus != sel {
			return fmt.Errorf("an SPI chip has a bus and a chip select")
		}
		return nil
	},
	claims: func(d *Driver, o *Options) []Claim {
		bus, _ := d.optionOf(SPIBusOption)
		sel, ok := d.optionOf(SPISelectOption)
		b, hasBus := o.values[bus.Name].(spiBus)
		s, hasSelect := o.values[sel.Name].(spiSelect)
		if !ok || !hasBus || !hasSelect { // an option that is wrong has no value
			return nil
		}
		return []Claim{{Kind: SPIWire, Option: sel.Name, Bus: int(b), Select: int(s)}}
	},
	key:    func(c Claim) string { return fmt.Sprint(c.Bus, ".", c.Select) },
	words:  func(c Claim) string { return c.SPI().String() },
	medium: func(c Claim) string { return fmt.Sprintf("SPI bus %d", c.Bus) },
	pins:   func(c Claim) []Signal { return c.SPI().Pins() },
}

// SPI is the device of a claim of an SPI chip.
func (c Claim) SPI() SPIDevice { return SPIDevice{c.Bus, c.Select} }

// Pins are the device's on the header, of bus 0 as it is by default: Raspberry
// Pi documentation, "GPIO and the 40-pin header". Overlays move the chip
// selects, and bus 1 to 6 differ between the models.
func (d SPIDevice) Pins() []Signal {
	if d.Bus != 0 {
		return nil
	}
	pins := []Signal{{9, "MISO"}, {10, "MOSI"}, {11, "SCLK"}}
	switch d.Select {
	case 0:
		pins = append(pins, Signal{8, "CE0"})
	case 1:
		pins = append(pins, Signal{7, "CE1"})
	}
	return pins
}

// OpenSPI opens the chip that the sensor's options bus and select name. Where
// the driver leaves it open, it is closed at the end of the attempt.
func OpenSPI(e Env, c SPIConfig) (SPIConn, error) { return openWire[SPIConn](e, SPIWire, c) }

func parseSPIBus(_ Option, text string) (any, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "spi"), 10, 15)
	if err != nil {
		return nil, fmt.Errorf("%q is not an SPI bus: write 0 for /dev/spidev0.0, /dev/spidev0.1 and so on", text)
	}
	return spiBus(n), nil
}

func parseSPISelect(_ Option, text string) (any, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(text), "CE"), 10, 8)
	if err != nil {
		return nil, fmt.Errorf("%q is not a chip select: write 0 or CE0 for /dev/spidev0.0", text)
	}
	return spiSelect(n), nil
}

// An SPIDevice is one chip select of an SPI bus: bus 0 and select 1 are
// /dev/spidev0.1.
type SPIDevice struct{ Bus, Select int }

// String is the device as people name it.
func (d SPIDevice) String() string { return fmt.Sprintf("SPI bus %d, chip select %d", d.Bus, d.Select) }

// Node is the device's file.
func (d SPIDevice) Node() string { return fmt.Sprintf("/dev/spidev%d.%d", d.Bus, d.Select) }

// An SPIConfig is how messages with a chip are sent.
type SPIConfig struct {
	Speed physic.Frequency // at most, 1 Hz to 4.29 GHz
	Mode  spi.Mode         // clock polarity and phase; LSBFirst, NoCS, HalfDuplex
	Bits  int              // of a word; 0: 8
}

// An SPIConn is a chip on an SPI bus in use. Tx and TxPackets are one message
// each: the chip is selected for all of it. Close it when the read has ended.
type SPIConn interface {
	spi.Conn
	io.Closer
}
