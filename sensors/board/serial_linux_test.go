package board

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pty is a real pseudo-terminal of the kernel: what is written to the master is
// what the device sends.
func pty(t testing.TB) (device *os.File, port string) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	device = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { device.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return device, fmt.Sprintf("/dev/pts/%d", n)
}

func machine() *linux { return newLinux("/", ioctl) }

func openPort(t testing.TB, path string, c sensors.SerialConfig) sensors.Serial {
	t.Helper()
	p, err := machine().openSerial(path, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

var usual = sensors.SerialConfig{Baud: 9600}

// settings are those of a port as the kernel has them.
func settings(t testing.TB, port string) unix.Termios {
	t.Helper()
	fd, err := unix.Open(port, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	return *termios
}

func TestSerialBytesAsTheyAre(t *testing.T) {
	device, path := pty(t)
	p := openPort(t, path, usual)
	// Every byte, those included that a terminal would translate or act on.
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	if _, err := device.Write(all); err != nil {
		t.Fatal(err)
	}
	got := readExactly(t, p, len(all))
	if string(got) != string(all) {
		t.Errorf("received % x", got)
	}
	if err := p.Write(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 0, len(all))
	for len(echo) < len(all) {
		n, err := device.Read(echo[len(echo):cap(echo)])
		if err != nil {
			t.Fatal(err)
		}
		echo = echo[:len(echo)+n]
	}
	if string(echo) != string(all) {
		t.Errorf("sent % x", echo)
	}
}

func readExactly(t testing.TB, p sensors.Serial, n int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make([]byte, n)
	for have := 0; have < n; {
		more, err := p.Read(ctx, got[have:])
		if err != nil {
			t.Fatalf("after %d bytes: %v", have, err)
		}
		have += more
	}
	return got
}

func TestSerialFormat(t *testing.T) {
	for _, tt := range []struct {
		c    sensors.SerialConfig
		want uint32
		text string
	}{
		{sensors.SerialConfig{Baud: 9600}, unix.CS8, "9600 8N1"},
		{sensors.SerialConfig{Baud: 1200, Parity: sensors.EvenParity}, unix.CS8 | unix.PARENB, "1200 8E1"},
		{sensors.SerialConfig{Baud: 115200, Parity: sensors.OddParity, TwoStops: true}, unix.CS8 | unix.PARENB | unix.PARODD | unix.CSTOPB, "115200 8O2"},
		{sensors.SerialConfig{Baud: 10400}, unix.CS8, "10400 8N1"}, // no standard speed
	} {
		k, fd := &kernel{root: "/", ioctl: ioctl}, ptyPort(t)
		// A pseudo-terminal ignores parity (drivers/tty/pty.c, pty_set_termios), so
		// what would be asked for is looked at.
		before, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			t.Fatal(err)
		}
		got := rawTermios(*before, tt.c)
		if got.Cflag&(unix.CSIZE|unix.PARENB|unix.PARODD|unix.CSTOPB|unix.HUPCL) != tt.want {
			t.Errorf("%s: cflag is %o", tt.c, got.Cflag)
		}
		if (got.Iflag&unix.INPCK != 0) != (tt.c.Parity != sensors.NoParity) {
			t.Errorf("%s: parity is checked: %o", tt.c, got.Iflag)
		}
		if tt.c.String() != tt.text {
			t.Errorf("%v is shown as %s, want %s", tt.c, tt.c, tt.text)
		}
		if tt.c.Parity != sensors.NoParity {
			// and the driver that doesn't do it is found out.
			if err := k.claimSerial(fd, "/dev/ttyX", tt.c); err == nil || !strings.Contains(err.Error(), "can't do "+tt.text) {
				t.Errorf("%s on a port without parity: %v", tt.c, err)
			}
			continue
		}
		if err := k.claimSerial(fd, "/dev/ttyX", tt.c); err != nil {
			t.Errorf("%s: %v", tt.c, err)
		}
		set, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil || set.Ospeed != uint32(tt.c.Baud) || set.Ispeed != uint32(tt.c.Baud) || set.Lflag != 0 || set.Oflag != 0 {
			t.Errorf("%s: the port has %+v, %v", tt.c, set, err)
		}
	}
	for _, baud := range []int{0, 49, 4_000_001, -9600} {
		if _, err := machine().openSerial("/dev/null", sensors.SerialConfig{Baud: baud}); err == nil || !strings.Contains(err.Error(), "outside 50 to 4000000") {
			t.Errorf("%d baud: %v", baud, err)
		}
	}
}

// ptyPort is a descriptor of a pseudo-terminal's port.
func ptyPort(t testing.TB) int {
	t.Helper()
	_, path := pty(t)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestSerialKeepsDTR: a close with HUPCL drops DTR, at which some boards reset.
func TestSerialKeepsDTR(t *testing.T) {
	_, path := pty(t)
	before := settings(t, path)
	p := openPort(t, path, usual)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	after := settings(t, path)
	if after.Cflag&unix.HUPCL != 0 {
		t.Errorf("HUPCL is set after a read: cflag %o", after.Cflag)
	}
	// Setting c_cflag as a whole is what sets it unnoticed.
	dirty := before
	dirty.Cflag |= unix.HUPCL
	if got := rawTermios(dirty, usual); got.Cflag&unix.HUPCL != 0 {
		t.Errorf("HUPCL stays: cflag %o", got.Cflag)
	}
}

func TestSerialWaitsEnd(t *testing.T) {
	device, path := pty(t)
	p := openPort(t, path, usual)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if n, err := p.Read(ctx, make([]byte, 8)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %d, %v", n, err)
	}
	if _, err := p.Read(ctx, make([]byte, 8)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := p.Write(ctx, []byte{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a write with it: %v", err)
	}
	// The port can be used on: a driver that got no answer asks again.
	if _, err := device.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	if got := readExactly(t, p, 4); string(got) != "late" {
		t.Errorf("read %q", got)
	}
	// A peer that takes nothing: the write ends too.
	slow, cancelSlow := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancelSlow)
	if err := p.Write(slow, make([]byte, 1<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("a write that nobody reads: %v", err)
	}
	if n, err := p.Read(t.Context(), nil); n != 0 || err != nil {
		t.Errorf("a read of nothing: %d, %v", n, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := p.Discard(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Discard after Close: %v", err)
	}
	if err := p.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestSerialDiscards(t *testing.T) {
	device, path := pty(t)
	// What came before the port was opened isn't an answer.
	keeper, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	// The kernel brings what was written from the one side to the other by a thread
	// of its own.
	arrives := func(text string) error {
		if _, err := device.WriteString(text); err != nil {
			return err
		}
		for {
			n, err := unix.IoctlGetInt(int(keeper.Fd()), unix.TIOCINQ)
			if n == len(text) || err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err := arrives("old\n"); err != nil {
		t.Fatal(err)
	}
	p := openPort(t, path, usual)
	for _, step := range []func() error{
		func() error { return nil },
		func() error { return errors.Join(arrives("junk"), p.Discard()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if _, err := device.Write([]byte("new")); err != nil {
			t.Fatal(err)
		}
		if got := readExactly(t, p, 3); string(got) != "new" {
			t.Errorf("read %q", got)
		}
	}
}

// TestSerialUnplugged: the device goes away in the midst of a read. (A USB
// adapter's read then gives zero bytes for ever; that is shown in the rig.)
func TestSerialUnplugged(t *testing.T) {
	device, path := pty(t)
	p := openPort(t, path, usual)
	got := make(chan error, 1)
	go func() {
		_, err := p.Read(t.Context(), make([]byte, 8))
		got <- err
	}()
	time.Sleep(10 * time.Millisecond) // either order must end alike
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := <-got
		if sensors.ReasonOf(err) != sensors.NoAnswer || !strings.Contains(err.Error(), path+" is gone") {
			t.Errorf("the read ended with %v (%s)", err, sensors.ReasonOf(err))
		}
		go func() {
			_, err := p.Read(t.Context(), make([]byte, 8))
			got <- err
		}()
	}
	<-got
	if err := p.Write(t.Context(), []byte("x")); sensors.ReasonOf(err) != sensors.NoAnswer {
		t.Errorf("a write: %v", err)
	}
	// As long as this side is open no other program's terminal has its name.
	if _, err := machine().openSerial(path, usual); sensors.ReasonOf(err) != sensors.NoAnswer || !errors.Is(err, unix.ENOENT) {
		t.Errorf("without it: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestSerialIsOurs(t *testing.T) {
	_, path := pty(t)
	p := openPort(t, path, usual)
	_, err := machine().openSerial(path, usual)
	holder := fmt.Sprintf("(process %d)", os.Getpid())
	if os.Geteuid() != 0 { // TIOCEXCL refuses the open already, and doesn't tell for whom
		holder = "another program"
	}
	if sensors.ReasonOf(err) != sensors.Busy || !strings.Contains(err.Error(), holder) {
		t.Errorf("a second user of ours: %v", err)
	}
	// Another program that doesn't ask for the lock.
	open := func() error {
		cmd := exec.Command("sh", "-c", "exec 3<>"+path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if os.Geteuid() == 0 { // only root can be another user, whom TIOCEXCL binds
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), "busy") {
			t.Errorf("somebody else opened it: %v", err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := open(); err != nil {
			t.Errorf("after the close: %v", err)
		}
	}
	if err := openPort(t, path, usual).Close(); err != nil {
		t.Error(err)
	}
}

// Files of several file systems have the same number.
func TestLockHolderIsOfThisFile(t *testing.T) {
	root := t.TempDir()
	f, err := os.CreateTemp(root, "port")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	major, minor := unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/locks", fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 11 %02x:%02x:%d 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 %02x:%02x:%d 0 EOF\n",
		major, minor+1, st.Ino, major, minor, st.Ino))
	write("proc/11/comm", "stranger\n")
	write("proc/12/comm", "holder\n")
	k := &kernel{root: root, ioctl: ioctl}
	if got := k.lockHolder(int(f.Fd())); got != "holder (process 12)" {
		t.Errorf("the holder is %q", got)
	}
}

// TestSerialHeldByAnother: somebody has the lock, and somebody who opened the
// port before keeps it open.
func TestSerialHeldByAnother(t *testing.T) {
	_, path := pty(t)
	other, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// While another has it open TIOCEXCL would outlive our close.
	if err := openPort(t, path, usual).Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Errorf("our exclusive use outlived our close: %v", err)
	} else {
		again.Close()
	}
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := machine().openSerial(path, usual); sensors.ReasonOf(err) != sensors.Busy {
		t.Errorf("locked by another: %v", err)
	}
}

func TestSerialOpenErrors(t *testing.T) {
	root := t.TempDir()
	_, path := pty(t)
	makeFile(t, root, "/dev/nothing", "")
	makeFile(t, root, "/sys/class/tty/console/active", "tty0 ttyAMA0\n")
	if err := os.Symlink("ttyAMA0", filepath.Join(root, "dev/serial0")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(root, "dev/ttyAMA0")); err != nil {
		t.Fatal(err)
	}
	l := newLinux(root, ioctl)
	for _, tt := range []struct {
		path   string
		reason sensors.Reason
		want   string
	}{
		{"/dev/serial/by-id/usb-x", sensors.NoAnswer, "there is no serial port /dev/serial/by-id/usb-x: plug its adapter in"},
		{"/dev/nothing", sensors.IO, "/dev/nothing is not a serial port"},
	} {
		_, err := l.openSerial(tt.path, usual)
		if sensors.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v (%s), want %q (%s)", tt.path, err, sensors.ReasonOf(err), tt.want, tt.reason)
		}
	}
	// The name is that of the link's end: the console is behind both names.
	makeFile(t, root, "/sys/class/tty/console/active", filepath.Base(path)+"\n")
	for _, name := range []string{"/dev/serial0", "/dev/ttyAMA0"} {
		if _, err := l.openSerial(name, usual); sensors.ReasonOf(err) != sensors.Busy || !strings.Contains(err.Error(), "is the kernel's console") {
			t.Errorf("%s: %v", name, err)
		}
	}
	makeFile(t, root, "/sys/class/tty/console/active", "tty0\n")
	p, err := l.openSerial("/dev/serial0", usual)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		errno  unix.Errno
		reason sensors.Reason
		want   string
	}{
		{unix.EACCES, sensors.IO, "group dialout"},
		{unix.EBUSY, sensors.Busy, "is held by another program"},
		{unix.EIO, sensors.NoAnswer, "no hardware behind this port"},
		{unix.ENOMEM, sensors.IO, "cannot allocate memory"},
	} {
		err := SerialOpenError("/dev/ttyUSB0", nil, tt.errno)
		if !errors.Is(err, tt.errno) || sensors.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v (%s)", tt.errno, err, sensors.ReasonOf(err))
		}
	}
}

func TestSerialPorts(t *testing.T) {
	root := t.TempDir()
	device := func(name, driver, kind string) {
		t.Helper()
		dir := filepath.Join(root, "sys/class/tty", name)
		if driver != "" {
			real := filepath.Join(root, "sys/devices", name)
			makeFile(t, root, "/sys/bus/drivers/"+driver+"/x", "")
			makeFile(t, root, "/sys/devices/"+name+"/x", "")
			for from, to := range map[string]string{dir + "/device": real, real + "/driver": filepath.Join(root, "sys/bus/drivers", driver)} {
				if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(to, from); err != nil {
					t.Fatal(err)
				}
			}
		}
		if kind != "" {
			makeFile(t, root, "/sys/class/tty/"+name+"/type", kind)
		}
		makeFile(t, root, "/dev/"+name, "")
	}
	device("ttyUSB0", "ftdi_sio", "")
	device("ttyUSB1", "ftdi_sio", "")
	device("ttyAMA0", "uart-pl011", "32\n")
	device("ttyS0", "serial8250", "4\n")
	device("ttyS1", "serial8250", "0\n") // made beforehand, no hardware
	device("tty1", "", "")               // a virtual console
	makeFile(t, root, "/sys/class/tty/console/active", "ttyS0\n")
	makeFile(t, root, "/dev/serial/by-id/junk", "")
	for link, to := range map[string]string{"serial0": "ttyAMA0", "serial/by-id/usb-FTDI_FT232R_A1-if00-port0": "../../ttyUSB1"} {
		if err := os.Symlink(to, filepath.Join(root, "dev", link)); err != nil {
			t.Fatal(err)
		}
	}
	l := newLinux(root, ioctl)
	got, err := l.Devices(sensors.SerialWire)
	if err != nil {
		t.Fatal(err)
	}
	port := func(path string) sensors.Claim { return sensors.Claim{Kind: sensors.SerialWire, Path: path} }
	byID := "/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"
	want := []Device{
		{port("/dev/serial0"), "/dev/ttyAMA0", "uart-pl011", false},
		{port("/dev/ttyS0"), "/dev/ttyS0", "is the kernel's console", true},
		{port("/dev/ttyUSB0"), "/dev/ttyUSB0", "ftdi_sio", false},
		{port(byID), "/dev/ttyUSB1", "ftdi_sio", false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Two names of one port are one; of one that isn't there nothing is known.
	one, ok := l.Identify(port(byID))
	other, okToo := l.Identify(port("/dev/ttyUSB1"))
	if !ok || !okToo || one != other {
		t.Errorf("%s is %q, ttyUSB1 is %q", byID, one, other)
	}
	if another, ok := l.Identify(port("/dev/ttyUSB0")); !ok || another == one {
		t.Errorf("ttyUSB0 is %q", another)
	}
	if id, ok := l.Identify(port("/dev/ttyUSB7")); ok {
		t.Errorf("what isn't there is %q", id)
	}
}
