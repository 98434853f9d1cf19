package board

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

// makeFile makes a file below a test's root.
func makeFile(t testing.TB, root, path, content string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// i2cKernel reads the messages from memory as the kernel does.
type i2cKernel func(addr, flags uint16, data []byte) error

func (k i2cKernel) ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	if request != 0x707 {
		return unix.ENOTTY
	}
	t := (*transfer)(arg)
	for _, m := range unsafe.Slice(t.messages, t.count) {
		if err := k(m.addr, m.flags, unsafe.Slice(m.data, m.length)); err != nil {
			return err
		}
	}
	return nil
}

func openTestBus(t testing.TB, root string, k i2cKernel) i2c.BusCloser {
	t.Helper()
	makeFile(t, root, "/dev/i2c-1", "")
	b, err := newLinux(root, k.ioctl).OpenBus(1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTransferLayout(t *testing.T) {
	// linux/i2c.h and linux/i2c-dev.h, for both sizes of a pointer.
	word := unsafe.Sizeof(uintptr(0))
	if got := unsafe.Offsetof(message{}.data); got != 8 {
		t.Errorf("i2c_msg.buf is at %d, want 8", got)
	}
	if got := unsafe.Sizeof(message{}); got != 8+word {
		t.Errorf("i2c_msg has %d bytes, want %d", got, 8+word)
	}
	if got := unsafe.Offsetof(transfer{}.count); got != word {
		t.Errorf("nmsgs is at %d, want %d", got, word)
	}
	if got := unsafe.Sizeof(transfer{}); got != 2*word {
		t.Errorf("i2c_rdwr_ioctl_data has %d bytes, want %d", got, 2*word)
	}
}

func TestTx(t *testing.T) {
	var log []string
	b := openTestBus(t, t.TempDir(), func(addr, flags uint16, data []byte) error {
		if flags == 1 {
			copy(data, []byte{0xbe, 0xef})
		}
		log = append(log, fmt.Sprintf("%02x/%d %x", addr, flags, data))
		return nil
	})
	r := make([]byte, 2)
	for _, tx := range []struct{ w, r []byte }{{[]byte{0xd0}, r}, {[]byte{0xf4, 0x25}, nil}, {nil, r}} {
		if err := b.Tx(0x76, tx.w, tx.r); err != nil {
			t.Fatal(err)
		}
	}
	want := "76/0 d0,76/1 beef,76/0 f425,76/1 beef"
	if got := strings.Join(log, ","); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if b.String() != "I2C bus 1" {
		t.Errorf("String() = %q", b)
	}
	if err := b.SetSpeed(100); err == nil || !strings.Contains(err.Error(), "dtparam=i2c_arm_baudrate") {
		t.Errorf("SetSpeed: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Tx(0x76, nil, r); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := b.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v, want ErrClosed", err)
	}
}

func TestTxRefusesNonsense(t *testing.T) {
	b := openTestBus(t, t.TempDir(), func(addr, flags uint16, data []byte) error {
		t.Errorf("%02x was addressed", addr)
		return nil
	})
	for _, tt := range []struct {
		addr uint16
		w, r []byte
		want string
	}{
		{0x80, []byte{0}, nil, "no 7-bit address"},
		{0x76, nil, nil, "neither writes nor reads"},
		{0x76, make([]byte, 8193), nil, "more than 8192 bytes"},
		{0x76, nil, make([]byte, 8193), "more than 8192 bytes"},
	} {
		if err := b.Tx(tt.addr, tt.w, tt.r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestBusErrors(t *testing.T) {
	for _, tt := range []struct {
		errno  unix.Errno
		reason sensors.Reason
		want   string
	}{
		{unix.EREMOTEIO, sensors.NoAnswer, "no answer at 0x76 on I2C bus 1: check the wiring"},
		{unix.ENXIO, sensors.NoAnswer, "no answer at 0x76 on I2C bus 1: check the wiring"},
		{unix.ETIMEDOUT, sensors.Timeout, "I2C bus 1 hung at 0x76: a chip holds SDA or SCL low"},
		{unix.EAGAIN, sensors.Busy, "arbitration was lost"},
		{unix.EOPNOTSUPP, sensors.IO, "SMBus-only"},
		{unix.ENODEV, sensors.IO, "adapter was removed"},
		{unix.EIO, sensors.IO, "I2C bus 1 at 0x76: input/output error"},
	} {
		b := openTestBus(t, t.TempDir(), func(uint16, uint16, []byte) error { return tt.errno })
		err := b.Tx(0x76, []byte{0}, make([]byte, 2))
		if !errors.Is(err, tt.errno) || sensors.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v (%s), want %q (%s)", tt.errno, err, sensors.ReasonOf(err), tt.want, tt.reason)
		}
	}
}

func TestNoSuchBus(t *testing.T) {
	root := t.TempDir()
	board := newLinux(root, ioctl)
	_, err := board.OpenBus(1)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "dtparam=i2c_arm=on") || !strings.Contains(err.Error(), "no I2C bus is here") {
		t.Errorf("none: %v", err)
	}
	for _, n := range []string{"21", "3", "20", "x"} {
		makeFile(t, root, "/dev/i2c-"+n, "")
	}
	_, err = board.OpenBus(1)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "(buses here: 3 20 21)") {
		t.Errorf("others: %v", err)
	}
	for _, errno := range []unix.Errno{unix.EACCES, unix.EPERM} {
		err := BusOpenError(1, nil, errno)
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), "group i2c") {
			t.Errorf("%v: %v", errno, err)
		}
	}
	// A node with nothing behind it is there: so it is with the other wires.
	for what, err := range map[string]error{
		"I2C bus 1: /dev/i2c-1 is there":                           BusOpenError(1, []sensors.Bus{1}, unix.ENXIO),
		"/dev/spidev0.1 is there":                                  SPIOpenError(sensors.SPIDevice{Select: 1}, nil, unix.ENXIO),
		"serial port /dev/ttyS0 is there":                          SerialOpenError("/dev/ttyS0", nil, unix.ENXIO),
		"line GPIO4 (pin 7): /dev/gpiochip0 is there":              notFound(sensors.LineRef{BCM: 4}, nil, nil, []chipError{{"/dev/gpiochip0", unix.ENXIO}}),
		"/dev/i2c-1 is no I2C bus":                                 BusError(1, 0x48, unix.ENOTTY),
		"/dev/spidev0.1 is not an SPI device: find out what it is": SPIError(sensors.SPIDevice{Select: 1}, nil, unix.ENOTTY),
	} {
		if !strings.Contains(err.Error(), what) || strings.Contains(err.Error(), "there is no") {
			t.Errorf("it says %v, and should say %s", err, what)
		}
	}
	if err := BusOpenError(1, nil, unix.EMFILE); !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "/dev/i2c-1") {
		t.Errorf("EMFILE: %v", err)
	}
}

