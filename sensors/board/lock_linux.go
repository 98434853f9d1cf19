package board

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
)

// Lock locks the byte of a chip's address in /dev/i2c-N, and for all lines one
// byte of the first GPIO chip that can be opened.
func (l *linux) Lock(c sensors.Claim) (io.Closer, error) {
	switch c.Kind {
	case sensors.I2CWire:
		f, err := lock.Byte(l.kernel.path(fmt.Sprintf("/dev/i2c-%d", c.Bus)), int64(c.Address))
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", c, err)
		}
		return f, nil
	case sensors.LineWire:
		return l.lockLines()
	}
	return nil, fmt.Errorf("%s can't be locked: no board has a lock for its kind", c)
}

func (l *linux) lockLines() (io.Closer, error) {
	nodes, err := filepath.Glob(l.kernel.path("/dev/gpiochip*"))
	if err != nil {
		return nil, err
	}
	var failed error
	for _, node := range nodes {
		f, err := lock.Byte(node, 0)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, lock.ErrLocked) {
			return nil, fmt.Errorf("lock the GPIO lines: %w", err)
		}
		failed = errors.Join(failed, err)
	}
	return nil, sensors.Errorf(sensors.IO, "lock the GPIO lines: no GPIO chip can be opened; add the daemon's user to the group gpio (sudo usermod -aG gpio USER, then log in again or restart the service): %w", errors.Join(failed, os.ErrNotExist))
}
