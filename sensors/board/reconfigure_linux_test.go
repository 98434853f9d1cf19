package board

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// TestReconfigure turns an output into an input with edges and back, on one
// descriptor.
func TestReconfigure(t *testing.T) {
	if got, want := unsafe.Sizeof(unix.GPIOV2LineConfig{}), uintptr(setLineConfig>>16&0x3fff); got != want {
		t.Errorf("gpio_v2_line_config has %d bytes, want %d", got, want)
	}
	k := pi5(t)
	var got unix.GPIOV2LineConfig
	var on uintptr
	var refuse error
	board := newLinux(k.root, func(fd, request uintptr, arg unsafe.Pointer) error {
		if request != setLineConfig {
			return k.ioctl(fd, request, arg)
		}
		on, got = fd, *(*unix.GPIOV2LineConfig)(arg)
		return refuse
	})
	l, err := board.OpenLine(parseLine(t, "17"), sensors.LineConfig{Output: true, Buffer: 64}, "x")
	check(t, err)
	if r := k.line(l).request; r.Event_buffer_size != 64 {
		t.Errorf("an output that is to be an input later has a buffer of %d, want 64", r.Event_buffer_size)
	}

	check(t, l.Reconfigure(sensors.LineConfig{Edges: sensors.FallingEdge, Bias: sensors.PullUp}))
	if want := uint64(flagInput | flagEdgeFalling | flagBiasPullUp); got.Flags != want || got.Num_attrs != 0 || on != uintptr(l.(*line).fd) {
		t.Errorf("flags %#x with %d attributes on descriptor %d, want %#x on %d", got.Flags, got.Num_attrs, on, want, l.(*line).fd)
	}
	if err := l.SetActive(true); err == nil || !strings.Contains(err.Error(), "is an input") {
		t.Errorf("an input can be driven: %v", err)
	}
	check(t, l.Reconfigure(sensors.LineConfig{Output: true, Active: true}))
	if got.Flags != flagOutput || got.Num_attrs != 1 || got.Attrs[0].Attr.Flags != 1 {
		t.Errorf("back to an output: %+v", got)
	}
	check(t, l.SetActive(false))

	for errno, want := range map[unix.Errno]string{unix.ENODEV: "went away", unix.EINVAL: "can't do this", unix.ENOMEM: "GPIO17"} {
		refuse = errno
		if err := l.Reconfigure(sensors.LineConfig{}); !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q in it", errno, err, want)
		}
	}
	if err := l.Reconfigure(sensors.LineConfig{Output: true, Edges: sensors.RisingEdge}); err == nil || !strings.Contains(err.Error(), "an output has no edges") {
		t.Errorf("got %v", err)
	}
	check(t, l.SetActive(true)) // what was refused left it an output
	check(t, l.Close())
	if err := l.Reconfigure(sensors.LineConfig{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed line: %v", err)
	}
}
