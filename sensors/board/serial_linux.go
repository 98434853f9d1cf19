package board

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// serialPort is one opening of a serial port. Its descriptor is in the network
// poller, so a wait costs no thread.
type serialPort struct {
	path   string // as configured
	kernel *kernel
	file   *os.File
}

// openSerialClaim is the opener of the table of wires.
func (l *linux) openSerialClaim(c sensors.Claim, config any) (io.Closer, error) {
	return l.openSerial(c.Path, config.(sensors.SerialConfig))
}

// openSerial opens a serial port for one read of a sensor and makes it ours:
// flock binds those who ask for it, TIOCEXCL all others but root. O_NONBLOCK
// keeps the open from waiting for a modem's carrier.
//
// An open raises DTR and RTS, which no call can prevent. That they drop at the
// close, so that a board which resets at their edges would start anew at each
// read, is HUPCL, which is switched off.
func (l *linux) openSerial(path string, c sensors.SerialConfig) (sensors.Serial, error) {
	if err := CheckSerial(path, c); err != nil {
		return nil, err
	}
	if err := l.kernel.notConsole(path); err != nil {
		return nil, err
	}
	real := l.kernel.path(path)
	fd, err := unix.Open(real, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, l.serialOpenError(path, err)
	}
	if err := l.kernel.claimSerial(fd, path, c); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &serialPort{path: path, kernel: l.kernel, file: os.NewFile(uintptr(fd), real)}
	return p, nil
}

// CheckSerial refuses what no port can do.
func CheckSerial(path string, c sensors.SerialConfig) error {
	switch {
	case c.Baud < 50 || c.Baud > 4_000_000: // B50 and B4000000, asm-generic/termbits.h
		return fmt.Errorf("serial port %s: %d baud is outside 50 to 4000000", path, c.Baud)
	case c.Parity > sensors.OddParity:
		return fmt.Errorf("serial port %s: there is no parity %d", path, c.Parity)
	}
	return nil
}

// claimSerial makes the open port ours alone and sets its format.
func (k *kernel) claimSerial(fd int, path string, c sensors.SerialConfig) error {
	err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return SerialHeld(path, k.lockHolder(fd), unix.EBUSY)
	}
	if err != nil {
		return fmt.Errorf("serial port %s: lock it: %w", path, err)
	}
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	switch {
	case errors.Is(err, unix.ENOTTY):
		return sensors.Errorf(sensors.IO, "%s is not a serial port: give a device such as those that `dormouse scan` lists: %w", path, err)
	case err != nil:
		return serialGone(path, err)
	}
	if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
		return serialGone(path, err)
	}
	wanted := rawTermios(*termios, c)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, &wanted); err != nil {
		return serialGone(path, err)
	}
	// A driver takes what it can and says nothing of the rest: tcsetattr(3).
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return serialGone(path, err)
	}
	const format = unix.CSIZE | unix.PARENB | unix.PARODD | unix.CSTOPB
	if got.Cflag&format != wanted.Cflag&format || !closeTo(got.Ospeed, wanted.Ospeed) {
		return sensors.Errorf(sensors.IO, "serial port %s: its driver can't do %s (it made %d baud of it): use another adapter", path, c, got.Ospeed)
	}
	// What came in before was for somebody else, or at another speed.
	if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return serialGone(path, err)
	}
	return nil
}

// closeTo allows 2.5 %: at 10 bits a character, receiver and sender may differ
// by half a bit at the last one.
func closeTo(got, wanted uint32) bool {
	diff := int64(got) - int64(wanted)
	return max(diff, -diff)*40 <= int64(wanted)
}

// rawTermios are the settings for bytes as they are: no echo, no translation,
// no flow control, and no signals. Speeds are given as numbers (BOTHER), which
// every speed has; asm-generic/termbits.h.
func rawTermios(t unix.Termios, c sensors.SerialConfig) unix.Termios {
	t.Iflag = unix.IGNBRK
	t.Oflag = 0
	t.Lflag = 0
	t.Cflag = unix.CREAD | unix.CLOCAL | unix.CS8 | unix.BOTHER // and no HUPCL
	if c.TwoStops {
		t.Cflag |= unix.CSTOPB
	}
	if c.Parity != sensors.NoParity {
		t.Cflag |= unix.PARENB
		t.Iflag |= unix.INPCK // a character of wrong parity reads as 0x00
	}
	if c.Parity == sensors.OddParity {
		t.Cflag |= unix.PARODD
	}
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	t.Ispeed, t.Ospeed = uint32(c.Baud), uint32(c.Baud)
	return t
}

// lockHolder finds who has the flock of a file, as /proc/locks tells it: "1:
// FLOCK ADVISORY WRITE 1234 00:05:678 0 EOF" (proc(5)). Empty: not known.
func (k *kernel) lockHolder(fd int) string {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return ""
	}
	locks, err := os.ReadFile(k.path("/proc/locks"))
	if err != nil {
		return ""
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), st.Ino)
	for line := range strings.Lines(string(locks)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != file {
			continue
		}
		if name, err := os.ReadFile(k.path("/proc/" + f[4] + "/comm")); err == nil {
			return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), f[4])
		}
	}
	return ""
}

