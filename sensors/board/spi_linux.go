package board

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// The requests of linux/spi/spidev.h: SPI_IOC_RD_MODE32, SPI_IOC_WR_MODE32 and
// SPI_IOC_MESSAGE(n), whose size field holds n transfers.
const (
	spiReadMode  = 0x80046b05
	spiWriteMode = 0x40046b05
	spiMessage   = 0x40006b00
	// spiMostTransfers fit into the size field of a request, which has 14 bits:
	// SPI_MSGSIZE of the same file.
	spiMostTransfers = 1<<14/int(unsafe.Sizeof(spiTransfer{})) - 1
)

// Mode bits of linux/spi/spi.h.
const (
	spiCPHA     = 1 << 0
	spiCPOL     = 1 << 1
	spiLSBFirst = 1 << 3
	spi3Wire    = 1 << 4
	spiNoCS     = 1 << 6
)

// spiTransfer is struct spi_ioc_transfer of linux/spi/spidev.h: 32 bytes on
// every architecture. Its buffers are addresses in 64 bits, so they are pinned
// for as long as a request lasts.
type spiTransfer struct {
	tx, rx         uint64
	length         uint32
	speed          uint32 // Hz
	delay          uint16 // µs
	bits           uint8
	csChange       uint8
	txBits, rxBits uint8
	wordDelay      uint8 // µs
	_              uint8
}

// spiConn is one opening of /dev/spidevB.C.
type spiConn struct {
	device sensors.SPIDevice
	config sensors.SPIConfig
	kernel *kernel
	file   *os.File
	conn   syscall.RawConn

	mu        sync.Mutex // guards what follows
	transfers []spiTransfer
	pinner    runtime.Pinner
}

// openSPIClaim is the opener of the table of wires.
func (l *linux) openSPIClaim(c sensors.Claim, config any) (io.Closer, error) {
	return l.openSPI(c.SPI(), config.(sensors.SPIConfig))
}

// openSPI opens a chip select and sets the mode of its messages. Speed and word
// size go with each message, so the device keeps its own.
func (l *linux) openSPI(d sensors.SPIDevice, c sensors.SPIConfig) (sensors.SPIConn, error) {
	if err := CheckSPI(d, &c); err != nil {
		return nil, err
	}
	// A blocking descriptor, outside of the network poller: spidev can't be polled.
	path := l.kernel.path(d.Node())
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, l.spiOpenError(d, err)
	}
	s := &spiConn{device: d, config: c, kernel: l.kernel, file: os.NewFile(uintptr(fd), path)}
	if s.conn, err = s.file.SyscallConn(); err == nil {
		err = s.setMode()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", d, err), s.file.Close())
	}
	return s, nil
}

// CheckSPI refuses what no controller can do, and fills in the word size.
func CheckSPI(d sensors.SPIDevice, c *sensors.SPIConfig) error {
	if c.Bits == 0 {
		c.Bits = 8
	}
	if hz := c.Speed / physic.Hertz; hz < 1 || int64(hz) > math.MaxUint32 {
		return fmt.Errorf("%s: no clock can be %s", d, c.Speed)
	}
	if c.Bits < 1 || c.Bits > 32 {
		return fmt.Errorf("%s: a word can't have %d bits", d, c.Bits)
	}
	return nil
}

// setMode changes the bits that a driver chooses. The others, such as an
// active-high chip select, are the device tree's.
func (s *spiConn) setMode() error {
	chosen := uint32(spiCPHA | spiCPOL | spiLSBFirst | spi3Wire | spiNoCS)
	var mode uint32
	if err := s.ioctl(spiReadMode, unsafe.Pointer(&mode)); err != nil {
		return fmt.Errorf("read its mode: %w", err)
	}
	mode &^= chosen
	m := s.config.Mode
	for _, bit := range []struct {
		of   spi.Mode
		flag uint32
	}{{spi.Mode1, spiCPHA}, {spi.Mode2, spiCPOL}, {spi.LSBFirst, spiLSBFirst}, {spi.HalfDuplex, spi3Wire}, {spi.NoCS, spiNoCS}} {
		if m&bit.of != 0 {
			mode |= bit.flag
		}
	}
	err := s.ioctl(spiWriteMode, unsafe.Pointer(&mode))
	if errors.Is(err, unix.EINVAL) {
		return sensors.Errorf(sensors.IO, "its controller can't do %s: use another SPI bus: %w", m, err)
	}
	if err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	return nil
}