func TestKernelDrivesTheChip(t *testing.T) {
	root := t.TempDir()
	const device = "/sys/bus/i2c/devices/1-0076"
	makeFile(t, root, device+"/name", "bmp280\n")
	if err := os.Symlink("../../drivers/bmp280", filepath.Join(root, device, "driver")); err != nil {
		t.Fatal(err)
	}
	var addressed []uint16
	b := openTestBus(t, root, func(addr, _ uint16, _ []byte) error {
		addressed = append(addressed, addr)
		return nil
	})
	err := b.Tx(0x76, []byte{0xd0}, make([]byte, 1))
	if sensors.ReasonOf(err) != sensors.Busy || !errors.Is(err, unix.EBUSY) ||
		!strings.Contains(err.Error(), "driven by the kernel's bmp280: take it away from the kernel (echo 1-0076 > /sys/bus/i2c/drivers/bmp280/unbind") {
		t.Errorf("got %v", err)
	}
	if err := b.Tx(0x77, []byte{0xd0}, nil); err != nil || len(addressed) != 1 || addressed[0] != 0x77 {
		t.Errorf("another chip: %v, addressed %x", err, addressed)
	}
}

// TestBuffersStay would fail if the buffers' addresses were kept as integers:
// the goroutines' stacks are moved under the transfer, and what was on them
// with it. So it went in periph's host/sysfs.
func TestBuffersStay(t *testing.T) {
	root := t.TempDir()
	const goroutines, transfers = 16, 100
	makeFile(t, root, "/dev/i2c-1", "")
	board := newLinux(root, i2cKernel(func(addr, flags uint16, data []byte) error {
		for i := range data {
			if flags == 0 && data[i] != byte(addr) {
				return fmt.Errorf("%02x sent % x", addr, data)
			}
			data[i] = byte(addr)
		}
		return nil
	}).afterMovingTheStack)
	stop := make(chan struct{})
	var collector, all sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for g := range goroutines {
		all.Go(func() {
			b, err := board.openBus(1)
			if err != nil {
				t.Error(err)
				return
			}
			for range transfers {
				if err := transferOnce(b, uint16(0x10+g)); err != nil {
					t.Error(err)
					break
				}
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(stop)
	collector.Wait()
}

// transferOnce has its buffers where they stay only if Tx makes them: on its
// stack, as far as the compiler sees.
func transferOnce(b *bus, addr uint16) error {
	var w, r [8]byte
	for i := range w {
		w[i] = byte(addr)
	}
	if err := b.Tx(addr, w[:], r[:]); err != nil {
		return err
	}
	if r != w {
		return fmt.Errorf("%02x received % x", addr, r)
	}
	return nil
}

func (k i2cKernel) afterMovingTheStack(fd, request uintptr, arg unsafe.Pointer) error {
	growStack(64)
	runtime.Gosched()
	return k.ioctl(fd, request, arg)
}

//go:noinline
func growStack(frames int) (sum int) {
	var ballast [1024]byte
	ballast[frames] = byte(frames)
	if frames > 0 {
		sum = growStack(frames - 1)
	}
	return sum + int(ballast[frames])
}

func TestOneTransactionAtATime(t *testing.T) {
	root := t.TempDir()
	inside := 0
	k := i2cKernel(func(uint16, uint16, []byte) error {
		if inside++; inside != 1 {
			t.Error("two transactions at once")
		}
		runtime.Gosched()
		inside--
		return nil
	})
	one, two := openTestBus(t, root, k), openTestBus(t, root, k)
	var all sync.WaitGroup
	for _, b := range []i2c.BusCloser{one, two, one, two} {
		all.Go(func() {
			for range 200 {
				if err := b.Tx(0x40, []byte{1}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A hung transaction must not hang whoever closes the bus.
func TestCloseWhileATransactionHangs(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	b := openTestBus(t, t.TempDir(), func(uint16, uint16, []byte) error {
		close(entered)
		<-leave
		return unix.ETIMEDOUT
	})
	done := make(chan error)
	go func() { done <- b.Tx(0x40, []byte{1}, nil) }()
	<-entered
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if err := <-done; !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v, want ETIMEDOUT", err)
	}
}

func TestTxDoesNotAllocate(t *testing.T) {
	b := openTestBus(t, t.TempDir(), func(_, _ uint16, data []byte) error {
		data[0] = 1
		return nil
	})
	w, r := []byte{0xd0}, make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		if err := b.Tx(0x76, w, r); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per transaction, want none", n)
	}
}

func TestOpen(t *testing.T) {
	if model := Open().Model(); model == "" || model == "<unknown>" {
		t.Errorf("Model() = %q", model)
	}
}
