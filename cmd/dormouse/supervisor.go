package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
)

// openClock opens the clock that the daemon sleeps by.
func (s *settings) openClock() (*alarm.Clock, error) {
	if !s.wakeSuspended {
		return alarm.New()
	}
	clock, err := alarm.NewWaking()
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("--wake-suspended: %w: it needs CAP_WAKE_ALARM: start as root, with --user or without, or under systemd install the drop-in wake-from-suspend.conf", err)
	}
	if err != nil {
		return nil, fmt.Errorf("--wake-suspended: %w", err)
	}
	return clock, nil
}

// watchdog tells when the supervisor is to hear that the daemon lives, which is
// for follow to say: it is what would hang. It is nil, and nothing wakes for it,
// where the supervisor doesn't ask.
func (r *running) watchdog(ctx context.Context) (<-chan struct{}, error) {
	interval, err := r.process.WatchdogInterval()
	if err != nil || interval == 0 {
		return nil, err
	}
	due := make(chan struct{})
	go func() {
		for r.clock.Sleep(ctx, interval/2) == nil { // half of it: sd_watchdog_enabled(3)
			select {
			case due <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}()
	return due, nil
}
