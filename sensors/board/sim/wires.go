package sim

import (
	"fmt"
	"io"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// A wireKind is how this board deals with a kind of wire that sensors open by
// Board.Open.
type wireKind struct {
	open func(b *Board, c sensors.Claim, config any) (io.Closer, error)
	list func(b *Board) []board.Device
}

// wireKinds are these kinds, each with a file of its own in this package.
var wireKinds = map[sensors.WireKind]wireKind{
	sensors.SPIWire:    {open: openSPI, list: listSPI},
	sensors.SerialWire: {open: openSerial, list: listSerial},
}

// Open opens a wire by its kind.
func (b *Board) Open(c sensors.Claim, config any) (io.Closer, error) {
	w, ok := wireKinds[c.Kind]
	if !ok {
		return nil, fmt.Errorf("%s can't be opened: the simulated board has no entry for the kind %q", c, c.Kind)
	}
	return w.open(b, c, config)
}

// Devices lists the devices of a kind.
func (b *Board) Devices(kind sensors.WireKind) ([]board.Device, error) {
	if w, ok := wireKinds[kind]; ok {
		return w.list(b), nil
	}
	return nil, nil
}

// Identify tells two names of one line; other wires have one name each.
func (b *Board) Identify(c sensors.Claim) (id string, ok bool) {
	if c.Kind != sensors.LineWire {
		return "", false
	}
	info, err := b.LineInfo(c.Line)
	return fmt.Sprintf("%s line %d", info.Chip, info.Offset), err == nil
}
