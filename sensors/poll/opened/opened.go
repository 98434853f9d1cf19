// Package opened keeps the wires that a sensor has opened, so that those which it
// leaves open after a read are closed. The shared I2C buses are none of them: see
// sensors/poll/buses.
package opened

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// Wires are those of one sensor, which uses them from one goroutine at a time.
type Wires struct {
	lines  []*line // taken and not closed
	others []other // opened since the last CloseOthers, whether they were closed or not
}

// Line opens a line; it is remembered until it is closed.
func (w *Wires) Line(b board.Board, ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	l, err := b.OpenLine(ref, c, consumer)
	if err != nil {
		return nil, err
	}
	held := &line{Line: l, of: w, ref: ref}
	w.lines = append(w.lines, held)
	return held, nil
}

// Open opens a wire of another kind, for one read.
func (w *Wires) Open(b board.Board, c sensors.Claim, config any) (io.Closer, error) {
	wire, err := b.Open(c, config)
	if err != nil {
		return nil, err
	}
	w.others = append(w.others, other{wire, c})
	return wire, nil
}

// CloseLines closes the lines that are open, and tells whether there was any.
func (w *Wires) CloseLines(log *slog.Logger) bool {
	open := len(w.lines) > 0
	for len(w.lines) > 0 {
		l := w.lines[len(w.lines)-1]
		if err := l.Close(); err != nil {
			log.Warn("can't close a line", "line", l.ref.String(), "err", err)
		}
	}
	return open
}

// CloseOthers closes what Open opened, and tells whether any of it was open.
// Closing what is closed already gives os.ErrClosed.
func (w *Wires) CloseOthers(log *slog.Logger) bool {
	open := false
	for _, o := range w.others {
		err := o.Close()
		if errors.Is(err, os.ErrClosed) {
			continue
		}
		open = true
		if err != nil {
			log.Warn("can't close a wire", "wire", o.claim.String(), "err", err)
		}
	}
	clear(w.others)
	w.others = w.others[:0]
	return open
}

// AppendState appends the states of the lines that are open, which the sensor of
// that name holds. One that can't be read is left out: its sensor says so when it
// is read.
func (w *Wires) AppendState(wires []sensors.Wire, name string) []sensors.Wire {
	for _, l := range w.lines {
		if active, err := l.Active(); err == nil {
			wires = append(wires, sensors.Wire{Kind: "line", Name: name, Where: l.ref.String(), Active: active})
		}
	}
	return wires
}

// A line forgets itself when it is closed.
type line struct {
	sensors.Line
	of  *Wires
	ref sensors.LineRef
}

func (l *line) Close() error {
	l.of.lines = slices.DeleteFunc(l.of.lines, func(other *line) bool { return other == l })
	return l.Line.Close()
}

// An other is a wire of another kind than a line.
type other struct {
	io.Closer
	claim sensors.Claim
}
