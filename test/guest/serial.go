package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/rig/protocol"
)

// openSerial takes a serial line from the console: bytes pass unchanged, and
// the kernel says nothing more there but that it panics.
func openSerial(path string) (*os.File, error) {
	if err := write("/proc/sys/kernel/printk", "1"); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	raw := unix.Termios{Cflag: unix.B115200 | unix.CS8 | unix.CREAD | unix.CLOCAL}
	raw.Cc[unix.VMIN] = 1
	// TCSETSF: what was typed before is no frame.
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &raw); err != nil {
		return nil, errors.Join(fmt.Errorf("setting %s to raw: %w", path, err), unix.Close(fd))
	}
	line := os.NewFile(uintptr(fd), path)
	if _, err := line.WriteString(protocol.SerialMark); err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return line, nil
}
