// Package board is the wires themselves: I2C buses, GPIO lines, SPI, serial
// ports and the kernel's files, found by name, opened late and closed early, and
// able to say who holds what. It measures nothing and schedules nothing.
//
// Package board/sim is a board of modelled chips with the same interface.
package board

import (
	"context"
	"io"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"periph.io/x/conn/v3/i2c"
)

// A Board gives out wires. Its methods may be called from any goroutine.
type Board interface {
	// Model is what the board says of itself: "Raspberry Pi 4 Model B Rev 1.4".
	Model() string
	// OpenBus opens an I2C bus for some transactions; the caller closes it.
	// Tx may be called from many goroutines: the bus's lock is held for one
	// transaction. Errors keep errno and say what to do.
	OpenBus(bus sensors.Bus) (i2c.BusCloser, error)
	// OpenLine takes a GPIO line under the consumer's name. Where somebody
	// else holds it the error is of the class busy and names them.
	OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error)
	// Open opens a wire of another kind: a sensors.SPIConn, with a
	// sensors.SPIConfig as config, or a sensors.Serial, with a
	// sensors.SerialConfig. Nobody but root can open the same serial port
	// meanwhile. A second Close gives os.ErrClosed.
	Open(c sensors.Claim, config any) (io.Closer, error)
	Files() sensors.Files
	// Lock locks the chip of an I2C claim or, for the claim of a line, all GPIO
	// lines of the machine, until the result is closed. It doesn't wait: where the
	// lock is held the error is lock.ErrLocked. The lock is advisory: it excludes
	// only others that ask for it, in this process or in another of this program,
	// whatever its user.
	Lock(c sensors.Claim) (io.Closer, error)
}

// A Clock tells the time and waits; *alarm.Clock is one.
type Clock interface {
	Now() alarm.Instant
	SleepUntil(ctx context.Context, at alarm.Instant) error
}
