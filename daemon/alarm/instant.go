package alarm

import (
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Instant is a moment on CLOCK_BOOTTIME, in nanoseconds since the machine was
// booted. It counts time spent in suspend, and no step of the wall clock moves
// it. The zero Instant stands for "none".
type Instant int64

// Now reads CLOCK_BOOTTIME.
func Now() Instant {
	var ts unix.Timespec
	// A raw system call: an ordinary one tells the scheduler that it may block,
	// and that wakes the runtime's monitor thread. It can't fail: the clock has
	// existed since Linux 2.6.39 and ts is valid memory.
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return Instant(unix.TimespecToNsec(ts))
}

// Add returns the moment d after i.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns how long after u the moment i is.
func (i Instant) Sub(u Instant) time.Duration { return time.Duration(i - u) }

// Before reports whether i is earlier than u.
func (i Instant) Before(u Instant) bool { return i < u }

// After reports whether i is later than u.
func (i Instant) After(u Instant) bool { return i > u }

// IsZero reports whether i is the zero Instant, which stands for "none".
func (i Instant) IsZero() bool { return i == 0 }

// Wall converts i to wall-clock time by the present offset between the two
// clocks. ok is false for the zero Instant, and while the wall clock stands
// before the date of this build: a Raspberry Pi has no clock chip, boots in the
// past and jumps when NTP answers, and no time is better than a wrong one.
func (i Instant) Wall() (t time.Time, ok bool) {
	return wallAt(i, Now(), time.Now())
}

func wallAt(i, now Instant, wall time.Time) (time.Time, bool) {
	if i.IsZero() || wall.Before(plausible()) {
		return time.Time{}, false
	}
	// Round strips the monotonic reading, which belongs to another clock.
	return wall.Round(0).Add(i.Sub(now)), true
}

// written is a day on which this file existed: no true clock shows less.
var written = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

// plausible is the earliest wall-clock time that can be true: the commit this
// program was built from, where the build recorded it.
var plausible = sync.OnceValue(func() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return written
	}
	for _, s := range info.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil && t.After(written) {
			return t
		}
	}
	return written
})
