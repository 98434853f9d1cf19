package board

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

const throttledTag = 0x00030046

// firmware answers as the mailbox does: the request is looked at, and answer
// writes what the firmware would.
func firmware(t *testing.T, answer func(message []uint32) error) sensors.Firmware {
	t.Helper()
	root := t.TempDir()
	makeFile(t, root, "/dev/vcio", "")
	l := newLinux(root, func(_, request uintptr, arg unsafe.Pointer) error {
		// Linux' _IOWR(100, 0, char *), for programs of 64 and of 32 bits.
		want := map[uintptr]uintptr{8: 0xC0086400, 4: 0xC0046400}[unsafe.Sizeof(uintptr(0))]
		if request != want {
			t.Errorf("the request is 0x%x, want 0x%x", request, want)
		}
		size := *(*uint32)(arg)
		if size < 28 || size%4 != 0 || size > 4096 {
			t.Fatalf("the message has %d bytes", size)
		}
		message := unsafe.Slice((*uint32)(arg), size/4)
		if message[1] != 0 || message[3] != size-24 || message[4] != 0 || message[len(message)-1] != 0 {
			t.Errorf("the message is %x", message)
		}
		return answer(message)
	})
	return l.Files().(sensors.Firmware)
}

func TestProperty(t *testing.T) {
	f := firmware(t, func(m []uint32) error {
		if !slices.Equal(m, []uint32{28, 0, throttledTag, 4, 0, 7, 0}) {
			t.Errorf("asked %x", m)
		}
		m[1], m[4], m[5] = 0x80000000, 0x80000004, 0x50005
		return nil
	})
	value := []uint32{7}
	if err := f.Property(t.Context(), "/dev/vcio", throttledTag, value); err != nil || value[0] != 0x50005 {
		t.Errorf("got %x, %v", value, err)
	}
}

func TestPropertyFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(m []uint32) error
		reason sensors.Reason
		errno  error
		want   string
	}{
		{"errno", func([]uint32) error { return unix.EINVAL }, sensors.IO, unix.EINVAL, "ask /dev/vcio"},
		{"refused", func(m []uint32) error { m[1] = 0x80000001; return nil }, sensors.IO, nil, "refused"},
		{"not answered", func([]uint32) error { return nil }, sensors.IO, nil, "refused"},
		{"tag unknown", func(m []uint32) error { m[1] = 0x80000000; return nil }, sensors.NoAnswer, nil, "0x00030046"},
		{"another tag", func(m []uint32) error { m[1], m[2], m[4] = 0x80000000, 1, 0x80000004; return nil }, sensors.NoAnswer, nil, "0x00030046"},
		{"empty", func(m []uint32) error { m[1], m[4] = 0x80000000, 0x80000000; return nil }, sensors.IO, nil, "is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			value := []uint32{7}
			err := firmware(t, tc.answer).Property(t.Context(), "/dev/vcio", throttledTag, value)
			if err == nil || sensors.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.want) || value[0] != 7 {
				t.Errorf("got %x, %v (%s), want %s and %q", value, err, sensors.ReasonOf(err), tc.reason, tc.want)
			}
			if tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("%v has lost %v", err, tc.errno)
			}
		})
	}
	f := firmware(t, nil)
	if err := f.Property(t.Context(), "/dev/vcio_gencmd", throttledTag, []uint32{0}); !errors.Is(err, unix.ENOENT) || sensors.ReasonOf(err) != sensors.NoAnswer {
		t.Errorf("without the device: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Property(ctx, "/dev/vcio", throttledTag, []uint32{0}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// An exchange that hangs is left behind, and its late answer goes nowhere.
func TestPropertyHangs(t *testing.T) {
	answer, ended := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	f := firmware(t, func(m []uint32) error {
		cancel()
		<-answer
		m[1], m[4], m[5] = 0x80000000, 0x80000004, 1
		close(ended)
		return nil
	})
	value := []uint32{7}
	if err := f.Property(ctx, "/dev/vcio", throttledTag, value); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(answer)
	<-ended
	if value[0] != 7 {
		t.Errorf("the late answer was taken: %x", value)
	}
}
