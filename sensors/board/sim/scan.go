package sim

import (
	"fmt"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim/chips"
	"golang.org/x/sys/unix"
)

// Quick addresses a chip for writing and sends nothing. All chips but a busy
// SHT4x acknowledge that.
func (b *bus) Quick(addr uint16) error {
	b.board.mu.Lock()
	defer b.board.mu.Unlock()
	if b.closed {
		return fmt.Errorf("%s is closed: %w", BusNumber, unix.EBADF)
	}
	return board.BusError(BusNumber, addr, b.board.address(addr))
}

func (b *Board) address(addr uint16) error {
	if b.stuck != nil {
		return nil
	}
	s, err := b.present(addr)
	if err != nil {
		return err
	}
	if c, ok := s.chip.(interface{ Busy(at sensors.Instant) bool }); ok && c.Busy(b.clock.Now()) {
		return chips.Nack
	}
	return nil
}

// Lines lists the header's.
func (b *Board) Lines() ([]board.LineInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pins[0].gone {
		return nil, nil
	}
	lines := make([]board.LineInfo, headerLines)
	for i := range lines {
		lines[i] = b.lineInfo(i)
	}
	return lines, nil
}

func (b *Board) lineInfo(offset int) board.LineInfo {
	p := &b.pins[offset]
	info := board.LineInfo{Chip: headerChip + " (" + headerLabel + ")", Offset: offset, Name: lineName(offset), Held: p.held || p.line != nil}
	if info.Held {
		info.Consumer = p.consumer
	}
	info.Function = p.function
	info.Output = p.line != nil && p.line.config.Output
	return info
}
