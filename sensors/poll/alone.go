package poll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// How long to wait for a lock that another holds before it is tried again: the
// kernel tells nobody when it is free. Measurements take 10 ms to some seconds.
const (
	firstTry    = 2 * time.Millisecond
	longestWait = 50 * time.Millisecond
)

// Alone takes the lock of what the kind's first claim stands for.
func (r *reader) Alone(ctx context.Context, kind sensors.WireKind) error {
	claim, ok := r.cfg.Options.Claim(kind)
	if !ok {
		return fmt.Errorf("the driver %s claims no wire of the kind %s", r.cfg.Driver.Name, kind)
	}
	began := r.Now()
	for wait := firstTry; ; wait = min(2*wait, longestWait) {
		lock, err := r.shared.board.Lock(claim)
		if err == nil {
			r.locks = append(r.locks, lock)
			return nil
		}
		if !errors.Is(err, board.ErrLocked) {
			return err
		}
		if ended := r.Sleep(ctx, wait); ended != nil {
			if !errors.Is(ended, context.DeadlineExceeded) {
				return ended
			}
			return sensors.Errorf(sensors.Busy, "another process or sensor measures there and didn't end within %s: look for a second dormouse with the same wiring (fuser names who has the device open) and stop one, or give the sensor a longer timeout: %w",
				duration.Format(r.Now().Sub(began).Round(time.Millisecond)), err)
		}
	}
}

// unlock lets others measure.
func (r *reader) unlock() {
	for _, l := range r.locks {
		if err := l.Close(); err != nil {
			r.log.Warn("can't unlock a wire", "err", err)
		}
	}
	clear(r.locks)
	r.locks, r.alone = r.locks[:0], false
}
