package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"example.org/dormouse/test/rig/protocol"
)

// serialPort talks to a guest over the serial line that is its console, too:
// what the kernel says before the guest's program has taken the line goes to
// the console, and so does what is no frame.
type serialPort struct {
	net.Conn
	console io.Writer
	taken   chan struct{} // closed when the guest's program has taken the line
	recent  []byte        // what was read last, for spill
}

func newSerialPort(c net.Conn) *serialPort {
	return &serialPort{Conn: c, taken: make(chan struct{})}
}

// Read is called by one goroutine.
func (s *serialPort) Read(p []byte) (int, error) {
	select {
	case <-s.taken:
	default:
		if err := s.awaitGuest(); err != nil {
			close(s.taken) // writers find a closed connection
			return 0, errors.Join(err, s.Conn.Close())
		}
		close(s.taken)
	}
	n, err := s.Conn.Read(p)
	s.recent = append(s.recent, p[:n]...)
	if over := len(s.recent) - recentBytes; over > 0 {
		s.recent = s.recent[over:]
	}
	return n, err
}

// recentBytes is enough for the header of a frame that the kernel's last words
// are taken for.
const recentBytes = 1024

// awaitGuest reads up to the mark that the guest's program sends. It reads
// bytewise, so as to leave alone what follows.
func (s *serialPort) awaitGuest() error {
	mark := []byte(protocol.SerialMark)
	var said [1]byte
	var last []byte
	for {
		if _, err := io.ReadFull(s.Conn, said[:]); err != nil {
			return err
		}
		if _, err := s.console.Write(said[:]); err != nil {
			return err
		}
		if last = append(last, said[0]); len(last) > len(mark) {
			last = last[1:]
		}
		if bytes.Equal(last, mark) {
			return nil
		}
	}
}

// maxSerial is what the guest's kernel keeps for a program that is late to
// read (drivers/tty/tty_buffer.c, TTYB_DEFAULT_MEM_LIMIT is 64 kB). There is no
// flow control.
const maxSerial = 48 << 10

// Write waits until the guest's program has taken the line: before, the line
// would echo.
func (s *serialPort) Write(p []byte) (int, error) {
	if len(p) > maxSerial {
		return 0, fmt.Errorf("%d bytes at once are too many for a serial line of %d: give large files to the boot (Options.Files)", len(p), maxSerial)
	}
	<-s.taken
	return s.Conn.Write(p)
}

// spill gives the console what is no frame and what follows it: the last words
// of a kernel in panic.
func (s *serialPort) spill() {
	rest := make([]byte, 64<<10)
	n := 0
	for n < len(rest) {
		if err := s.Conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			break
		}
		m, err := s.Conn.Read(rest[n:])
		n += m
		if err != nil {
			break
		}
	}
	_, _ = s.console.Write(append(s.recent, rest[:n]...)) // a buffer takes all
}
