package board

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// What adapters can do: linux/i2c-dev.h and linux/i2c.h.
const (
	i2cFuncs     = 0x0705
	i2cFuncQuick = 0x00010000 // I2C_FUNC_SMBUS_QUICK
)

// Quick is a write of no bytes, of which the adapter tells whether it can do
// it: the Pi's can, with Raspberry Pi's kernel; the Pi 5's can't with others.
func (b *bus) Quick(addr uint16) error {
	b.lock.Lock()
	defer b.lock.Unlock()
	if err := b.kernelDrives(addr); err != nil {
		return err
	}
	var can uintptr // an unsigned long
	nothing := transfer{messages: &message{addr: addr}, count: 1}
	var err error
	if b.conn.Control(func(fd uintptr) {
		err = b.kernel.ioctl(fd, i2cFuncs, unsafe.Pointer(&can))
		switch {
		case err != nil:
		case can&i2cFuncQuick == 0:
			err = unix.EOPNOTSUPP
		default:
			err = b.kernel.ioctl(fd, i2cRDWR, unsafe.Pointer(&nothing))
		}
	}) != nil {
		err = os.ErrClosed // the one thing that Control can complain of
	}
	return BusError(b.number, addr, err)
}

// Lines lists all lines of all GPIO chips, without taking any.
func (l *linux) Lines() ([]LineInfo, error) {
	var lines []LineInfo
	var errs []error
	failed, err := l.kernel.eachChip(func(c *chip, again bool) bool {
		for i := 0; i < c.lines && !again; i++ {
			info, err := c.info(i)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s line %d: %w", c, i, err))
				break
			}
			lines = append(lines, l.kernel.lineInfo(place{chip: c.String(), label: c.label, offset: i}, info))
		}
		return true
	})
	for _, f := range failed {
		if errors.Is(f.err, fs.ErrPermission) {
			errs = append(errs, sensors.Errorf(sensors.IO, "%s may not be opened: add the user to the group gpio (sudo usermod -aG gpio USER, then log in again or restart the service), or do it as root: %w", f.path, f.err))
		} else {
			errs = append(errs, fmt.Errorf("look at %s: %w", f.path, f.err))
		}
	}
	return lines, errors.Join(append(errs, err)...)
}
