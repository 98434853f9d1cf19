// Package buses shares the I2C buses of a wake between the sensors that are read
// in it: a bus is opened by the first transaction, and closed when no sensor may
// use it any more. Transactions that belong together aren't interrupted by
// others.
package buses

import (
	"context"
	"sync"
	"sync/atomic"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"periph.io/x/conn/v3/i2c"
)

// A Set are the buses that are in use.
type Set map[sensors.Bus]*Bus

// Use finds a bus for one more user, who calls Leave, or Drop and then Leave.
func (s Set) Use(n sensors.Bus) *Bus {
	b := s[n]
	if b == nil {
		b = &Bus{number: n, turn: make(chan struct{}, 1)}
		s[n] = b
	}
	b.users.Add(1)
	return b
}

// Drop takes a bus out of use on which a transaction hangs: it stays open until
// its user leaves it, and others open it anew.
func (s Set) Drop(b *Bus) {
	if s[b.number] == b {
		delete(s, b.number)
	}
}

// A Bus may be used by many goroutines at a time.
type Bus struct {
	number sensors.Bus
	users  atomic.Int32
	turn   chan struct{} // is full during a transaction, or some that belong together

	mu  sync.Mutex
	dev i2c.BusCloser
}

// String is the bus as people name it.
func (b *Bus) String() string { return b.number.String() }

// Open is the bus of the board; it is opened once.
func (b *Bus) Open(from board.Board) (i2c.Bus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dev == nil {
		dev, err := from.OpenBus(b.number)
		if err != nil {
			return nil, err
		}
		b.dev = dev
	}
	return b.dev, nil
}

// Leave ends one use; after the last the bus is closed.
func (b *Bus) Leave() error {
	if b.users.Add(-1) > 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	dev := b.dev
	if dev == nil {
		return nil
	}
	b.dev = nil
	return dev.Close()
}

// Acquire waits until nobody else has the bus, or ctx has ended, which it tells
// by false.
func (b *Bus) Acquire(ctx context.Context) bool {
	select {
	case b.turn <- struct{}{}: // without the channel that Done would have to make
		return true
	default:
	}
	select {
	case b.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Release ends what Acquire began.
func (b *Bus) Release() { <-b.turn }
