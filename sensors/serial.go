package sensors

import (
	"context"
	"fmt"
	"time"
)

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
	// Patience is how long one Read waits; 0: until its context ends.
	Patience time.Duration
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
	// Read waits until a byte is there and reads what there is of p. Where
	// nothing comes in time, the error is of the class timeout. A port whose
	// adapter is unplugged gives an error, and never zero bytes without one.
	Read(ctx context.Context, p []byte) (int, error)
	// Write sends all of p.
	Write(ctx context.Context, p []byte) error
	// Discard forgets what was received and not read.
	Discard() error
	Close() error
}
