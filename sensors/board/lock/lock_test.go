package lock

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
)

// stopped is a clock that moves only while somebody waits, until the deadline.
type stopped struct {
	now, deadline alarm.Instant
	cancelled     error
}

func (c *stopped) Now() alarm.Instant { return c.now }

func (c *stopped) SleepUntil(_ context.Context, at alarm.Instant) error {
	if at.After(c.deadline) {
		c.now = c.deadline
		return context.DeadlineExceeded
	}
	c.now = at
	return c.cancelled
}

func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	try := func() (io.Closer, error) { return Byte(path, 0x44) }
	var first, second Held
	clock := &stopped{deadline: alarm.Instant(time.Second)}
	if err := first.Wait(t.Context(), clock, try); err != nil || clock.now != 0 {
		t.Fatalf("%v, waited %v for what is free", err, clock.now)
	}
	err := second.Wait(t.Context(), clock, try)
	if !errors.Is(err, ErrLocked) || errors.Is(err, context.DeadlineExceeded) || sensors.ReasonOf(err) != sensors.Busy || !strings.Contains(err.Error(), "didn't end within 1s") {
		t.Errorf("got %v (%s)", err, sensors.ReasonOf(err))
	}
	clock.deadline, clock.cancelled = clock.deadline.Add(time.Minute), context.Canceled
	if err := second.Wait(t.Context(), clock, try); err != context.Canceled {
		t.Errorf("got %v, want the context's own error", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Wait(t.Context(), clock, try); err != nil {
		t.Error(err)
	}
	if err := errors.Join(second.Close(), second.Close()); err != nil {
		t.Error(err)
	}
}

func TestByteFails(t *testing.T) {
	if _, err := Byte(filepath.Join(t.TempDir(), "none"), 0); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "open ") {
		t.Errorf("got %v", err)
	}
}
