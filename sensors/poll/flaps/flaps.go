// Package flaps decides what of a state's changes is logged: each, or where they
// are many, one line an hour.
package flaps

import (
	"log/slog"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// A flapping state is one that changes often. Its changes are logged one by one
// only up to the last of Most within an hour.
const (
	Most     = 6
	flapHour = time.Hour
)

// A Log logs the changes of one state. Its zero value is of a state that is good.
// It has no clock: whoever has read the sensor asks it.
type Log struct {
	bad      bool                  // the state
	last     [Most]sensors.Instant // changes, used in turn
	next     int
	flapping bool

	// Of the hour that is counted.
	since                  sensors.Instant
	changes, reads, failed int
}

// Note takes the state as a read at the time now found it, and logs what is to be
// said of it. what is the state's name; change logs that it is bad now, or good
// again. err is why it is bad.
func (f *Log) Note(log *slog.Logger, what string, now sensors.Instant, err error, change func(bad bool)) {
	bad := err != nil
	changed := bad != f.bad
	f.bad = bad
	if !f.flapping {
		f.noteCalm(log, what, now, changed, err, change)
		return
	}
	f.reads++
	if changed {
		f.changes++
	}
	if bad {
		f.failed++
	}
	if now.Sub(f.since) < flapHour {
		return
	}
	counts := []any{"changes", f.changes, "reads", f.reads, "failed", f.failed, "in", duration.Format(now.Sub(f.since).Round(time.Second))}
	if f.changes >= Most {
		f.since, f.changes, f.reads, f.failed = now, 0, 0, 0
		log.Warn(what+" still flaps", counts...)
		return
	}
	*f = Log{bad: bad}
	log.Info(what+" no longer flaps", counts...)
	if bad {
		change(bad)
	}
}

func (f *Log) noteCalm(log *slog.Logger, what string, now sensors.Instant, changed bool, err error, change func(bad bool)) {
	if !changed {
		return
	}
	oldest := f.last[f.next]
	f.last[f.next] = now
	f.next = (f.next + 1) % Most
	if oldest.IsZero() || now.Sub(oldest) >= flapHour {
		change(f.bad)
		return
	}
	f.flapping, f.since = true, now
	attrs := []any{"changes", Most + 1, "in", duration.Format(now.Sub(oldest).Round(time.Second))}
	if err != nil {
		attrs = append(attrs, "err", err)
	}
	log.Warn(what+" flaps between failure and success: from now on its changes are counted, and logged once an hour", attrs...)
}
