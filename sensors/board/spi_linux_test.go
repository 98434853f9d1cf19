package board

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// spiKernel is spidev's side of the requests: it reads the transfers from
// memory, and answers each byte with its complement.
type spiKernel struct {
	mode    uint32
	modeErr error
	err     error
	log     []string
}

func (k *spiKernel) ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	switch request {
	case 0x80046b05: // SPI_IOC_RD_MODE32
		*(*uint32)(arg) = k.mode
		return nil
	case 0x40046b05: // SPI_IOC_WR_MODE32
		if k.modeErr == nil {
			k.mode = *(*uint32)(arg)
		}
		return k.modeErr
	}
	if request&0xc000ffff != 0x40006b00 || request>>16&0x3fff%32 != 0 { // SPI_IOC_MESSAGE(n)
		return unix.ENOTTY
	}
	if k.err != nil {
		return k.err
	}
	for _, t := range unsafe.Slice((*spiTransfer)(arg), request>>16&0x3fff/32) {
		var w []byte
		if t.tx != 0 {
			w = unsafe.Slice((*byte)(atAddress(t.tx)), t.length)
		}
		if t.rx != 0 {
			for i := range unsafe.Slice((*byte)(atAddress(t.rx)), t.length) {
				b := byte(0)
				if w != nil {
					b = w[i]
				}
				*(*byte)(unsafe.Add(atAddress(t.rx), i)) = ^b
			}
		}
		k.log = append(k.log, fmt.Sprintf("% x len %d %d Hz %d bits change %d", w, t.length, t.speed, t.bits, t.csChange))
	}
	return nil
}

// atAddress is what the kernel finds at an address.
func atAddress(a uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&a)) }

var mode0 = sensors.SPIConfig{Speed: physic.MegaHertz}

func openTestSPI(t testing.TB, k *spiKernel, c sensors.SPIConfig) (sensors.SPIConn, error) {
	t.Helper()
	root := t.TempDir()
	makeFile(t, root, "/dev/spidev0.1", "")
	return newLinux(root, k.ioctl).openSPI(sensors.SPIDevice{Bus: 0, Select: 1}, c)
}

func TestSPITransferLayout(t *testing.T) {
	// linux/spi/spidev.h, on every architecture. One byte more is EINVAL.
	var x spiTransfer
	for name, at := range map[string][2]uintptr{
		"size": {unsafe.Sizeof(x), 32}, "rx_buf": {unsafe.Offsetof(x.rx), 8}, "len": {unsafe.Offsetof(x.length), 16},
		"speed_hz": {unsafe.Offsetof(x.speed), 20}, "delay_usecs": {unsafe.Offsetof(x.delay), 24},
		"bits_per_word": {unsafe.Offsetof(x.bits), 26}, "cs_change": {unsafe.Offsetof(x.csChange), 27},
		"tx_nbits": {unsafe.Offsetof(x.txBits), 28}, "word_delay_usecs": {unsafe.Offsetof(x.wordDelay), 30},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is %d, want %d", name, at[0], at[1])
		}
	}
}