// notConsole refuses a port on which the kernel has its console: its messages
// would go to the sensor, and a login program reads what the sensor says.
func (k *kernel) notConsole(path string) error {
	name := k.ttyName(path)
	active, err := os.ReadFile(k.path("/sys/class/tty/console/active")) // Documentation/ABI/testing/sysfs-tty
	if err != nil || !slices.Contains(strings.Fields(string(active)), name) {
		return nil
	}
	return sensors.Errorf(sensors.Busy, "serial port %s is the kernel's console: switch that off with raspi-config (Interface Options, Serial Port: no login shell, hardware enabled), or take console=%s out of cmdline.txt, and restart: %w", path, name, unix.EBUSY)
}

// ttyName is the kernel's name of the port that a path leads to: ttyUSB0.
func (k *kernel) ttyName(path string) string {
	real, err := filepath.EvalSymlinks(k.path(path))
	if err != nil {
		real = path
	}
	return filepath.Base(real)
}

// Read waits in the network poller. A read that gives no byte and no error is
// what the kernel has for a port that was hung up (drivers/tty/tty_io.c,
// hung_up_tty_read), and it would go on for ever: os.File makes io.EOF of it.
func (p *serialPort) Read(ctx context.Context, data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	n, err := p.within(ctx, func() (int, error) { return p.file.Read(data) })
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// Write sends all of data.
func (p *serialPort) Write(ctx context.Context, data []byte) error {
	_, err := p.within(ctx, func() (int, error) { return p.file.Write(data) })
	return err
}

// within does what is broken off when ctx ends.
func (p *serialPort) within(ctx context.Context, do func() (int, error)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// A deadline in the past ends the wait at once and arms no timer.
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = p.file.SetDeadline(longAgo)
	})
	n, err := do()
	if !stop() {
		<-ended
		if setErr := p.file.SetDeadline(noDeadline); setErr != nil {
			return n, p.failed(setErr)
		}
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, ctx.Err()
	}
	return n, p.failed(err)
}

func (p *serialPort) failed(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		err = unix.EIO
	case errors.Is(err, os.ErrClosed):
		return fmt.Errorf("serial port %s: %w", p.path, os.ErrClosed)
	}
	return serialGone(p.path, err)
}

// Discard forgets what was received and not read.
func (p *serialPort) Discard() error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return p.failed(err)
	}
	if controlErr := conn.Control(func(fd uintptr) {
		err = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIFLUSH)
	}); controlErr != nil {
		return p.failed(os.ErrClosed)
	}
	if err != nil {
		return p.failed(err)
	}
	return nil
}

// Close releases the port. The next open finds it free even where a process
// that opened it before us has it still.
func (p *serialPort) Close() error {
	if conn, err := p.file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TIOCNXCL, 0) }) // a port that is gone has no need of it
	}
	if err := p.file.Close(); err != nil {
		return fmt.Errorf("serial port %s: %w", p.path, err)
	}
	return nil
}

// serialOpenError says of a port that couldn't be opened what to do about it.
func (l *linux) serialOpenError(path string, err error) error {
	here, listErr := l.serialDevices()
	var paths []string
	for _, d := range here {
		paths = append(paths, d.Claim.Path)
	}
	return errors.Join(SerialOpenError(path, paths, err), listErr)
}

// SerialOpenError says of a serial port that couldn't be opened what to do
// about it. Here are the ports that there are. The errno stays.
func SerialOpenError(path string, here []string, err error) error {
	ports := "none is here"
	if len(here) > 0 {
		ports = "here: " + strings.Join(here, ", ")
	}
	switch {
	case nothingBehind(err):
		return sensors.Errorf(sensors.NoAnswer, "serial port %s %s; for the header's enable the serial hardware with raspi-config or enable_uart=1 in config.txt: %w", path, noHardware, err)
	case errors.Is(err, fs.ErrNotExist):
		return sensors.Errorf(sensors.NoAnswer, "there is no serial port %s: plug its adapter in; for the header's enable the serial hardware with raspi-config or enable_uart=1 in config.txt (%s): %w", path, ports, err)
	case errors.Is(err, fs.ErrPermission):
		return sensors.Errorf(sensors.IO, "serial port %s may not be opened: add the daemon's user to the group dialout (sudo usermod -aG dialout USER, then log in again or restart the service; a systemd unit may also need DeviceAllow=): %w", path, err)
	case errors.Is(err, unix.EBUSY):
		return SerialHeld(path, "", err)
	case errors.Is(err, unix.EIO):
		return serialGone(path, err)
	}
	return fmt.Errorf("open serial port %s: %w", path, err)
}

// SerialHeld is the error of a port that somebody else uses; an empty holder is
// somebody unknown.
func SerialHeld(path, holder string, err error) error {
	if holder == "" {
		holder = "another program"
	}
	return sensors.Errorf(sensors.Busy, "serial port %s is held by %s: stop that; ModemManager takes new ports for a while: %w", path, holder, err)
}

// serialGone is the error of a port behind which there is nothing any more, or
// never was: an 8250 without hardware gives EIO as well.
func serialGone(path string, err error) error {
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return sensors.Errorf(sensors.NoAnswer, "serial port %s is gone: its adapter was unplugged, or there is no hardware behind this port: %w", path, err)
	}
	return fmt.Errorf("serial port %s: %w", path, err)
}
