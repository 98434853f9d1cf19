package alarm

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Jump is a step of the wall clock: somebody set it, or NTP did.
type Jump struct {
	At Instant       // when it was noticed
	By time.Duration // how far; negative: backwards
	// Lost is why steps after this Jump aren't noticed; nil: they are. Where it
	// isn't nil, By is that of the steps before, zero if there were none.
	Lost error
}

// leastJump is the smallest step that is reported. The kernel also says that
// the clock was set where it only resumed from suspend; two readings of the
// two clocks differ by microseconds then.
const leastJump = 10 * time.Millisecond

// Jumps receives the steps of the wall clock. Steps nobody received yet are
// added up into one. Whoever waits for a wall-clock time computes its Instant
// again after a Jump; slewing, as NTP does for small corrections, isn't one.
// There is one channel: one goroutine receives from it.
func (c *Clock) Jumps() <-chan Jump { return c.jumps }

// JumpCount returns how many steps there were since the Clock was opened.
func (c *Clock) JumpCount() uint64 { return c.jumped.Load() }

func (c *Clock) report(j Jump) {
	if j.Lost == nil {
		c.jumped.Add(1)
	}
	select {
	case earlier := <-c.jumps:
		j.By += earlier.By
	default:
	}
	c.jumps <- j // never full: this is the only sender
}

// stepWatch is a timer on CLOCK_REALTIME that is never meant to fire: with
// TFD_TIMER_CANCEL_ON_SET the kernel ends the wait when the clock is set
// (timerfd_create(2)), and costs nothing otherwise.
type stepWatch struct{ timer *timerfd }

func newStepWatch() (*stepWatch, error) {
	timer, err := newTimerfd(unix.CLOCK_REALTIME, "CLOCK_REALTIME")
	if err != nil {
		return nil, err
	}
	return &stepWatch{timer: timer}, nil
}

// farAway is later than any time the wall clock is set to, and fits the seconds
// of the system call: the year 2038 where these have 32 bits, 2106 elsewhere.
const farAway = (math.MaxInt32 - 86400) * int64(time.Second) << (^uint(0) >> 63)

// arm must be called again after each step.
func (s *stepWatch) arm() error {
	return s.timer.arm(farAway, unix.TFD_TIMER_CANCEL_ON_SET)
}

// watch reports the clock's steps until the Clock is closed, or the error with
// which that ends earlier.
func (c *Clock) watch(s *stepWatch) {
	defer c.running.Done()
	if err := c.reportSteps(s); !errors.Is(err, os.ErrClosed) {
		c.report(Jump{At: Now(), Lost: err})
	}
}

// errFired tells that the timer, which is set for [farAway], has fired.
var errFired = fmt.Errorf("the wall clock is past %s", time.Unix(0, farAway).UTC().Format(time.DateOnly))

// reportSteps returns os.ErrClosed where the Clock was closed.
func (c *Clock) reportSteps(s *stepWatch) error {
	offset := wallOffset()
	for {
		if err := s.arm(); errors.Is(err, unix.ECANCELED) {
			continue // set again before it was armed
		} else if err != nil {
			return err
		}
		// A step between the reading above and arm would go unseen.
		now := wallOffset()
		if by := now - offset; by.Abs() >= leastJump {
			c.report(Jump{At: Now(), By: by})
			offset = now
		}
		err := s.timer.wait()
		if err == nil {
			return errFired
		}
		if !errors.Is(err, unix.ECANCELED) {
			return err
		}
	}
}

// wallOffset is how far CLOCK_REALTIME is ahead of CLOCK_BOOTTIME. The wall
// clock is read between two readings of the other, and a reading that was
// interrupted is taken again.
func wallOffset() time.Duration {
	for {
		before := Now()
		wall := time.Now().UnixNano()
		after := Now()
		if after.Sub(before) < leastJump/4 {
			return time.Duration(wall - int64(before))
		}
	}
}

// machine is the kernel's own clocks.
type machine struct {
	timer *timerfd
	steps *stepWatch
}

func (m *machine) now() Instant         { return Now() }
func (m *machine) wall() time.Time      { return time.Now() }
func (m *machine) arm(at Instant) error { return m.timer.arm(int64(at), 0) }
func (m *machine) close() error {
	return errors.Join(m.timer.close(), m.steps.timer.close())
}