func TestSPIMessages(t *testing.T) {
	k := &spiKernel{}
	s, err := openTestSPI(t, k, mode0)
	if err != nil {
		t.Fatal(err)
	}
	r := make([]byte, 3)
	if err := s.Tx([]byte{1, 0x80, 0}, r); err != nil || !bytes.Equal(r, []byte{0xfe, 0x7f, 0xff}) {
		t.Errorf("received % x, %v", r, err)
	}
	if err := s.Tx([]byte{9}, nil); err != nil {
		t.Error(err)
	}
	if err := s.Tx(nil, r[:2]); err != nil {
		t.Error(err)
	}
	packets := []spi.Packet{{W: []byte{1}, KeepCS: true}, {W: []byte{2}, BitsPerWord: 9}, {R: r, KeepCS: true}}
	if err := s.TxPackets(packets); err != nil {
		t.Error(err)
	}
	want := `01 80 00 len 3 1000000 Hz 8 bits change 0
09 len 1 1000000 Hz 8 bits change 0
 len 2 1000000 Hz 8 bits change 0
01 len 1 1000000 Hz 8 bits change 0
02 len 1 1000000 Hz 9 bits change 1
 len 3 1000000 Hz 8 bits change 1`
	if got := strings.Join(k.log, "\n"); got != want {
		t.Errorf("the kernel was told\n%s\nwant\n%s", got, want)
	}
	if s.String() != "SPI bus 0, chip select 1" || s.Duplex() != conn.Full {
		t.Errorf("it is %s, %s", s, s.Duplex())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Tx([]byte{1}, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestSPIMode(t *testing.T) {
	// linux/spi/spi.h: CPHA 1, CPOL 2, CS_HIGH 4, LSB_FIRST 8, 3WIRE 0x10, NO_CS 0x40.
	for _, tt := range []struct {
		mode         spi.Mode
		before, want uint32
	}{
		{spi.Mode0, 0, 0}, {spi.Mode1, 0, 1}, {spi.Mode2, 0, 2}, {spi.Mode3, 0, 3},
		{spi.Mode0, 3, 0},            // another program's
		{spi.Mode1, 4 | 0x40, 1 | 4}, // the device tree's chip select stays
		{spi.Mode3 | spi.LSBFirst | spi.HalfDuplex | spi.NoCS, 0, 0x5b},
	} {
		k := &spiKernel{mode: tt.before}
		s, err := openTestSPI(t, k, sensors.SPIConfig{Speed: physic.KiloHertz, Mode: tt.mode})
		if err != nil || k.mode != tt.want {
			t.Errorf("%s on 0x%x: mode 0x%x, want 0x%x, %v", tt.mode, tt.before, k.mode, tt.want, err)
			continue
		}
		if half := s.Duplex() == conn.Half; half != (tt.mode&spi.HalfDuplex != 0) {
			t.Errorf("%s: duplex is %s", tt.mode, s.Duplex())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := openTestSPI(t, &spiKernel{modeErr: unix.EINVAL}, mode0)
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "can't do Mode0: use another SPI bus") {
		t.Errorf("a mode that the controller can't do: %v", err)
	}
}

func TestSPIRefusesNonsense(t *testing.T) {
	for _, c := range []sensors.SPIConfig{
		{}, {Speed: physic.MicroHertz}, {Speed: 5 * physic.GigaHertz}, {Speed: physic.MegaHertz, Bits: 33}, {Speed: physic.MegaHertz, Bits: -1},
	} {
		if _, err := openTestSPI(t, &spiKernel{}, c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	k := &spiKernel{}
	s, err := openTestSPI(t, k, mode0)
	if err != nil {
		t.Fatal(err)
	}
	for name, packets := range map[string][]spi.Packet{
		"none": nil, "nothing": {{}}, "lengths": {{W: []byte{1}, R: make([]byte, 2)}},
		"word": {{W: []byte{1}, BitsPerWord: 33}}, "too many": make([]spi.Packet, 512),
	} {
		if err := s.TxPackets(packets); err == nil || len(k.log) > 0 {
			t.Errorf("%s: %v, and the kernel was told %q", name, err, k.log)
		}
	}
	most := make([]spi.Packet, 511)
	for i := range most {
		most[i].W = []byte{byte(i)}
	}
	if err := s.TxPackets(most); err != nil || len(k.log) != 511 {
		t.Errorf("511 packets: %v, %d transfers", err, len(k.log))
	}
}

func TestSPIErrors(t *testing.T) {
	for _, tt := range []struct {
		errno  unix.Errno
		reason sensors.Reason
		want   string
	}{
		{unix.EMSGSIZE, sensors.IO, "a message of 2 bytes is longer than the kernel takes: raise"},
		{unix.EINVAL, sensors.IO, "can't do this speed or word size"},
		{unix.ETIMEDOUT, sensors.Timeout, "its controller hung"},
		{unix.ESHUTDOWN, sensors.IO, "its controller was removed"},
		{unix.EIO, sensors.IO, "SPI bus 0, chip select 1: input/output error"},
	} {
		k := &spiKernel{err: tt.errno}
		s, err := openTestSPI(t, k, mode0)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Tx([]byte{1, 2}, nil)
		if !errors.Is(err, tt.errno) || sensors.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v (%s), want %q (%s)", tt.errno, err, sensors.ReasonOf(err), tt.want, tt.reason)
		}
	}
}

func TestSPIOpenErrors(t *testing.T) {
	root := t.TempDir()
	makeFile(t, root, "/dev/spidev0.0", "")
	l := newLinux(root, (&spiKernel{}).ioctl)
	missing := sensors.SPIDevice{Bus: 1, Select: 2}
	_, err := l.openSPI(missing, mode0)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "there is no /dev/spidev1.2: enable SPI") || !strings.Contains(err.Error(), "here: /dev/spidev0.0") {
		t.Errorf("no node: %v", err)
	}
	if err := SPIOpenError(missing, nil, unix.EACCES); !strings.Contains(err.Error(), "group spi") {
		t.Errorf("no right: %v", err)
	}
	if err := SPIOpenError(missing, nil, unix.EMFILE); !errors.Is(err, unix.EMFILE) || !strings.Contains(err.Error(), "open /dev/spidev1.2") {
		t.Errorf("another error: %v", err)
	}
	// A driver of the kernel has the chip: then spidev has no node.
	makeFile(t, root, "/sys/bus/spi/drivers/mcp320x/bind", "")
	makeFile(t, root, "/sys/bus/spi/devices/spi1.2/modalias", "")
	if err := os.Symlink(filepath.Join(root, "sys/bus/spi/drivers/mcp320x"), filepath.Join(root, "sys/bus/spi/devices/spi1.2/driver")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.openSPI(missing, mode0); sensors.ReasonOf(err) != sensors.Busy || !strings.Contains(err.Error(), "driven by the kernel's mcp320x") {
		t.Errorf("driven by the kernel: %v", err)
	}
}
