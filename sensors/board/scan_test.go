package board

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// scanned is a modelled kernel's bus: it tells what it can do, and keeps what
// was on the wires.
type scanned struct {
	can    uintptr
	answer func(addr uint16) error
	log    []string // "76 w0", "50 r1"
}

func (k *scanned) ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	if request == 0x705 {
		*(*uintptr)(arg) = k.can
		return nil
	}
	return i2cKernel(func(addr, flags uint16, data []byte) error {
		way := "w"
		if flags&1 != 0 {
			way = "r"
		}
		k.log = append(k.log, fmt.Sprintf("%02x %s%d", addr, way, len(data)))
		return k.answer(addr)
	}).ioctl(fd, request, arg)
}

func (k *scanned) board(t testing.TB) *linux {
	root := t.TempDir()
	makeFile(t, root, "/dev/i2c-1", "")
	return newLinux(root, k.ioctl)
}

const canAll = 0x0eff0001 // I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL, without block calls

func only(chips ...uint16) func(uint16) error {
	return func(addr uint16) error {
		if slices.Contains(chips, addr) {
			return nil
		}
		return unix.EREMOTEIO
	}
}

func holds(held ...uint16) func(uint16) bool {
	return func(addr uint16) bool { return slices.Contains(held, addr) }
}

// A chip that another process measures isn't asked: its answer would be taken
// away.
func TestScanLeavesMeasurementsAlone(t *testing.T) {
	k := &scanned{can: canAll, answer: only(0x44, 0x45, 0x76)}
	b := k.board(t)
	for _, addr := range []sensors.Address{0x44, 0x45, 0x46} {
		lock, err := b.Lock(sensors.Claim{Kind: sensors.I2CWire, Bus: 1, Address: addr})
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
	}
	answers, err := Scan(t.Context(), b, 1, holds())
	if err != nil || !slices.Equal(answers.Addresses, []uint16{0x76}) || len(answers.Failed) != 3 {
		t.Fatalf("%+v, %v", answers, err)
	}
	if err := answers.Failed[1]; sensors.ReasonOf(err) != sensors.Busy || !strings.Contains(err.Error(), "measures at 0x45 on I2C bus 1 at this moment: scan again") {
		t.Error(err)
	}
	for _, line := range k.log {
		if strings.HasPrefix(line, "44") || strings.HasPrefix(line, "45") || strings.HasPrefix(line, "46") {
			t.Errorf("it was asked: %s", line)
		}
	}
}

// TestScanDisturbsNobody holds what is on the wires against the rule of the
// kernel and of i2cdetect, message by message.
func TestScanDisturbsNobody(t *testing.T) {
	for _, tt := range []struct {
		name  string
		can   uintptr
		quick bool
	}{{"the adapter can do quick writes", canAll, true}, {"it can't", canAll &^ 0x10000, false}} {
		t.Run(tt.name, func(t *testing.T) {
			k := &scanned{can: tt.can, answer: only(0x1e, 0x50, 0x76)}
			answers, err := Scan(t.Context(), k.board(t), 1, holds(0x48, 0x49))
			if err != nil || !slices.Equal(answers.Addresses, []uint16{0x1e, 0x50, 0x76}) || len(answers.Failed) > 0 || answers.ReadOnly == tt.quick {
				t.Fatalf("%+v, %v", answers, err)
			}
			var want []string
			for addr := 0x08; addr <= 0x77; addr++ {
				what := "r1"
				if tt.quick && addr&^7 != 0x30 && addr&^0xf != 0x50 {
					what = "w0"
				}
				if addr != 0x48 && addr != 0x49 {
					want = append(want, fmt.Sprintf("%02x %s", addr, what))
				}
			}
			if !slices.Equal(k.log, want) {
				t.Errorf("on the wires\n%s\nwant\n%s", k.log, want)
			}
		})
	}
}

func TestScanFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  func(addr uint16) error
		held    []uint16
		want    []uint16
		failed  int
		errno   unix.Errno // none: there is no error
		says    string
		tried   int
		reasons sensors.Reason
	}{
		{"one address hangs", func(addr uint16) error {
			if addr == 0x40 {
				return unix.ETIMEDOUT
			}
			return only(0x1e, 0x76)(addr)
		}, nil, []uint16{0x1e, 0x76}, 1, 0, "", 0x70, ""},
		{"the bus hangs", func(addr uint16) error { return unix.ETIMEDOUT }, nil, nil, 1, unix.ETIMEDOUT,
			"I2C bus 1 is given up after two failures: is SDA or SCL held low", 2, sensors.Timeout},
		{"the bus hangs later", func(addr uint16) error {
			if addr > 0x20 {
				return unix.EIO
			}
			return only(0x1e)(addr)
		}, nil, []uint16{0x1e}, 1, unix.EIO, "given up", 0x22 - 0x08 + 1, sensors.IO},
		{"everybody answers", func(uint16) error { return nil }, []uint16{0x48}, nil, 0, 0, "I2C bus 1 is stuck: every address answers", 0x6f, sensors.Identity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &scanned{can: canAll, answer: tt.answer}
			answers, err := Scan(t.Context(), k.board(t), 1, holds(tt.held...))
			if !slices.Equal(answers.Addresses, tt.want) || len(answers.Failed) != tt.failed || len(k.log) != tt.tried {
				t.Errorf("%+v after %d messages", answers, len(k.log))
			}
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says) || sensors.ReasonOf(err) != tt.reasons) {
				t.Errorf("the error is %v, want %q", err, tt.says)
			}
			if tt.errno != 0 && !errors.Is(err, tt.errno) {
				t.Errorf("the error %v has lost %v", err, tt.errno)
			}
		})
	}
	if _, err := Scan(t.Context(), newLinux(t.TempDir(), ioctl), 1, holds()); !errors.Is(err, unix.ENOENT) {
		t.Errorf("without the bus: %v", err)
	}
}

