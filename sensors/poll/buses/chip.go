package buses

import (
	"context"
	"errors"
	"io"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/lock"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// A Chip is the bus of one chip as its sensor sees it: that of the read under way,
// between Begin and End.
type Chip struct {
	board board.Board
	clock lock.Clock
	claim sensors.Claim

	ctx   context.Context // of the read
	bus   *Bus
	locks lock.Held
	alone bool // with the chip
	keeps bool // the bus from the other sensors
}

// NewChip is that of a claim on a chip of the board.
func NewChip(b board.Board, clock lock.Clock, claim sensors.Claim) *Chip {
	return &Chip{board: b, clock: clock, claim: claim}
}

// Begin has it use the bus until End or the end of ctx.
func (c *Chip) Begin(ctx context.Context, bus *Bus) { c.ctx, c.bus = ctx, bus }

// End leaves the chip to other processes, and the bus to other sensors where the
// driver hasn't: it may have panicked.
func (c *Chip) End() error {
	c.alone = false
	c.Release()
	return c.locks.Close()
}

// String is the bus as people name it.
func (c *Chip) String() string { return c.bus.String() }

// Tx is one transaction.
func (c *Chip) Tx(addr uint16, w, r []byte) error {
	if err := c.aloneWithChip(); err != nil {
		return err
	}
	if !c.keeps {
		c.Acquire()
		defer c.Release()
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	dev, err := c.bus.Open(c.board)
	if err != nil {
		return err
	}
	return dev.Tx(addr, w, r)
}

// aloneWithChip keeps other processes from the chip for the whole measurement:
// what they write between a command and the read of its result changes the
// result.
func (c *Chip) aloneWithChip() error {
	if c.alone {
		return nil
	}
	// Where there is no bus, that is the error.
	if _, err := c.bus.Open(c.board); err != nil {
		return err
	}
	if err := c.locks.Wait(c.ctx, c.clock, func() (io.Closer, error) { return c.board.Lock(c.claim) }); err != nil {
		return err
	}
	c.alone = true
	return nil
}

// Acquire keeps the bus from the other sensors. It gives up when the read is
// cancelled or another process has the chip; then the transactions fail, too.
func (c *Chip) Acquire() {
	if c.aloneWithChip() == nil {
		c.keeps = c.bus.Acquire(c.ctx)
	}
}

// Release ends what Acquire began.
func (c *Chip) Release() {
	if c.keeps {
		c.keeps = false
		c.bus.Release()
	}
}

// Witness asks the bus, if it can tell.
func (c *Chip) Witness(than uint16) (addr uint16, ok bool) {
	dev, err := c.bus.Open(c.board)
	if w, can := dev.(sensors.Witness); can && err == nil && c.ctx.Err() == nil {
		return w.Witness(than)
	}
	return 0, false
}

// SetSpeed is refused.
func (c *Chip) SetSpeed(physic.Frequency) error {
	return errors.New("the speed of an I2C bus is set by the device tree: dtparam=i2c_arm_baudrate=")
}

var _ i2c.Bus = (*Chip)(nil)
