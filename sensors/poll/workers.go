package poll

import (
	"context"
	"errors"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
)

const (
	// grace is how long a read may take to return after its deadline: the
	// kernel gives up an I2C transaction after 1 s (struct i2c_adapter,
	// timeout, of i2c-bcm2835). After that it counts as hung.
	grace = 1500 * time.Millisecond
	// retryPause lies before another attempt, so that what disturbed the
	// first is over.
	retryPause = 100 * time.Millisecond
	// margin is what else a read may take on a busy machine before its last
	// readings expire.
	margin = 5 * time.Second
	// mostIdle bounds the workers that are kept from wake to wake: 8 kB each.
	mostIdle = 16
)

// workers are the goroutines that read sensors. launch, free and dismiss are
// the loop's.
type workers struct {
	*shared
	wires *wires
	done  chan *sensor   // reads that ended
	idle  []chan *sensor // workers that wait for a sensor
}

func newWorkers(s *shared, w *wires) *workers {
	return &workers{shared: s, wires: w, done: make(chan *sensor)}
}

// launch has a worker read s. Workers are kept, because the stack of a new
// goroutine has to grow first, which costs as much as a short read.
func (w *workers) launch(s *sensor) {
	last := len(w.idle) - 1
	if last < 0 {
		go w.work(s)
		return
	}
	w.idle[last] <- s
	w.idle = w.idle[:last]
}

// work reads s, and then one sensor after the other as launch gives them.
func (w *workers) work(s *sensor) {
	next := make(chan *sensor, 1)
	for s != nil {
		s.began = w.clock.Now()
		undo := func() {}
		if !s.runFor.IsZero() {
			undo = w.records.Begin(s.ctx, s.cfg.Name, s.cfg.Schedule.At.String(), s.runFor)
		}
		err := w.read(s.ctx, s)
		if err == errLeft {
			return
		}
		if s.ctx.Err() != nil && (s.reader == nil || s.reader.report.Run() == nil) {
			undo() // it is to be caught up
		}
		w.ended(s, err)
		s.err, s.worker = err, next
		w.done <- s
		s = <-next
	}
}

// free keeps a worker for the next wake, or dismisses it.
func (w *workers) free(worker chan *sensor) {
	switch {
	case worker == nil:
	case len(w.idle) < mostIdle:
		w.idle = append(w.idle, worker)
	default:
		close(worker)
	}
}

// dismiss ends all idle workers.
func (w *workers) dismiss() {
	for _, worker := range w.idle {
		close(worker)
	}
	w.idle = nil
}

// errLeft is the error of an attempt that hung and returned after all, long
// after the read of its sensor had ended without it.
var errLeft = errors.New("was left behind")

// read is one due read with its retries.
func (w *workers) read(ctx context.Context, s *sensor) error {
	if s.stuck != nil {
		select {
		case <-s.stuck.done:
			s.returned()
		default:
			return sensors.Errorf(sensors.Timeout, "the read that began %s ago hangs in the kernel or in a program and can't be cancelled: look at the wiring; if it goes on, restart", duration.Format(s.began.Sub(s.since).Round(time.Second)))
		}
	}
	if s.reader == nil {
		s.reader = newReader(w.shared, s.cfg)
	}
	s.reader.report.Reset() // where no attempt is made, it has nothing of the read before
	if err := ctx.Err(); err != nil {
		return err // before a rail goes up for nothing
	}
	if s.cfg.Power == "" {
		return w.attempts(ctx, s)
	}
	rails := w.rails.Load()
	if err := rails.Up(ctx, s.cfg.Power, s.cfg.Warmup); err != nil {
		return err
	}
	s.raised = true
	powered, cancel := rails.While(ctx, s.cfg.Power)
	defer cancel()
	err := w.attempts(powered, s)
	if err != errLeft && powered.Err() != nil && ctx.Err() == nil {
		// Without power nothing that was read counts.
		return context.Cause(powered)
	}
	return err
}

// returned takes back a reader that was left behind.
func (s *sensor) returned() {
	s.reader, s.stuck = s.stuck, nil
	s.reader.cfg = s.cfg
	s.reader.leaveBus()
	if !s.reader.holds() {
		s.reader.sensor = nil
	}
}

// attempts reads once, and again where that fails.
func (w *workers) attempts(ctx context.Context, s *sensor) error {
	left := s.cfg.Retries
	if s.extra {
		left = 0 // the next further try is one
	}
	for ; ; left-- {
		err := w.attempt(ctx, s)
		if err == nil || err == errLeft || left <= 0 || ctx.Err() != nil || errors.Is(err, lock.ErrLocked) { // which was waited for
			return err
		}
		if w.clock.Sleep(ctx, retryPause) != nil {
			return err
		}
	}
}

// attempt reads once, against the deadline.
func (w *workers) attempt(ctx context.Context, s *sensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.reader
	r.batch, r.bus = s.batch, s.bus
	r.awaited.Store(true)
	s.since = w.clock.Now()
	limited := w.clock.WithDeadlineFunc(ctx, s.since.Add(s.cfg.Timeout), func() { w.overdue(s, r) })
	err := r.attempt(limited)
	if !limited.Cancel() { // overdue runs
		awaited := r.awaited.CompareAndSwap(true, false)
		r.done <- struct{}{}
		if !awaited {
			return errLeft
		}
	}
	if err == nil {
		return s.checkReport()
	}
	if limited.Err() == context.DeadlineExceeded && errors.Is(err, context.DeadlineExceeded) {
		return sensors.Errorf(sensors.Timeout, "not read within %s: %w", duration.Format(s.cfg.Timeout), err)
	}
	return err
}

// overdue is called when the context of an attempt ends before the attempt
// does. The attempt returns after the transaction under way, or hangs in it:
// then it is left behind, and the read of its sensor ends here.
func (w *workers) overdue(s *sensor, r *reader) {
	timer := w.clock.NewTimer()
	if err := timer.Set(w.clock.Now().Add(graceOf(r.cfg))); err == nil {
		select {
		case <-r.done:
			timer.Stop()
			return
		case <-timer.C():
		}
	}
	if !r.awaited.CompareAndSwap(true, false) {
		<-r.done
		return
	}
	s.stuck, s.reader, s.worker = r, nil, nil
	s.err = sensors.Errorf(sensors.Timeout, "no answer within %s, and the read can't be cancelled: the bus or program hangs", duration.Format(s.cfg.Timeout))
	w.ended(s, s.err)
	w.done <- s
}

// checkReport checks every reading of an attempt that returned without an
// error, and is the error of one that gave none.
func (s *sensor) checkReport() error {
	r := &s.reader.report
	s.faults = s.faults[:0]
	var first error
	some := false
	for _, reading := range r.Readings() {
		var fault error
		if reading.Plain() {
			fault = reading.Quantity.Check(reading.Value)
		}
		s.faults = append(s.faults, fault)
		if first == nil {
			first = fault
		}
		some = some || fault == nil
	}
	if some {
		return nil
	}
	if failures := r.Failures(); first == nil && len(failures) > 0 {
		first = failures[0].Err
	}
	if first == nil {
		first = sensors.Errorf(sensors.NotReady, "the driver reported nothing")
	}
	return first
}
