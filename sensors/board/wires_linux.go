package board

import (
	"fmt"
	"io"

	"example.org/dormouse/sensors"
)

// A wireKind is how this board deals with a kind of wire.
type wireKind struct {
	// open gives what drivers use of the kind. nil: by another method of Board.
	open func(l *linux, c sensors.Claim, config any) (io.Closer, error)
	// list finds the devices. May be nil.
	list func(l *linux) ([]Device, error)
	// identify is Inspector.Identify. nil: each has one name.
	identify func(l *linux, c sensors.Claim) (string, bool)
}

// wireKinds are the kinds, each with a file of its own in this package.
var wireKinds = map[sensors.WireKind]wireKind{
	sensors.I2CWire:     {},                                // OpenBus, Buses
	sensors.LineWire:    {identify: (*linux).identifyLine}, // OpenLine, Lines
	sensors.SPIWire:     {open: (*linux).openSPIClaim, list: (*linux).spiDevices},
	sensors.SerialWire:  {open: (*linux).openSerialClaim, list: (*linux).serialDevices, identify: (*linux).identifySerial},
	sensors.FileWire:    {}, // Files
	sensors.ProgramWire: {}, // Env.Start
}

// Open opens a wire by its kind.
func (l *linux) Open(c sensors.Claim, config any) (io.Closer, error) {
	w, ok := wireKinds[c.Kind]
	if !ok || w.open == nil {
		return nil, fmt.Errorf("%s can't be opened: no board has an entry for the kind %q", c, c.Kind)
	}
	return w.open(l, c, config)
}

// Devices lists the devices of a kind.
func (l *linux) Devices(kind sensors.WireKind) ([]Device, error) {
	if w := wireKinds[kind]; w.list != nil {
		return w.list(l)
	}
	return nil, nil
}

// Identify tells two names of one wire.
func (l *linux) Identify(c sensors.Claim) (id string, ok bool) {
	if w := wireKinds[c.Kind]; w.identify != nil {
		return w.identify(l, c)
	}
	return "", false
}
