package service

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
)

// OpenClock opens the clock that the daemon sleeps by; wakeSuspended is
// --wake-suspended.
func OpenClock(wakeSuspended bool) (*alarm.Clock, error) {
	if !wakeSuspended {
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
