package alarm

import (
	"context"
	"sync"
	"time"
)

// WithDeadline returns a copy of parent that ends with
// [context.DeadlineExceeded] at the moment at, without a Go timer. As with
// [context.WithDeadline], cancel must be called when the work is done. The zero
// Instant is no deadline. On a closed Clock the context is cancelled from the
// beginning.
//
// Its Deadline method reports none: a wall-clock time would move with a clock
// step, and libraries arm Go timers with it.
func (c *Clock) WithDeadline(parent context.Context, at Instant) (context.Context, context.CancelFunc) {
	if at.IsZero() {
		return context.WithCancel(parent)
	}
	d := &deadlineContext{Context: parent, done: make(chan struct{})}
	d.timer = Timer{clock: c, context: d}
	if err := parent.Err(); err != nil {
		d.end(err)
		return d, d.cancel
	}
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		d.end(context.Canceled)
		return d, d.cancel
	case !at.After(c.kernel.now()):
		c.mu.Unlock()
		d.end(context.DeadlineExceeded)
		return d, d.cancel
	}
	err := c.enqueue(&d.timer, at)
	c.mu.Unlock()
	if err != nil {
		// A deadline that can't be kept must not be trusted to come.
		d.end(context.Canceled)
		return d, d.cancel
	}
	if parent.Done() != nil {
		stop := context.AfterFunc(parent, func() { d.finish(parent.Err()) })
		d.mu.Lock()
		d.release = stop
		ended := d.err != nil
		d.mu.Unlock()
		if ended {
			stop()
		}
	}
	return d, d.cancel
}

// deadlineContext is a context of its own kind because those that package
// context derives can end by a deadline only with a Go timer.
type deadlineContext struct {
	context.Context // the parent, for its values
	timer           Timer
	done            chan struct{}

	mu      sync.Mutex
	err     error
	release func() bool // lets go of the parent
	after   map[*func()]struct{}
}

func (d *deadlineContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func (d *deadlineContext) Done() <-chan struct{} { return d.done }

func (d *deadlineContext) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// AfterFunc lets package context derive from this context without a goroutine
// for each child; it is described there at [context.AfterFunc].
func (d *deadlineContext) AfterFunc(f func()) (stop func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		go f()
		return func() bool { return false }
	}
	if d.after == nil {
		d.after = make(map[*func()]struct{})
	}
	key := &f
	d.after[key] = struct{}{}
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		_, pending := d.after[key]
		delete(d.after, key)
		return pending
	}
}

func (d *deadlineContext) cancel() { d.finish(context.Canceled) }

// finish takes the context off the clock and ends it.
func (d *deadlineContext) finish(err error) {
	c := d.timer.clock
	c.mu.Lock()
	c.dequeue(&d.timer)
	c.mu.Unlock()
	d.end(err)
}

// end is what happens once, by whatever comes first.
func (d *deadlineContext) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	d.err = err
	close(d.done)
	for f := range d.after {
		go (*f)()
	}
	d.after = nil
	if d.release != nil {
		d.release()
	}
}
