package alarm

import (
	"context"
	"sync"
	"time"
)

// Context is a [context.Context] that ends with [context.DeadlineExceeded] at a
// moment on its Clock, without a Go timer. Cancel must be called when the work
// is done.
//
// Its Deadline method reports none: a wall-clock time would move with a clock
// step, and libraries arm Go timers with it.
type Context struct {
	context.Context // the parent, for its values
	timer           Timer

	mu       sync.Mutex
	err      error
	done     chan struct{} // made when somebody asks for it
	ended    func()        // of WithDeadlineFunc
	calls    []*func()     // of AfterFunc
	children *Context      // the first
	release  func() bool   // detaches from a parent of another kind

	// Of the list of the parent's children, whose mu guards them.
	next, previous *Context
	listed         bool
}

// closed is the Done channel of what ended before anybody asked.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// WithDeadline returns a Context that ends at the moment at, with parent, or by
// its Cancel. The zero Instant is no deadline. On a closed Clock the Context is
// cancelled from the beginning.
func (c *Clock) WithDeadline(parent context.Context, at Instant) *Context {
	return c.WithDeadlineFunc(parent, at, nil)
}

// WithDeadlineFunc is WithDeadline, and has ended called, in a goroutine of its
// own, where the Context ends otherwise than by Cancel.
func (c *Clock) WithDeadlineFunc(parent context.Context, at Instant, ended func()) *Context {
	d := &Context{Context: parent, ended: ended}
	d.timer = Timer{clock: c, context: d}
	if err := d.attach(); err != nil {
		d.end(err, false)
		return d
	}
	if at.IsZero() {
		return d
	}
	c.mu.Lock()
	err := context.Canceled // a deadline that can't be kept must not be trusted to come
	switch {
	case c.closed:
	case !at.After(c.kernel.now()):
		err = context.DeadlineExceeded
	default:
		err = c.enqueue(&d.timer, at)
		if err != nil {
			err = context.Canceled
		}
	}
	c.mu.Unlock()
	if err != nil {
		d.finish(err, false)
	}
	return d
}

// attach has the end of the parent end d, without a goroutine. Its error is that
// of a parent that has ended.
func (d *Context) attach() error {
	parent, ok := d.Context.(*Context)
	if !ok {
		if d.Context.Done() == nil {
			return nil // it never ends
		}
		stop := context.AfterFunc(d.Context, func() { d.finish(d.Context.Err(), false) })
		d.mu.Lock()
		d.release = stop
		d.mu.Unlock()
		return d.Context.Err()
	}
	parent.mu.Lock()
	defer parent.mu.Unlock()
	if parent.err != nil {
		return parent.err
	}
	d.next, d.listed = parent.children, true
	if d.next != nil {
		d.next.previous = d
	}
	parent.children = d
	return nil
}

// detach ends the tie to the parent.
func (d *Context) detach() {
	parent, ok := d.Context.(*Context)
	if !ok {
		d.mu.Lock()
		release := d.release
		d.mu.Unlock()
		if release != nil {
			release()
		}
		return
	}
	parent.mu.Lock()
	defer parent.mu.Unlock()
	if !d.listed {
		return
	}
	if d.next != nil {
		d.next.previous = d.previous
	}
	if d.previous != nil {
		d.previous.next = d.next
	} else {
		parent.children = d.next
	}
	d.next, d.previous, d.listed = nil, nil, false
}

// Deadline reports none.
func (d *Context) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done is closed when the Context ends.
func (d *Context) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = closed
		if d.err == nil {
			d.done = make(chan struct{})
		}
	}
	return d.done
}

// Err is nil until the Context ends.
func (d *Context) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// AfterFunc calls f in a goroutine of its own when the Context ends, unless stop
// is called before: see [context.AfterFunc], which needs it to be cheap.
func (d *Context) AfterFunc(f func()) (stop func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		go f()
		return func() bool { return false }
	}
	call := &f
	d.calls = append(d.calls, call)
	return func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, other := range d.calls {
			if other == call {
				d.calls = append(d.calls[:i], d.calls[i+1:]...)
				return true
			}
		}
		return false
	}
}

// Cancel ends the Context with [context.Canceled] if it hasn't ended yet, which
// it reports. It leaves the descriptor as it is set, for whoever sets or awaits
// the next moment: where nobody does, the process wakes once for nothing.
func (d *Context) Cancel() bool { return d.finish(context.Canceled, true) }

// CancelBecause is Cancel with an error that says why, and that is
// [context.Canceled] to [errors.Is].
func (d *Context) CancelBecause(why string) bool { return d.finish(cancelled(why), true) }

type cancelled string

func (c cancelled) Error() string { return string(c) }

func (c cancelled) Is(target error) bool { return target == context.Canceled }

// finish takes the Context off the clock and ends it.
func (d *Context) finish(err error, cancelled bool) bool {
	c := d.timer.clock
	c.mu.Lock()
	if d.timer.waiting() {
		c.queue.remove(&d.timer)
	}
	c.mu.Unlock()
	return d.end(err, cancelled)
}

// end is what happens once, by whatever comes first, which it reports.
func (d *Context) end(err error, cancelled bool) bool {
	d.mu.Lock()
	if d.err != nil {
		d.mu.Unlock()
		return false
	}
	d.err = err
	if d.done != nil {
		close(d.done)
	}
	ended, calls, child := d.ended, d.calls, d.children
	d.ended, d.calls, d.children = nil, nil, nil
	for c := child; c != nil; c = c.next {
		c.listed = false
	}
	d.mu.Unlock()
	if ended != nil && !cancelled {
		go ended()
	}
	for _, f := range calls {
		go (*f)()
	}
	for child != nil {
		next := child.next
		child.next, child.previous = nil, nil
		child.finish(err, false)
		child = next
	}
	d.detach()
	return true
}
