package sensors

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// SerialOption is a serial port: a path below /dev.
const SerialOption OptionType = "serial port"

// PortOpt is the serial port that a sensor is on.
func PortOpt() Option {
	return Option{Name: "port", Type: SerialOption, Default: headerPort,
		Help: "serial port: " + headerPort + " is that of the header, pins 8 and 10; of an adapter give the name below /dev/serial/by-id, which it keeps"}
}

// headerPort is Raspberry Pi OS's link to the port that is on the header.
const headerPort = "/dev/serial0"

var serialWire = &wire{
	kind: SerialWire, reasons: []Reason{NoAnswer, Busy}, use: Exclusive, noun: "a serial port",
	options: map[OptionType]func(Option, string) (any, error){SerialOption: parsePort},
	claims: func(d *Driver, o *Options) []Claim {
		opt, ok := d.optionOf(SerialOption)
		path, has := o.values[opt.Name].(string)
		if !ok || !has {
			return nil
		}
		return []Claim{{Kind: SerialWire, Option: opt.Name, Path: path}}
	},
	key:    func(c Claim) string { return c.Path },
	words:  func(c Claim) string { return "serial port " + c.Path },
	medium: func(c Claim) string { return "serial port " + c.Path },
	pins: func(c Claim) []Signal {
		// Which of the names is the header's differs between the models; the others
		// are those of the Bluetooth chip.
		if slices.Contains([]string{headerPort, "/dev/ttyAMA0", "/dev/ttyS0"}, c.Path) {
			return HeaderUART
		}
		return nil
	},
}

// HeaderUART are the pins of the header's serial port.
var HeaderUART = []Signal{{14, "TXD"}, {15, "RXD"}}

// OpenSerial opens the port that the sensor's option names. Where the driver
// leaves it open, it is closed at the end of the attempt.
func OpenSerial(e Env, c SerialConfig) (Serial, error) {
	return openWire[Serial](e, SerialWire, c)
}

func parsePort(_ Option, text string) (any, error) {
	path, ok := strings.CutPrefix(text, "/dev/")
	if !ok || path == "" || strings.HasSuffix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") {
		return nil, fmt.Errorf("%q is not a serial port: write its device, such as %s or a name below /dev/serial/by-id (dormouse scan lists them)", text, headerPort)
	}
	return text, nil
}

// Parity is the parity bit of a serial port.
type Parity uint8

const (
	NoParity Parity = iota
	EvenParity
	OddParity
)

// A SerialConfig is how a serial port sends and receives. A character has
// eight data bits.
type SerialConfig struct {
	Baud   int // bits a second, 50 to 4,000,000
	Parity Parity
	// TwoStops sends two stop bits instead of one.
	TwoStops bool
}

// String is the format in the usual short form: "9600 8N1".
func (c SerialConfig) String() string {
	stops := 1
	if c.TwoStops {
		stops = 2
	}
	return fmt.Sprintf("%d 8%c%d", c.Baud, "NEO"[c.Parity], stops)
}

// Serial is a serial port in use. Nobody else who asks for it gets it until
// Close.
type Serial interface {
	// Read waits until a byte is there, and reads what there is into p. When ctx
	// ends its error is that of ctx: Env.WithTimeout bounds a wait. A port whose
	// adapter is unplugged gives an error, and never zero bytes without one.
	Read(ctx context.Context, p []byte) (int, error)
	// Write sends all of p.
	Write(ctx context.Context, p []byte) error
	// Discard forgets what was received and not read.
	Discard() error
	Close() error
}
