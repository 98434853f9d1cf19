package alarm

// Timer rings once, on its channel, at the Instant it was last set to. It is
// for a loop that waits for other things besides; a loop sets the same one
// again and again. One goroutine at a time may use it.
type Timer struct {
	clock   *Clock
	at      Instant
	index   int // its place in the queue, counted from 1; 0: not waiting
	ring    chan Instant
	context *Context // rung instead of the channel
}

// NewTimer returns a Timer that isn't set.
func (c *Clock) NewTimer() *Timer { return c.newTimer() }

func (c *Clock) newTimer() *Timer {
	return &Timer{clock: c, ring: make(chan Instant, 1)}
}

// C receives the Instant the timer was set to, when it is reached. It is closed
// with the Clock if the timer was waiting then.
func (t *Timer) C() <-chan Instant { return t.ring }

// Set makes the timer ring at the moment at, and never for what it was set to
// before. A moment in the past rings at once; the zero Instant is none: the
// timer is stopped.
func (t *Timer) Set(at Instant) error {
	c := t.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if at.IsZero() {
		c.dequeue(t)
		t.empty()
		return nil
	}
	if t.waiting() {
		if t.at == at {
			return c.rearm() // somebody's Cancel may have left it
		}
		c.queue.remove(t) // enqueue arms for the new moment
	}
	t.empty()
	if !at.After(c.kernel.now()) {
		t.ring <- at
		return c.rearm()
	}
	return c.enqueue(t, at)
}

// Stop makes the timer not ring. A ring that wasn't received yet is gone too.
func (t *Timer) Stop() {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.clock.dequeue(t)
	t.empty()
}

func (t *Timer) waiting() bool { return t.index > 0 }

func (t *Timer) empty() {
	select {
	case <-t.ring:
	default:
	}
}

// queue is a binary heap of the timers that wait, the earliest first. It is
// written out because container/heap goes through interfaces, and this is on
// the path of each conversion wait.
type queue []*Timer

func (q *queue) add(t *Timer) {
	*q = append(*q, t)
	t.index = len(*q)
	q.up(len(*q) - 1)
}

func (q *queue) remove(t *Timer) {
	i, last := t.index-1, len(*q)-1
	q.swap(i, last)
	(*q)[last] = nil
	*q = (*q)[:last]
	t.index = 0
	if i < last {
		q.down(i)
		q.up(i)
	}
}

func (q queue) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i+1, j+1
}

func (q queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q[i].at.Before(q[parent].at) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q queue) down(i int) {
	for {
		least, left, right := i, 2*i+1, 2*i+2
		if left < len(q) && q[left].at.Before(q[least].at) {
			least = left
		}
		if right < len(q) && q[right].at.Before(q[least].at) {
			least = right
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}