func (s *spiConn) ioctl(request uintptr, arg unsafe.Pointer) error {
	var err error
	if s.conn.Control(func(fd uintptr) { err = s.kernel.ioctl(fd, request, arg) }) != nil {
		return os.ErrClosed // the one thing that Control can complain of
	}
	return err
}

func (s *spiConn) String() string { return s.device.String() }

// Duplex is half where one wire carries both directions.
func (s *spiConn) Duplex() conn.Duplex { return SPIDuplex(s.config.Mode) }

// SPIDuplex is the duplex of a mode.
func SPIDuplex(m spi.Mode) conn.Duplex {
	if m&spi.HalfDuplex != 0 {
		return conn.Half
	}
	return conn.Full
}

// Close returns at once; a message that hangs in the kernel keeps the
// descriptor until it ends.
func (s *spiConn) Close() error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("%s: %w", s.device, err)
	}
	return nil
}

// Tx sends w while it receives r: of one length, or one of them nil.
func (s *spiConn) Tx(w, r []byte) error { return s.TxPackets([]spi.Packet{{W: w, R: r}}) }

// TxPackets sends one message. It can't be cancelled.
func (s *spiConn) TxPackets(packets []spi.Packet) error {
	if err := CheckPackets(s.device, packets); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.pinner.Unpin()
	s.transfers = s.transfers[:0]
	for i, p := range packets {
		s.transfers = append(s.transfers, s.transfer(p, i == len(packets)-1))
	}
	size := uintptr(len(packets)) * unsafe.Sizeof(spiTransfer{})
	return SPIError(s.device, packets, s.ioctl(spiMessage|size<<16, unsafe.Pointer(&s.transfers[0])))
}

// transfer describes a packet to the kernel. Between two packets the chip stays
// selected unless cs_change says otherwise; after the last it is the reverse.
func (s *spiConn) transfer(p spi.Packet, last bool) spiTransfer {
	t := spiTransfer{
		tx: s.pin(p.W), rx: s.pin(p.R), length: uint32(max(len(p.W), len(p.R))),
		speed: uint32(s.config.Speed / physic.Hertz), bits: uint8(s.config.Bits),
	}
	if p.BitsPerWord != 0 {
		t.bits = p.BitsPerWord
	}
	if p.KeepCS == last {
		t.csChange = 1
	}
	return t
}

// pin keeps a buffer where it is until Unpin, and gives its address.
func (s *spiConn) pin(data []byte) uint64 {
	if len(data) == 0 {
		return 0
	}
	s.pinner.Pin(&data[0])
	return uint64(uintptr(unsafe.Pointer(&data[0])))
}

// CheckPackets refuses packets that are no message.
func CheckPackets(d sensors.SPIDevice, packets []spi.Packet) error {
	if len(packets) == 0 || len(packets) > spiMostTransfers {
		return fmt.Errorf("%s: a message of %d packets: it has 1 to %d", d, len(packets), spiMostTransfers)
	}
	for _, p := range packets {
		switch {
		case len(p.W) == 0 && len(p.R) == 0:
			return fmt.Errorf("%s: a packet that neither writes nor reads", d)
		case len(p.W) != 0 && len(p.R) != 0 && len(p.W) != len(p.R):
			return fmt.Errorf("%s: a packet that writes %d bytes and reads %d: they go at the same time, so write as many as are read", d, len(p.W), len(p.R))
		case p.BitsPerWord > 32:
			return fmt.Errorf("%s: a word can't have %d bits", d, p.BitsPerWord)
		}
	}
	return nil
}

