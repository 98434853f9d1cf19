package alarm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is the error of a wait on a [Clock] that is closed, or was closed
// meanwhile.
var ErrClosed = errors.New("alarm: the clock is closed")

// Clock lets any number of goroutines wait for Instants on one descriptor.
// Its methods may be called from several goroutines at once.
type Clock struct {
	kernel kernel
	jumps  chan Jump
	jumped atomic.Uint64

	mu     sync.Mutex
	queue  queue
	armed  Instant // what the descriptor is set to; zero: nothing
	closed bool
	idle   []*Timer // timers for Sleep to use again

	running sync.WaitGroup
}

// kernel is what a Clock stands on: the machine's clocks, or those of a Fake.
type kernel interface {
	now() Instant
	wall() time.Time
	arm(Instant) error // zero disarms
	close() error
}

// New opens a Clock on CLOCK_BOOTTIME. A moment that passes while the machine
// is suspended is noticed when it resumes.
func New() (*Clock, error) { return open(unix.CLOCK_BOOTTIME, "CLOCK_BOOTTIME") }

// NewWaking opens a Clock on CLOCK_BOOTTIME_ALARM, whose timers also wake a
// suspended machine that has a real-time clock which can. Without
// CAP_WAKE_ALARM the error is EPERM.
func NewWaking() (*Clock, error) { return open(unix.CLOCK_BOOTTIME_ALARM, "CLOCK_BOOTTIME_ALARM") }

func open(clock int, name string) (*Clock, error) {
	timer, err := newTimerfd(clock, name)
	if err != nil {
		return nil, err
	}
	steps, err := newStepWatch()
	if err != nil {
		return nil, errors.Join(err, timer.close())
	}
	c := newClock(&machine{timer: timer, steps: steps})
	c.running.Add(2)
	go c.ring(timer)
	go c.watch(steps)
	return c, nil
}

func newClock(k kernel) *Clock {
	return &Clock{kernel: k, jumps: make(chan Jump, 1)}
}

// ring wakes those who are due, each time the descriptor fires.
func (c *Clock) ring(timer *timerfd) {
	defer c.running.Done()
	for {
		err := timer.wait()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			// Waiting on would be waiting for ever.
			panic(fmt.Sprintf("alarm: read the timer: %v", err))
		}
		c.fire()
	}
}

// Close ends every wait with [ErrClosed], cancels the contexts of
// [Clock.WithDeadline], and releases the descriptors. Closing twice is no error.
func (c *Clock) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	var contexts []*Context
	for len(c.queue) > 0 {
		t := c.queue[0]
		c.queue.remove(t)
		if t.context != nil {
			contexts = append(contexts, t.context)
			continue
		}
		close(t.ring)
	}
	err := c.kernel.close()
	c.mu.Unlock()
	for _, ctx := range contexts {
		ctx.end(context.Canceled, false)
	}
	c.running.Wait()
	return err
}

// Now reads the clock.
func (c *Clock) Now() Instant { return c.kernel.now() }

// Wall converts i to wall-clock time as [Instant.Wall] does.
func (c *Clock) Wall(i Instant) (t time.Time, ok bool) {
	return wallAt(i, c.kernel.now(), c.kernel.wall())
}

// At returns the Instant at which the wall clock will show t, if nobody steps
// it before: recompute after a [Jump]. ok is false while the wall clock can't be
// true, as with [Instant.Wall].
func (c *Clock) At(t time.Time) (i Instant, ok bool) {
	now, wall := c.kernel.now(), c.kernel.wall()
	if wall.Before(plausible()) {
		return 0, false
	}
	return now.Add(t.Sub(wall.Round(0))), true
}

// Sleep waits for d. It returns nil when d has passed, ctx.Err() at once when
// ctx ends, and ErrClosed. A d of zero or less doesn't wait.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	return c.SleepUntil(ctx, c.Now().Add(d))
}

// SleepUntil waits until the moment at; a moment in the past isn't waited for.
// Its errors are those of [Clock.Sleep].
func (c *Clock) SleepUntil(ctx context.Context, at Instant) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	if !at.After(c.kernel.now()) {
		c.mu.Unlock()
		return nil
	}
	t := c.take()
	err := c.enqueue(t, at)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case _, open := <-t.ring:
		if !open {
			return ErrClosed
		}
		c.give(t)
		return nil
	case <-ctx.Done():
		t.Stop()
		c.give(t)
		return ctx.Err()
	}
}

// take finds a timer for a sleep; give puts it back. c.mu is held by take's
// caller only.
func (c *Clock) take() *Timer {
	if n := len(c.idle); n > 0 {
		t := c.idle[n-1]
		c.idle = c.idle[:n-1]
		return t
	}
	return c.newTimer()
}

func (c *Clock) give(t *Timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.idle = append(c.idle, t)
	}
}

// enqueue makes t wait for at. c.mu is held.
func (c *Clock) enqueue(t *Timer, at Instant) error {
	t.at = at
	c.queue.add(t)
	if err := c.rearm(); err != nil {
		c.queue.remove(t)
		return err
	}
	return nil
}

// dequeue makes t wait no more. c.mu is held.
func (c *Clock) dequeue(t *Timer) {
	if !t.waiting() {
		return
	}
	c.queue.remove(t)
	// A descriptor that can't be set may ring once too often, which fire
	// tolerates; enqueue reports it.
	_ = c.rearm()
}

// rearm sets the descriptor to the earliest moment anybody waits for. c.mu is
// held.
func (c *Clock) rearm() error {
	var at Instant
	if len(c.queue) > 0 {
		at = c.queue[0].at
	}
	if at == c.armed {
		return nil
	}
	if err := c.kernel.arm(at); err != nil {
		return err
	}
	c.armed = at
	return nil
}

// fire wakes everybody who is due.
func (c *Clock) fire() {
	var contexts []*Context
	c.mu.Lock()
	c.armed = 0 // it fires once
	now := c.kernel.now()
	for len(c.queue) > 0 && !c.queue[0].at.After(now) {
		t := c.queue[0]
		c.queue.remove(t)
		if t.context != nil {
			contexts = append(contexts, t.context)
			continue
		}
		t.ring <- t.at // never full: a timer is emptied before it is set
	}
	if err := c.rearm(); err != nil && !errors.Is(err, os.ErrClosed) {
		c.mu.Unlock()
		panic(fmt.Sprintf("alarm: %v", err)) // as in ring
	}
	c.mu.Unlock()
	for _, ctx := range contexts {
		ctx.end(context.DeadlineExceeded, false)
	}
}
