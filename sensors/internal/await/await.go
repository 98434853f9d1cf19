// Package await asks again and again until something is ready: sensors.Env's
// Poll, for the daemon and for the tests of drivers.
package await

import (
	"context"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// A Clock is the part of sensors.Env that this needs.
type Clock interface {
	Now() sensors.Instant
	Sleep(ctx context.Context, d time.Duration) error
}

// Until calls done every step, of a millisecond at least, until it says so or
// fails, and for at most so long; then once more, since on a busy machine the last
// answer was before that. After that the error is NotReady.
func Until(ctx context.Context, clock Clock, most, step time.Duration, done func() (bool, error)) error {
	end := clock.Now().Add(most)
	for last := false; ; {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if last {
			return sensors.Errorf(sensors.NotReady, "not ready after %s", duration.Format(most))
		}
		wait := max(step, time.Millisecond)
		if left := end.Sub(clock.Now()); left <= wait {
			last = true
			if left > 0 {
				wait = left
			}
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}
