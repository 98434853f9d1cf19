package board

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// enum gpio_v2_line_flag of linux/gpio.h, and the one ioctl of it that
// x/sys/unix doesn't have.
const (
	flagUsed            = 1 << 0
	flagActiveLow       = 1 << 1
	flagInput           = 1 << 2
	flagOutput          = 1 << 3
	flagEdgeRising      = 1 << 4
	flagEdgeFalling     = 1 << 5
	flagBiasPullUp      = 1 << 8
	flagBiasPullDown    = 1 << 9
	flagBiasDisabled    = 1 << 10
	gpioGetChipInfo     = 0x8044b401
	mostEventsInKernel  = 1024 // GPIO_V2_LINES_MAX*16: drivers/gpio/gpiolib-cdev.c caps a buffer there
	longestConsumerName = 31
)

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
		p := place{node: c.node, chip: c.String(), lines: c.lines, offset: ref.Offset}
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
			return sensors.Errorf(sensors.IO, "line %s: %s may not be opened: add the daemon's user to the group gpio (a systemd unit may also need DeviceAllow=char-gpiochip): %w", ref, f.path, f.err)
		}
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
	return lineInfo(p, info), nil
}

// identifyLine is a line's chip and offset, whatever name led there.
func (l *linux) identifyLine(c sensors.Claim) (string, bool) {
	p, err := l.kernel.find(c.Line)
	return p.String(), err == nil
}

func lineInfo(p place, info unix.GPIOV2LineInfo) LineInfo {
	return LineInfo{
		Chip: p.chip, Offset: p.offset,
		Name:     unix.ByteSliceToString(info.Name[:]),
		Held:     info.Flags&flagUsed != 0,
		Consumer: unix.ByteSliceToString(info.Consumer[:]),
		Output:   info.Flags&flagOutput != 0,
	}
}

// OpenLine requests one line by version 2 of the GPIO character device's uAPI
// (linux/gpio.h; Documentation/userspace-api/gpio/chardev.rst). An output has
// its value from the request on, without a glitch.
func (l *linux) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	p, err := l.kernel.find(ref)
	if err != nil {
		return nil, err
	}
	request, err := lineRequest(p.offset, c, consumer)
	if err != nil {
		return nil, fmt.Errorf("line %s: %w", ref, err)
	}
	on, err := l.kernel.openChip(l.kernel.path("/dev/" + p.node))
	if err != nil {
		return nil, fmt.Errorf("line %s: open %s: %w", ref, p.node, err)
	}
	err = on.ioctl(unix.GPIO_V2_GET_LINE_IOCTL, unsafe.Pointer(request))
	if errors.Is(err, unix.EBUSY) {
		info, infoErr := on.info(p.offset)
		return nil, errors.Join(LineHeld(ref, p.String(), unix.ByteSliceToString(info.Consumer[:]), err), infoErr, on.close())
	}
	if err != nil {
		return nil, errors.Join(requestError(ref, p, err), on.close())
	}
	// The line lives on without its chip's descriptor.
	fd := int(request.Fd)
	if err := errors.Join(unix.SetNonblock(fd, true), on.close()); err != nil {
		return nil, errors.Join(fmt.Errorf("line %s: %w", ref, err), unix.Close(fd))
	}
	return &line{ref: ref, place: p, output: c.Output, kernel: l.kernel, fd: fd}, nil
}

func requestError(ref sensors.LineRef, p place, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return sensors.Errorf(sensors.IO, "line %s: %s is not for user space (the kernel protects it): choose another: %w", ref, p, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, enotsupp):
		return sensors.Errorf(sensors.IO, "line %s: %s can't do this (direction, pull, edges or debounce): %w", ref, p, err)
	}
	return fmt.Errorf("line %s: request %s: %w", ref, p, err)
}

// enotsupp is the kernel's internal ENOTSUPP, which some GPIO drivers let out.
const enotsupp = unix.Errno(524)

