package board

import (
	"errors"
	"fmt"
	"io/fs"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// The errors of wires say what to do. They are made here for every board, the
// simulated one too.

// BusOpenError says of a bus that couldn't be opened what to do about it. Here
// are the buses that exist. The errno stays.
func BusOpenError(number sensors.Bus, here []sensors.Bus, err error) error {
	node := fmt.Sprintf("/dev/i2c-%d", int(number))
	switch {
	case nothingBehind(err):
		return sensors.Errorf(sensors.IO, "%s: %s %s: sudo modprobe i2c-dev, and dtparam=i2c_arm=on in config.txt: %w", number, node, noHardware, err)
	case errors.Is(err, fs.ErrNotExist):
		buses := "no I2C bus is here"
		if len(here) > 0 {
			buses = "buses here:"
			for _, b := range here {
				buses += fmt.Sprintf(" %d", int(b))
			}
		}
		return sensors.Errorf(sensors.IO, "%s: there is no %s: enable I2C with raspi-config or dtparam=i2c_arm=on in config.txt, and load the module i2c-dev (%s): %w", number, node, buses, err)
	case errors.Is(err, fs.ErrPermission):
		return sensors.Errorf(sensors.IO, "%s: %s may not be opened: add the daemon's user to the group i2c (sudo usermod -aG i2c USER, then log in again or restart the service; a systemd unit may also need DeviceAllow=char-i2c): %w", number, node, err)
	}
	return fmt.Errorf("%s: open %s: %w", number, node, err)
}

// noHardware is what is wrong with a node whose opening fails with ENXIO or
// ENODEV.
const noHardware = "is there, and nothing behind it: its driver isn't loaded, or its adapter was removed, or the node was made by hand or for a container, which then needs the --device of today"

func nothingBehind(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO)
}

// BusError says of a failed transaction with addr what to do about it. The
// errno stays; nil stays nil. The meanings are those of the kernel's
// Documentation/i2c/fault-codes.rst.
func BusError(number sensors.Bus, addr uint16, err error) error {
	a := sensors.Address(addr)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EREMOTEIO), errors.Is(err, unix.ENXIO):
		return sensors.Errorf(sensors.NoAnswer, "no answer at %s on %s: check the wiring (supply, ground, SDA, SCL) and the address: %w", a, number, err)
	case errors.Is(err, unix.ETIMEDOUT):
		return sensors.Errorf(sensors.Timeout, "%s hung at %s: a chip holds SDA or SCL low, or the pull-ups are missing; cut its supply to free it: %w", number, a, err)
	case errors.Is(err, unix.EAGAIN):
		return sensors.Errorf(sensors.Busy, "%s: arbitration was lost at %s: another controller uses the bus, or SDA is disturbed: %w", number, a, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return sensors.Errorf(sensors.IO, "%s can't do plain I2C transfers (an SMBus-only adapter): use another bus: %w", number, err)
	case errors.Is(err, unix.ENOTTY):
		return sensors.Errorf(sensors.IO, "/dev/i2c-%d is no I2C bus: find out what it is (ls -l), and remove it or make it again: %w", int(number), err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ESHUTDOWN):
		return sensors.Errorf(sensors.IO, "%s is gone: its adapter was removed: %w", number, err)
	}
	return fmt.Errorf("%s at %s: %w", number, a, err)
}

// LineHeld is the error of a line that another consumer holds. Where is its
// place in words; the consumer may be empty.
func LineHeld(ref sensors.LineRef, where, consumer string, err error) error {
	by := LineInfo{Consumer: consumer}.Holder()
	return sensors.Errorf(sensors.Busy, "line %s is held by %s (%s): stop that, or wire another line: %w", ref, by, where, err)
}

// FileError says of a failed access (what is "read" or "write") to one of the
// kernel's files what to do about it. The errno stays.
func FileError(what, path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return sensors.Errorf(sensors.NoAnswer, "%s %s: it isn't there: check that the sensor is connected, its overlay in config.txt and its kernel module loaded: %w", what, path, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return sensors.Errorf(sensors.IO, "%s %s: not allowed: give the daemon's user the right by a udev rule or a group, and check whether a sandbox (ProtectKernelTunables=) forbids it: %w", what, path, err)
	case errors.Is(err, unix.EIO):
		return sensors.Errorf(sensors.IO, "%s %s: the kernel's driver could not communicate with the sensor: check its wiring: %w", what, path, err)
	}
	return fmt.Errorf("%s %s: %w", what, path, err)
}