// SPIError says of a failed message what to do about it. The errno stays; nil
// stays nil.
func SPIError(d sensors.SPIDevice, packets []spi.Packet, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EMSGSIZE):
		size := 0
		for _, p := range packets {
			size += max(len(p.W), len(p.R))
		}
		return sensors.Errorf(sensors.IO, "%s: a message of %d bytes is longer than the kernel takes: raise the module's limit (spidev.bufsiz=65536 in cmdline.txt): %w", d, size, err)
	case errors.Is(err, unix.EINVAL):
		return sensors.Errorf(sensors.IO, "%s: its controller can't do this speed or word size: %w", d, err)
	case errors.Is(err, unix.ETIMEDOUT):
		return sensors.Errorf(sensors.Timeout, "%s: its controller hung: %w", d, err)
	case errors.Is(err, unix.ENOTTY):
		return sensors.Errorf(sensors.IO, "%s is not an SPI device: find out what it is (ls -l), and remove it or make it again: %w", d.Node(), err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ESHUTDOWN):
		return sensors.Errorf(sensors.IO, "%s is gone: its controller was removed: %w", d, err)
	}
	return fmt.Errorf("%s: %w", d, err)
}

// SPIOpenError says of a chip select that couldn't be opened what to do about
// it. Here are the device nodes that there are. The errno stays.
func SPIOpenError(d sensors.SPIDevice, here []string, err error) error {
	switch {
	case nothingBehind(err):
		return sensors.Errorf(sensors.IO, "%s: %s %s: sudo modprobe spidev, and dtparam=spi=on in config.txt: %w", d, d.Node(), noHardware, err)
	case errors.Is(err, fs.ErrNotExist):
		nodes := "none is here"
		if len(here) > 0 {
			nodes = "here: " + strings.Join(here, ", ")
		}
		return sensors.Errorf(sensors.IO, "%s: there is no %s: enable SPI with raspi-config or dtparam=spi=on in config.txt; a third chip select needs an overlay such as spi0-2cs or spi1-3cs (%s): %w", d, d.Node(), nodes, err)
	case errors.Is(err, fs.ErrPermission):
		return sensors.Errorf(sensors.IO, "%s: %s may not be opened: add the daemon's user to the group spi (sudo usermod -aG spi USER, then log in again or restart the service; a systemd unit may also need DeviceAllow=char-spi): %w", d, d.Node(), err)
	}
	return fmt.Errorf("%s: open %s: %w", d, d.Node(), err)
}

// spiOpenError looks at why there is no node: a driver of the kernel may have
// the chip, and then spidev hasn't.
func (l *linux) spiOpenError(d sensors.SPIDevice, err error) error {
	if driver := l.kernel.spiDriver(d); driver != "" && driver != spidev {
		return sensors.Errorf(sensors.Busy, "%s is driven by the kernel's %s: remove its overlay from config.txt, or read what the kernel reads (driver iio or hwmon): %w", d, driver, unix.EBUSY)
	}
	here, globErr := filepath.Glob(l.kernel.path("/dev/spidev*"))
	for i := range here {
		here[i] = "/dev/" + filepath.Base(here[i])
	}
	return errors.Join(SPIOpenError(d, here, err), globErr)
}

// spidev is the driver that lets user space have a chip select.
const spidev = "spidev"

// spiDriver is the kernel's driver of a chip select; empty: none.
func (k *kernel) spiDriver(d sensors.SPIDevice) string {
	link, err := os.Readlink(k.path(fmt.Sprintf("/sys/bus/spi/devices/spi%d.%d/driver", d.Bus, d.Select)))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// spiDevices lists the chip selects that the kernel knows.
func (l *linux) spiDevices() ([]Device, error) {
	found, err := filepath.Glob(l.kernel.path("/sys/bus/spi/devices/spi*.*"))
	if err != nil {
		return nil, err
	}
	var devices []Device
	for _, path := range found {
		var d sensors.SPIDevice
		if _, err := fmt.Sscanf(filepath.Base(path), "spi%d.%d", &d.Bus, &d.Select); err != nil {
			continue // a controller's own device
		}
		device := Device{Claim: sensors.Claim{Kind: sensors.SPIWire, Bus: d.Bus, Select: d.Select}, Node: d.Node()}
		switch driver := l.kernel.spiDriver(d); driver {
		case spidev:
		case "":
			device.Note, device.Taken = "has no driver: load the module spidev", true
		default:
			device.Note, device.Taken = "is used by the kernel's driver "+driver, true
		}
		devices = append(devices, device)
	}
	slices.SortFunc(devices, func(a, b Device) int {
		return cmp.Or(a.Claim.Bus-b.Claim.Bus, a.Claim.Select-b.Claim.Select)
	})
	return devices, nil
}
