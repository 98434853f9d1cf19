package board

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// A fileLock holds a byte of a device node by an open file description lock
// (fcntl(2), F_OFD_SETLK): it ends with its descriptor, also where the process
// is killed, and shuts out other descriptors of this process as well. The
// kernel's drivers know nothing of it, so it costs the bus nothing and needs no
// right but that to open the node.
type fileLock struct{ fd int }

func (f *fileLock) Close() error {
	fd := f.fd
	if fd < 0 {
		return os.ErrClosed
	}
	f.fd = -1
	return unix.Close(fd)
}

// Lock locks the byte of a chip's address in /dev/i2c-N, and for all lines one
// byte of the first GPIO chip that can be opened.
func (l *linux) Lock(c sensors.Claim) (io.Closer, error) {
	switch c.Kind {
	case sensors.I2CWire:
		f, err := lockByte(l.kernel.path(fmt.Sprintf("/dev/i2c-%d", c.Bus)), int64(c.Address))
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", c, err)
		}
		return f, nil
	case sensors.LineWire:
		return l.lockLines()
	}
	return nil, fmt.Errorf("%s can't be locked: no board knows how", c)
}

func (l *linux) lockLines() (io.Closer, error) {
	nodes, err := filepath.Glob(l.kernel.path("/dev/gpiochip*"))
	if err != nil {
		return nil, err
	}
	var failed error
	for _, node := range nodes {
		f, err := lockByte(node, 0)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("lock the GPIO lines: %w", err)
		}
		failed = errors.Join(failed, err)
	}
	return nil, sensors.Errorf(sensors.IO, "lock the GPIO lines: no GPIO chip can be opened; add the daemon's user to the group gpio: %w", errors.Join(failed, os.ErrNotExist))
}

func lockByte(node string, at int64) (*fileLock, error) {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", node, err)
	}
	byteAt := unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &byteAt)
	switch {
	case err == nil:
		return &fileLock{fd}, nil
	case errors.Is(err, unix.EAGAIN): // fcntl(2): another has it
		err = fmt.Errorf("%s, byte %d: %w", node, at, ErrLocked)
	default:
		err = fmt.Errorf("%s, byte %d: %w", node, at, err)
	}
	return nil, errors.Join(err, unix.Close(fd))
}
