package board

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
	"unsafe"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// enum gpio_v2_line_flag of linux/gpio.h, and limits of the kernel.
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
	mostEventsInKernel  = 1024 // GPIO_V2_LINES_MAX*16: drivers/gpio/gpiolib-cdev.c caps a buffer there
	longestConsumerName = 31
)

// OpenLine requests one line by version 2 of the GPIO character device's uAPI
// (linux/gpio.h; Documentation/userspace-api/gpio/chardev.rst). An output has
// its value from the request on, without a glitch. A line that a peripheral has
// is refused, unless it is forced: the request alone would make a plain line of
// it.
func (l *linux) OpenLine(ref sensors.LineRef, c sensors.LineConfig, consumer string) (sensors.Line, error) {
	p, err := l.kernel.find(ref)
	if err != nil {
		return nil, err
	}
	if f := l.kernel.mux.Function(p.label, p.offset); !f.IsZero() && !c.Force {
		return nil, f.Refuse(ref)
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
	if err != nil {
		info, infoErr := on.info(p.offset)
		// A strict pin controller's line that a peripheral has is "used", and the
		// request ends in EINVAL.
		if errors.Is(err, unix.EBUSY) || infoErr == nil && info.Flags&flagUsed != 0 {
			return nil, errors.Join(LineHeld(ref, p.String(), unix.ByteSliceToString(info.Consumer[:]), err), infoErr, on.close())
		}
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
			return nil, fmt.Errorf("debounce of %s is too long: the kernel takes at most 71 minutes", duration.Format(c.Debounce))
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
		return nil, errors.New("another caller waits already")
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