// A transaction that never ends mustn't hang who scans.
func TestScanOfABusThatNeverAnswers(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	k := &scanned{can: canAll, answer: func(addr uint16) error {
		if addr == 0x08 {
			close(entered)
			<-leave
			defer close(ended)
		}
		return unix.EREMOTEIO
	}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	answers, err := Scan(ctx, k.board(t), 1, holds())
	if answers != nil || sensors.ReasonOf(err) != sensors.Timeout || !strings.Contains(err.Error(), "I2C bus 1 hangs") {
		t.Errorf("%+v, %v", answers, err)
	}
	close(leave)
	<-ended // and goleak sees that nothing stays
}

func TestScanStopsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	k := &scanned{can: canAll, answer: func(uint16) error { cancel(); return unix.EREMOTEIO }}
	b := k.board(t)
	bus, err := b.OpenBus(1)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	if err := new(Answers).ask(ctx, b, 1, bus, holds()); !errors.Is(err, context.Canceled) || len(k.log) != 1 {
		t.Errorf("%v after %d messages", err, len(k.log))
	}
}

func TestQuickLeavesTheKernelsChipsAlone(t *testing.T) {
	k := &scanned{can: canAll, answer: only(0x76)}
	b := k.board(t)
	const device = "/sys/bus/i2c/devices/1-0076"
	makeFile(t, b.kernel.root, device+"/name", "bmp280\n")
	if err := os.Symlink("../../drivers/bmp280", filepath.Join(b.kernel.root, device, "driver")); err != nil {
		t.Fatal(err)
	}
	bus, err := b.OpenBus(1)
	if err != nil {
		t.Fatal(err)
	}
	quick := bus.(quickBus)
	if err := quick.Quick(0x76); sensors.ReasonOf(err) != sensors.Busy || len(k.log) > 0 {
		t.Errorf("%v, on the wires %s", err, k.log)
	}
	if err := quick.Quick(0x77); sensors.ReasonOf(err) != sensors.NoAnswer {
		t.Errorf("another address: %v", err)
	}
	if err := bus.Close(); err != nil {
		t.Fatal(err)
	}
	if err := quick.Quick(0x77); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestQuickOfAnUnknownAdapter(t *testing.T) {
	b := newLinux(t.TempDir(), func(uintptr, uintptr, unsafe.Pointer) error { return unix.ENODEV })
	makeFile(t, b.kernel.root, "/dev/i2c-1", "")
	bus, err := b.OpenBus(1)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	if err := bus.(quickBus).Quick(0x10); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("%v", err)
	}
}

func TestLines(t *testing.T) {
	k := pi5(t)
	var failing *chipModel
	for _, c := range k.chips {
		if c.label == "pinctrl-rp1" {
			failing = c
		}
	}
	failing.consumers = map[int]string{17: "dormouse probes"}
	lines, err := k.board().Lines()
	if err != nil {
		t.Fatal(err)
	}
	chips := map[string]int{}
	for _, l := range lines {
		chips[l.Chip]++
		if l.Held != (l.Consumer != "") || l.Held != (strings.Contains(l.Chip, "pinctrl-rp1") && l.Offset == 17) {
			t.Errorf("%+v", l)
		}
	}
	for name, n := range chips {
		var c *chipModel
		for _, model := range k.chips {
			if model.name+" ("+model.label+")" == name {
				c = model
			}
		}
		if c == nil || len(c.names) != n {
			t.Errorf("%s has %d lines", name, n)
		}
	}
	if len(chips) < 2 {
		t.Errorf("only %v", chips)
	}

	failing.infoErr = unix.EIO
	some, err := k.board().Lines()
	if !errors.Is(err, unix.EIO) || len(some) == 0 || len(some) >= len(lines) {
		t.Errorf("with a failing chip: %d lines, %v", len(some), err)
	}
	// The modelled kernel knows no such chip.
	makeFile(t, k.root, "/dev/gpiochip9", "")
	if _, err := k.board().Lines(); !errors.Is(err, unix.ENOTTY) || !strings.Contains(err.Error(), "gpiochip9") {
		t.Errorf("with what is no chip: %v", err)
	}
}

func TestLinesThatMayNotBeSeen(t *testing.T) {
	k := pi5(t)
	b := newLinux(k.root, func(fd, request uintptr, arg unsafe.Pointer) error { return unix.EACCES })
	if lines, err := b.Lines(); len(lines) > 0 || !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "group gpio") {
		t.Errorf("%v, %v", lines, err)
	}
}