func lineRequest(offset int, c sensors.LineConfig, consumer string) (*unix.GPIOV2LineRequest, error) {
	r := &unix.GPIOV2LineRequest{Num_lines: 1, Event_buffer_size: uint32(max(c.Buffer, 0))}
	r.Offsets[0] = uint32(offset)
	copy(r.Consumer[:longestConsumerName], consumer)
	flags := &r.Config.Flags
	switch {
	case c.Output && c.Edges != sensors.NoEdge:
		return nil, errors.New("an output has no edges")
	case c.Output:
		*flags |= flagOutput
		a := lineAttribute(r, unix.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES)
		if c.Active {
			a.Flags = 1 // the union's values: bit 0 is the first line
		}
	default:
		*flags |= flagInput
	}
	if c.ActiveLow {
		*flags |= flagActiveLow
	}
	switch c.Bias {
	case sensors.PullUp:
		*flags |= flagBiasPullUp
	case sensors.PullDown:
		*flags |= flagBiasPullDown
	case sensors.BiasOff:
		*flags |= flagBiasDisabled
	}
	switch c.Edges {
	case sensors.RisingEdge:
		*flags |= flagEdgeRising
	case sensors.FallingEdge:
		*flags |= flagEdgeFalling
	case sensors.BothEdges:
		*flags |= flagEdgeRising | flagEdgeFalling
	}
	if c.Debounce > 0 {
		us := c.Debounce.Microseconds()
		if us != int64(uint32(us)) {
			return nil, fmt.Errorf("debounce of %s is too long: the kernel takes at most 71 minutes", c.Debounce)
		}
		a := lineAttribute(r, unix.GPIO_V2_LINE_ATTR_ID_DEBOUNCE)
		*(*uint32)(unsafe.Pointer(&a.Flags)) = uint32(us) // the union's debounce_period_us
	}
	return r, nil
}

func lineAttribute(r *unix.GPIOV2LineRequest, id uint32) *unix.GPIOV2LineAttribute {
	a := &r.Config.Attrs[r.Config.Num_attrs]
	r.Config.Num_attrs++
	a.Mask, a.Attr.Id = 1, id
	return &a.Attr
}

// line is a requested line. Its descriptor is kept out of the network poller,
// so that edges which are only counted wake nobody.
type line struct {
	ref    sensors.LineRef
	place  place
	output bool
	kernel *kernel

	mu      sync.Mutex
	fd      int      // -1: closed
	waiting *os.File // of WaitEdge
	value   unix.GPIOV2LineValues
	events  [16]unix.GPIOV2LineEvent
	toBoot  time.Duration // boot-time clock minus monotonic clock
}

func (l *line) failed(doing string, err error) error {
	if errors.Is(err, unix.ENODEV) {
		return sensors.Errorf(sensors.IO, "line %s went away: %s was removed: %w", l.ref, l.place.chip, err)
	}
	return fmt.Errorf("line %s: %s: %w", l.ref, doing, err)
}

// values gets or sets the line's value.
func (l *line) values(request uintptr, active bool) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return false, os.ErrClosed
	}
	l.value = unix.GPIOV2LineValues{Mask: 1}
	if active {
		l.value.Bits = 1
	}
	err := l.kernel.ioctl(uintptr(l.fd), request, unsafe.Pointer(&l.value))
	return l.value.Bits&1 != 0, err
}

func (l *line) Active() (bool, error) {
	active, err := l.values(unix.GPIO_V2_LINE_GET_VALUES_IOCTL, false)
	if err != nil {
		return false, l.failed("read its level", err)
	}
	return active, nil
}

func (l *line) SetActive(active bool) error {
	if !l.output {
		return fmt.Errorf("line %s is an input and can't be driven", l.ref)
	}
	if _, err := l.values(unix.GPIO_V2_LINE_SET_VALUES_IOCTL, active); err != nil {
		return l.failed("drive it", err)
	}
	return nil
}

