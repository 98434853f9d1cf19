package board

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
	"periph.io/x/conn/v3/physic"
)

// The combined transfer of linux/i2c-dev.h and the read flag of linux/i2c.h.
const (
	i2cRDWR = 0x0707
	i2cRead = 0x0001
	// Longer messages are refused with EINVAL: drivers/i2c/i2c-dev.c, i2cdev_ioctl_rdwr.
	i2cLongest = 8192
)

// message is struct i2c_msg of linux/i2c.h, and transfer is struct
// i2c_rdwr_ioctl_data of linux/i2c-dev.h. Their pointers are Go pointers: what
// they point to is on the heap (storing them here makes it escape) and is
// found by the garbage collector. A uintptr in their place would go stale as
// soon as the goroutine's stack grows.
type message struct {
	addr, flags, length uint16
	data                *byte
}

type transfer struct {
	messages *message
	count    uint32
}

// bus is one opening of /dev/i2c-N.
type bus struct {
	number sensors.Bus
	kernel *kernel
	file   *os.File
	conn   syscall.RawConn
	call   func(fd uintptr) // b.callIoctl, bound once so that Tx doesn't allocate

	lock     *sync.Mutex // of all openings of this bus; guards what follows
	free     [128]bool   // addresses seen not to be driven by the kernel
	messages [2]message
	transfer transfer
	pinner   runtime.Pinner
	err      error
}

// busLocks holds one lock for each bus of the process, by device path: two
// openings of one bus must not interleave their transactions.
var busLocks = struct {
	sync.Mutex
	of map[string]*sync.Mutex
}{of: map[string]*sync.Mutex{}}

func busLock(path string) *sync.Mutex {
	busLocks.Lock()
	defer busLocks.Unlock()
	if busLocks.of[path] == nil {
		busLocks.of[path] = new(sync.Mutex)
	}
	return busLocks.of[path]
}

func (l *linux) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	b, err := l.openBus(number)
	if err != nil {
		return nil, err
	}
	return l.guards.Guard(number, b), nil
}

func (l *linux) openBus(number sensors.Bus) (*bus, error) {
	path := l.kernel.path(fmt.Sprintf("/dev/i2c-%d", int(number)))
	// A blocking descriptor, outside of the network poller: i2c-dev can't be polled.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		here, globErr := l.Buses()
		return nil, errors.Join(BusOpenError(number, here, err), globErr)
	}
	b := &bus{number: number, kernel: l.kernel, file: os.NewFile(uintptr(fd), path), lock: busLock(path)}
	b.call = b.callIoctl
	if b.conn, err = b.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", number, err), b.file.Close())
	}
	return b, nil
}

// Buses lists the I2C buses that have a device node, by number.
func (l *linux) Buses() ([]sensors.Bus, error) {
	const prefix = "/dev/i2c-"
	nodes, err := filepath.Glob(l.kernel.path(prefix + "*"))
	if err != nil {
		return nil, err
	}
	var buses []sensors.Bus
	for _, n := range nodes {
		if number, err := strconv.Atoi(strings.TrimPrefix(n, l.kernel.path(prefix))); err == nil {
			buses = append(buses, sensors.Bus(number))
		}
	}
	slices.Sort(buses)
	return buses, nil
}

func (b *bus) String() string { return b.number.String() }

// SetSpeed can't be done from user space.
func (b *bus) SetSpeed(physic.Frequency) error {
	return fmt.Errorf("%s: the speed is the device tree's: set dtparam=i2c_arm_baudrate=100000 in config.txt and restart the Pi", b.number)
}

// Close returns at once; a transaction that hangs in the kernel keeps the
// descriptor until it ends.
func (b *bus) Close() error {
	if err := b.file.Close(); err != nil {
		return fmt.Errorf("%s: %w", b.number, err)
	}
	return nil
}

// Tx is one transaction: w is written, then r is read after a repeated start.
// It can't be cancelled: the kernel gives up a hung bus after its adapter's
// time-out, commonly one second.
func (b *bus) Tx(addr uint16, w, r []byte) error {
	switch {
	case addr > 0x7f:
		return fmt.Errorf("%s: 0x%02x is no 7-bit address", b.number, addr)
	case len(w) == 0 && len(r) == 0:
		return fmt.Errorf("%s: a transaction with %s that neither writes nor reads", b.number, sensors.Address(addr))
	case len(w) > i2cLongest || len(r) > i2cLongest:
		return fmt.Errorf("%s: a message of more than %d bytes to %s", b.number, i2cLongest, sensors.Address(addr))
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	if !b.free[addr] {
		if err := b.kernelDrives(addr); err != nil {
			return err
		}
		b.free[addr] = true
	}
	return BusError(b.number, addr, b.transact(addr, w, r))
}

func (b *bus) transact(addr uint16, w, r []byte) error {
	defer b.pinner.Unpin()
	b.pinner.Pin(b)
	b.transfer = transfer{messages: &b.messages[0]}
	b.add(addr, 0, w)
	b.add(addr, i2cRead, r)
	err := b.conn.Control(b.call)
	clear(b.messages[:])
	if err != nil {
		return os.ErrClosed // the one thing that Control can complain of
	}
	return b.err
}

func (b *bus) add(addr, flags uint16, data []byte) {
	if len(data) == 0 {
		return
	}
	b.pinner.Pin(&data[0])
	b.messages[b.transfer.count] = message{addr, flags, uint16(len(data)), &data[0]}
	b.transfer.count++
}

func (b *bus) callIoctl(fd uintptr) {
	b.err = b.kernel.ioctl(fd, i2cRDWR, unsafe.Pointer(&b.transfer))
}

// kernelDrives refuses an address whose chip a kernel driver is bound to:
// I2C_RDWR wouldn't, and both would disturb each other's measurements.
func (b *bus) kernelDrives(addr uint16) error {
	link, err := os.Readlink(b.kernel.path("/sys/bus/i2c/devices/" + deviceName(b.number, addr) + "/driver"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: whether the kernel drives %s: %w", b.number, sensors.Address(addr), err)
	}
	name := filepath.Base(link)
	return sensors.Errorf(sensors.Busy, "%s on %s is driven by the kernel's %s: take it away from the kernel (%s, or remove its overlay): %w",
		sensors.Address(addr), b.number, name, UnbindCommand(b.number, addr, name), unix.EBUSY)
}

// deviceName is what the kernel calls the chip at an address: 1-0076.
func deviceName(bus sensors.Bus, addr uint16) string { return fmt.Sprintf("%d-%04x", int(bus), addr) }

// UnbindCommand takes a chip away from the driver of the kernel that has it.
func UnbindCommand(bus sensors.Bus, addr uint16, driver string) string {
	return fmt.Sprintf("echo %s > /sys/bus/i2c/drivers/%s/unbind", deviceName(bus, addr), driver)
}
