// Package serial are the drivers of what is on a serial port. A port is opened
// for a read and closed after it, so that an adapter which is unplugged gets its
// name back when it returns.
package serial

import (
	"context"
	"errors"

	"example.org/dormouse/sensors"
)

// A scanner finds frames in what a port receives, whatever is between them.
type scanner struct {
	port sensors.Serial
	buf  [128]byte
	have int
	// frame looks at the beginning of data: size is how long the frame there is,
	// once it is whole; 0: more is needed to tell; less: there is none, and why.
	// An err of nil is that of bytes which don't begin a frame.
	frame func(data []byte) (size int, err error)
}

// next is the next frame, which is good until the next call. When ctx ends its
// error is the last thing that was wrong with what came, or the error of ctx.
func (s *scanner) next(ctx context.Context) ([]byte, error) {
	var wrong error
	for {
		for s.have > 0 {
			size, err := s.frame(s.buf[:s.have])
			if size > 0 {
				frame := append([]byte(nil), s.buf[:size]...)
				s.drop(size)
				return frame, nil
			}
			if size == 0 {
				break
			}
			if err != nil {
				wrong = err
			}
			s.drop(1)
		}
		n, err := s.port.Read(ctx, s.buf[s.have:])
		s.have += n
		switch {
		case err == nil:
		case wrong != nil && errors.Is(err, context.DeadlineExceeded):
			return nil, wrong
		default:
			return nil, err
		}
	}
}

func (s *scanner) drop(n int) {
	copy(s.buf[:], s.buf[n:s.have])
	s.have -= n
}

// discard forgets what has come so far.
func (s *scanner) discard() error {
	s.have = 0
	return s.port.Discard()
}
