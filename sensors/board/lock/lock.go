// Package lock holds the advisory locks by which the sensors of a machine keep
// out of each other's measurements, in one process and in several. It knows
// files and bytes; package board knows which stand for what.
package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// ErrLocked is that another holds the lock.
var ErrLocked = errors.New("another process or sensor holds the lock")

// file holds a byte of a file by an open file description lock (fcntl(2),
// F_OFD_SETLK): it ends with its descriptor, also where the process is killed,
// and shuts out other descriptors of this process as well. The kernel's drivers
// know nothing of it, so it needs no right but that to open the file.
type file struct{ fd int }

// Byte locks a byte of the file at path, for reading and writing of which there
// must be a right, without waiting. Close unlocks it.
func Byte(path string, at int64) (io.Closer, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	part := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &part)
	if err == nil {
		return &file{fd}, nil
	}
	if errors.Is(err, unix.EAGAIN) { // fcntl(2): another has it
		err = ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("%s, byte %d: %w", path, at, err), unix.Close(fd))
}

func (f *file) Close() error {
	fd := f.fd
	if fd < 0 {
		return os.ErrClosed
	}
	f.fd = -1
	return unix.Close(fd)
}

// A Clock tells the time and waits; *alarm.Clock is one.
type Clock interface {
	Now() alarm.Instant
	SleepUntil(ctx context.Context, at alarm.Instant) error
}

// How long to wait for a lock that another holds before it is tried again: the
// kernel tells nobody when it is free. Measurements take 10 ms to some seconds.
const (
	firstTry    = 2 * time.Millisecond
	longestWait = 50 * time.Millisecond
)

// Held are locks that are held until Close. The zero value holds none.
type Held struct{ locks []io.Closer }

// Wait calls try until it gives a lock, and holds that. Where
// the deadline of ctx comes first the error is of the class busy, and ErrLocked.
func (h *Held) Wait(ctx context.Context, clock Clock, try func() (io.Closer, error)) error {
	began := clock.Now()
	for wait := firstTry; ; wait = min(2*wait, longestWait) {
		l, err := try()
		if err == nil {
			h.locks = append(h.locks, l)
			return nil
		}
		if !errors.Is(err, ErrLocked) {
			return err
		}
		if ended := clock.SleepUntil(ctx, clock.Now().Add(wait)); ended != nil {
			if !errors.Is(ended, context.DeadlineExceeded) {
				return ended
			}
			return sensors.Errorf(sensors.Busy, "another process or sensor measures there and didn't end within %s: look for a second dormouse with the same wiring (fuser names who has the device open) and stop one, or give the sensor a longer timeout: %w",
				duration.Format(clock.Now().Sub(began).Round(time.Millisecond)), err)
		}
	}
}

// Close releases them all.
func (h *Held) Close() error {
	var err error
	for _, l := range h.locks {
		err = errors.Join(err, l.Close())
	}
	clear(h.locks)
	h.locks = h.locks[:0]
	return err
}