// Edges drains the kernel's buffer, by at most one full buffer so that a
// flood of edges can't keep it busy for ever. The kernel stamps edges with
// CLOCK_MONOTONIC; the present distance to CLOCK_BOOTTIME is added, so an edge
// from before a suspend is dated late by the time suspended.
func (l *line) Edges(buf []sensors.Edge) ([]sensors.Edge, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return buf, l.failed("read its edges", os.ErrClosed)
	}
	for read := 0; read < mostEventsInKernel; {
		n, err := unix.Read(l.fd, unsafe.Slice((*byte)(unsafe.Pointer(&l.events)), unsafe.Sizeof(l.events)))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return buf, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return buf, l.failed("read its edges", err)
		case n == 0 || n%int(unsafe.Sizeof(l.events[0])) != 0:
			return buf, l.failed("read its edges", fmt.Errorf("%d bytes are no whole events: %w", n, unix.EIO))
		}
		if read == 0 {
			if l.toBoot, err = monotonicToBoot(l.toBoot); err != nil {
				return buf, l.failed("read the clock", err)
			}
		}
		for _, e := range l.events[:n/int(unsafe.Sizeof(l.events[0]))] {
			read++
			buf = append(buf, sensors.Edge{
				At:     alarm.Instant(e.Timestamp_ns).Add(l.toBoot),
				Active: e.Id == unix.GPIO_V2_LINE_EVENT_RISING_EDGE,
				Seq:    e.Line_seqno,
			})
		}
	}
	return buf, nil
}

// monotonicToBoot measures the distance of the two clocks, which changes in
// suspend only. The last one stands unless it is off by a millisecond: being
// preempted between the clocks' readings must not move edges apart.
func monotonicToBoot(last time.Duration) (time.Duration, error) {
	var boot, mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0, err
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return 0, err
	}
	if d := time.Duration(boot.Nano() - mono.Nano()); (d - last).Abs() > time.Millisecond {
		return d, nil
	}
	return last, nil
}

// Deadlines of waits: one that ends a wait at once, and none.
var (
	longAgo    = time.Unix(1, 0)
	noDeadline time.Time
)

// WaitEdge waits in the network poller on a descriptor of its own, which is in
// the poller only meanwhile. Where the line's chip is removed, Linux 6.1 wakes
// nobody (newer ones do): then only ctx or Close ends the wait.
func (l *line) WaitEdge(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file, err := l.startWaiting()
	if err != nil {
		return l.failed("wait for an edge", err)
	}
	defer l.stopWaiting()
	conn, err := file.SyscallConn()
	if err != nil {
		return l.failed("wait for an edge", err)
	}
	// A deadline in the past ends the wait at once and arms no timer.
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(longAgo) })
	defer stop()
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		var ready bool
		ready, pollErr = readable(int(fd))
		return ready || pollErr != nil
	})
	switch {
	case pollErr != nil:
		return l.failed("wait for an edge", pollErr)
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return l.failed("wait for an edge", os.ErrClosed)
}

// startWaiting duplicates the descriptor, so that taking it out of the poller
// doesn't close the line.
func (l *line) startWaiting() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.fd < 0:
		return nil, os.ErrClosed
	case l.waiting != nil:
		return nil, errors.New("somebody else waits already")
	}
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	l.waiting = os.NewFile(uintptr(fd), l.ref.String())
	return l.waiting, nil
}

func (l *line) stopWaiting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.waiting.Close() // a duplicate that was only polled has nothing to lose
	l.waiting = nil
}

func readable(fd int) (bool, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	switch {
	case err != nil:
		return false, err
	case n > 0 && p[0].Revents&unix.POLLIN == 0:
		return false, unix.ENODEV // POLLERR, POLLHUP: the chip is gone
	}
	return n > 0, nil
}

// Close releases the line as it is: an output that must be off is driven so
// first, by its owner.
func (l *line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return fmt.Errorf("line %s: %w", l.ref, os.ErrClosed)
	}
	fd := l.fd
	l.fd = -1
	if l.waiting != nil {
		_ = l.waiting.SetReadDeadline(longAgo) // WaitEdge returns and closes it
	}
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("line %s: close: %w", l.ref, err)
	}
	return nil
}
