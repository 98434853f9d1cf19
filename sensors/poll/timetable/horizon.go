package timetable

import (
	"errors"
	"fmt"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// A Horizon is how far a plan reaches: a duration from now, or a date with or
// without the time of day.
type Horizon struct {
	text  string
	after time.Duration // where at is zero
	at    time.Time
}

// mostPlanned bounds the work of a plan: it is a sensor's longest interval.
const mostPlanned = 366 * 24 * time.Hour

// Set reads 12h, 30d, or a date; it is a flag's.
func (h *Horizon) Set(text string) error {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			*h = Horizon{text: text, at: at}
			return nil
		}
	}
	d, err := duration.Parse(text)
	if err != nil || d == 0 {
		return fmt.Errorf("%q is neither a duration, as in 12h or 30d, nor a date, as in 2027-03-28 or \"2027-03-28 04:00\"", text)
	}
	*h = Horizon{text: text, after: d}
	return nil
}

func (h *Horizon) String() string { return h.text }

// ErrHorizon is a horizon in the past, or beyond the next 366 days.
var ErrHorizon = errors.New("is not within the next 366 days")

// End is the end of a plan that begins at now, when the wall clock shows wall;
// known is false where the wall clock isn't plausible.
func (h *Horizon) End(now sensors.Instant, wall time.Time, known bool) (sensors.Instant, error) {
	length := h.after
	if !h.at.IsZero() {
		if !known {
			return 0, fmt.Errorf("%s: the clock of this machine isn't set: give a duration, as in 7d", h.text)
		}
		length = h.at.Sub(wall)
	}
	if length <= 0 || length > mostPlanned {
		return 0, fmt.Errorf("%s %w", h.text, ErrHorizon)
	}
	return now.Add(length), nil
}
