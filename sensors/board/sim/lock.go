package sim

import (
	"fmt"
	"io"
	"os"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
)

// Lock locks a chip, or all lines, within this process: nobody else has the
// board.
func (b *Board) Lock(c sensors.Claim) (io.Closer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := string(c.Kind)
	if c.Kind == sensors.I2CWire {
		key = c.Key()
	}
	if b.locked[key] {
		return nil, fmt.Errorf("lock %s: %w", c, lock.ErrLocked)
	}
	b.locked[key] = true
	return &held{b, key}, nil
}

type held struct {
	board *Board
	key   string // empty: closed
}

func (l *held) Close() error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if l.key == "" {
		return os.ErrClosed
	}
	delete(l.board.locked, l.key)
	l.key = ""
	return nil
}
