package sim

import (
	"fmt"

	"example.org/dormouse/sensors"
)

// Reconfigure changes how the line is used; its numbers go on.
func (l *line) Reconfigure(c sensors.LineConfig) error {
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if c.Output && c.Edges != sensors.NoEdge {
		return fmt.Errorf("line %s: an output has no edges", l.ref)
	}
	now := l.board.clock.Now()
	l.catchUp(now)
	l.config = c
	l.level = c.Active != c.ActiveLow
	l.board.driven(l.bcm, now)
	return nil
}
