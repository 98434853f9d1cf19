package board

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// gpioGetChipInfo is GPIO_GET_CHIPINFO_IOCTL of linux/gpio.h, which x/sys/unix
// doesn't have.
const gpioGetChipInfo = 0x8044b401

// headerLabels are the labels of the chips behind the 40-pin header, as their
// drivers in the kernel's drivers/pinctrl set them: the Pi 1 to 3 and Zero;
// the Pi 4, 400 and CM4; the Pi 5, 500 and CM5. A chip's number says nothing:
// the Pi 5's was gpiochip4 and became gpiochip0.
var headerLabels = []string{"pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"}

// chip is an open GPIO chip.
type chip struct {
	kernel *kernel
	node   string // "gpiochip4": of the device node, which may be a link
	name   string // "gpiochip0": the kernel's own
	label  string
	lines  int
	fd     int
}

func (k *kernel) openChip(path string) (*chip, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c := &chip{kernel: k, node: filepath.Base(path), fd: fd}
	var info unix.GPIOChipInfo
	if err := c.ioctl(gpioGetChipInfo, unsafe.Pointer(&info)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.name, c.label, c.lines = unix.ByteSliceToString(info.Name[:]), unix.ByteSliceToString(info.Label[:]), int(info.Lines)
	return c, nil
}

func (c *chip) ioctl(request uintptr, arg unsafe.Pointer) error {
	return c.kernel.ioctl(uintptr(c.fd), request, arg)
}

func (c *chip) close() error { return unix.Close(c.fd) }

func (c *chip) String() string {
	if c.label == "" {
		return c.name
	}
	return c.name + " (" + c.label + ")"
}

func (c *chip) info(offset int) (unix.GPIOV2LineInfo, error) {
	info := unix.GPIOV2LineInfo{Offset: uint32(offset)}
	err := c.ioctl(unix.GPIO_V2_GET_LINEINFO_IOCTL, unsafe.Pointer(&info))
	return info, err
}

// A chipError is a chip that couldn't be looked at.
type chipError struct {
	path string
	err  error
}

// eachChip shows every chip once to visit, in the order of their numbers,
// until it returns false, and closes each at once. Raspberry Pi OS links
// /dev/gpiochip4 to another: a chip seen before is passed over, but for its
// node's name.
func (k *kernel) eachChip(visit func(c *chip, again bool) (more bool)) (failed []chipError, err error) {
	paths, err := filepath.Glob(k.path("/dev/gpiochip*"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(paths, func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d // gpiochip2 before gpiochip10
		}
		return strings.Compare(a, b)
	})
	seen := map[string]bool{}
	for _, path := range paths {
		c, err := k.openChip(path)
		if err != nil {
			failed = append(failed, chipError{path, err})
			continue
		}
		more := visit(c, seen[c.name])
		seen[c.name] = true
		if err := c.close(); err != nil {
			return failed, err
		}
		if !more {
			break
		}
	}
	return failed, nil
}

// onI2C is how the kernel names a device on an I2C bus: 1-0020 is the one at
// 0x20 on bus 1 (Documentation/i2c/instantiating-devices.rst).
var onI2C = regexp.MustCompile(`^[0-9]+-[0-9a-f]{4}$`)

// expander is the chip that a device on an I2C bus is, as gpiochip2. Its number
// may be another after the next boot, and expanders of one kind have one label.
func (k *kernel) expander(device string) (name string, ok bool, err error) {
	if !onI2C.MatchString(device) {
		return "", false, nil
	}
	found, err := filepath.Glob(k.path("/sys/bus/i2c/devices/" + device + "/gpiochip*"))
	if err != nil || len(found) == 0 {
		return "", false, err
	}
	return filepath.Base(found[0]), true, nil
}

// A place is one line of one chip.
type place struct {
	node   string // of the chip: "gpiochip0"
	chip   string // in words: "gpiochip0 (pinctrl-rp1)"
	label  string // of the chip
	lines  int    // of the chip
	offset int
}

func (p place) String() string { return fmt.Sprintf("%s line %d", p.chip, p.offset) }

// find tells where the line is, opening chips only to look.
func (k *kernel) find(ref sensors.LineRef) (place, error) {
	var found, others []place
	var infoErr error
	var names []string // that there are, where one is looked for
	wanted := ref.Chip
	if name, ok, err := k.expander(ref.Chip); err != nil {
		return place{}, fmt.Errorf("line %s: %w", ref, err)
	} else if ok {
		wanted = name
	}
	failed, err := k.eachChip(func(c *chip, again bool) bool {
		p := place{node: c.node, chip: c.String(), label: c.label, lines: c.lines, offset: ref.Offset}
		switch {
		case ref.BCM >= 0:
			p.offset = ref.BCM
			if slices.Contains(headerLabels, c.label) {
				found = append(found, p)
				return false
			}
		case ref.Chip != "":
			if wanted == c.node || wanted == c.name {
				found = []place{p}
				return false
			}
			if wanted == c.label && !again {
				found = append(found, p)
			}
			names = append(names, c.label)
		case !again:
			for i := range c.lines {
				info, err := c.info(i)
				if err != nil {
					infoErr = errors.Join(infoErr, fmt.Errorf("%s line %d: %w", c, i, err))
					break
				}
				name := unix.ByteSliceToString(info.Name[:])
				if name == ref.Name {
					p.offset = i
					found = append(found, p)
				}
				names = append(names, name)
			}
		}
		if !again {
			others = append(others, p)
		}
		return true
	})
	switch {
	case err != nil:
		return place{}, fmt.Errorf("line %s: %w", ref, err)
	case len(found) > 1 && ref.Chip != "":
		return place{}, sensors.Errorf(sensors.IO, "line %s is ambiguous: it is %s and %s: name an expander by its bus and address, as in 1-0020:%d, or any chip by its number", ref, found[0], found[1], ref.Offset)
	case len(found) > 1:
		return place{}, sensors.Errorf(sensors.IO, "line %s is ambiguous: it is %s and %s: write it as CHIP:OFFSET", ref, found[0], found[1])
	case len(found) == 1 && found[0].offset >= found[0].lines:
		return place{}, sensors.Errorf(sensors.IO, "there is no line %s: %s has %d lines, 0 to %d", ref, found[0].chip, found[0].lines, found[0].lines-1)
	case len(found) == 1:
		return found[0], nil
	case infoErr != nil:
		return place{}, fmt.Errorf("line %s: %w", ref, infoErr)
	}
	return place{}, notFound(ref, others, names, failed)
}

// notFound says why none of the chips has the line.
func notFound(ref sensors.LineRef, others []place, known []string, failed []chipError) error {
	for _, f := range failed {
		if errors.Is(f.err, fs.ErrPermission) {
			return sensors.Errorf(sensors.IO, "line %s: %s may not be opened: add the daemon's user to the group gpio (sudo usermod -aG gpio USER, then log in again or restart the service; a systemd unit may also need DeviceAllow=char-gpiochip): %w", ref, f.path, f.err)
		}
	}
	if len(failed) > 0 && nothingBehind(failed[0].err) {
		return sensors.Errorf(sensors.IO, "line %s: %s %s: %w", ref, failed[0].path, noHardware, failed[0].err)
	}
	if len(failed) > 0 {
		return fmt.Errorf("line %s: look at %s: %w", ref, failed[0].path, failed[0].err)
	}
	if len(others) == 0 {
		return sensors.Errorf(sensors.IO, "line %s: there is no /dev/gpiochip*: this machine has no GPIO, or its driver isn't loaded, or a sandbox hides it: %w", ref, unix.ENOENT)
	}
	var names []string
	for _, p := range others {
		names = append(names, p.chip)
	}
	here := strings.Join(names, ", ")
	switch {
	case ref.BCM >= 0:
		return sensors.Errorf(sensors.IO, "line %s: no chip of the 40-pin header is here (its label would be %s): write the line as CHIP:OFFSET; chips here: %s", ref, strings.Join(headerLabels, ", "), here)
	case ref.Chip != "":
		return sensors.Errorf(sensors.IO, "line %s: there is no chip %s%s; chips here: %s", ref, ref.Chip, sensors.DidYouMean(ref.Chip, known), here)
	}
	return sensors.Errorf(sensors.IO, "no line has the name %s%s: gpioinfo lists the names; chips here: %s", ref, sensors.DidYouMean(ref.Name, known), here)
}

// LineInfo tells where a line is and who holds it, without taking it.
func (l *linux) LineInfo(ref sensors.LineRef) (LineInfo, error) {
	p, err := l.kernel.find(ref)
	if err != nil {
		return LineInfo{}, err
	}
	c, err := l.kernel.openChip(l.kernel.path("/dev/" + p.node))
	if err != nil {
		return LineInfo{}, fmt.Errorf("line %s: open %s: %w", ref, p.node, err)
	}
	info, err := c.info(p.offset)
	if err := errors.Join(err, c.close()); err != nil {
		return LineInfo{}, fmt.Errorf("line %s: %s: %w", ref, p, err)
	}
	return l.kernel.lineInfo(p, info), nil
}

// identifyLine is a line's chip and offset, whatever name led there.
func (l *linux) identifyLine(c sensors.Claim) (string, bool) {
	p, err := l.kernel.find(c.Line)
	return p.String(), err == nil
}

func (k *kernel) lineInfo(p place, info unix.GPIOV2LineInfo) LineInfo {
	return LineInfo{
		Chip: p.chip, Offset: p.offset,
		Name:     unix.ByteSliceToString(info.Name[:]),
		Held:     info.Flags&flagUsed != 0,
		Consumer: unix.ByteSliceToString(info.Consumer[:]),
		Output:   info.Flags&flagOutput != 0,
		Function: k.mux.Function(p.label, p.offset),
	}
}
