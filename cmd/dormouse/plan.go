package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll"
	"example.org/dormouse/sensors/poll/timetable"
)

// A horizon is how far a plan reaches: a duration from now, or a date with or
// without the time of day.
type horizon struct {
	text  string
	after time.Duration // where at is zero
	at    time.Time
}

// mostPlanned bounds the work of a plan: it is a sensor's longest interval.
const mostPlanned = 366 * 24 * time.Hour

func (h *horizon) Set(text string) error {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			*h = horizon{text: text, at: at}
			return nil
		}
	}
	d, err := duration.Parse(text)
	if err != nil || d == 0 {
		return fmt.Errorf("%q is neither a duration, as in 12h or 30d, nor a date, as in 2027-03-28 or \"2027-03-28 04:00\"", text)
	}
	*h = horizon{text: text, after: d}
	return nil
}

func (h *horizon) String() string { return h.text }

// from gives the end of a plan that begins at now, when the wall clock shows
// wall; known is false where that isn't true.
func (h *horizon) from(now sensors.Instant, wall time.Time, known bool) (sensors.Instant, error) {
	length := h.after
	if !h.at.IsZero() {
		if !known {
			return 0, fmt.Errorf("--until=%s: the clock of this machine isn't set: give a duration, as in 7d", h.text)
		}
		length = h.at.Sub(wall)
	}
	if length <= 0 || length > mostPlanned {
		return 0, usageError{fmt.Errorf("--until=%s is not within the next 366 days", h.text)}
	}
	return now.Add(length), nil
}

// printPlan prints the wakes of the configuration, as if it started now.
func (s *settings) printPlan(ctx context.Context, w io.Writer, until horizon) error {
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer clock.Close()
	poller, err := poll.New(poll.Options{Config: cfg, Board: openBoard(s.board, clock), Clock: clock})
	if err != nil {
		return err
	}
	now := clock.Now()
	wall, known := clock.Wall(now)
	end, err := until.from(now, wall, known)
	if err != nil {
		return err
	}
	table, err := timetable.New(ctx, poller, cfg, clock, now, end)
	if err != nil {
		return err
	}
	return table.WriteText(w)
}
