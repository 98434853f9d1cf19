package poll

import (
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// A cron is a time of the calendar, in local time.
type cron struct {
	expr string
	// follows says that the hour begins with "*": then a repeated hour is
	// served twice, and one that summer time skips not at all.
	follows bool
}

func parseCron(expr string) (*cron, error) {
	if !gronx.IsValid(expr) {
		return nil, fmt.Errorf("%q is no cron expression: write minute, hour, day of month, month, day of week, as in \"30 3 * * *\"", expr)
	}
	fields, err := gronx.Segments(expr)
	if err != nil {
		return nil, fmt.Errorf("%q is no cron expression: %w", expr, err)
	}
	return &cron{expr: expr, follows: strings.HasPrefix(fields[2], "*")}, nil
}

// next is the first time after t, in t's location; ok is false where there is
// none. The library is asked in zones of a fixed offset, one after the other,
// and what happens between them is decided here: see the package comment.
func (c *cron) next(t time.Time) (at time.Time, ok bool) {
	t = t.Round(0)
	for including := false; ; {
		_, offset := t.Zone()
		from, until := t.ZoneBounds()
		n, err := c.search(t, offset, including)
		if err != nil {
			return time.Time{}, false
		}
		if until.IsZero() || n.Before(until) {
			if !c.follows && n.Before(from.Add(repeated(from, offset))) {
				t, including = n, false // its hour has been before
				continue
			}
			return n, true
		}
		if gap := skipped(until, offset); !c.follows && gap > 0 {
			if n, err := c.search(until, offset, true); err == nil && n.Before(until.Add(gap)) {
				return until, true
			}
		}
		t, including = until, true
	}
}

// search asks the library for the first time after t, or from t on, where the
// local time is offset seconds ahead of UTC throughout.
func (c *cron) search(t time.Time, offset int, including bool) (time.Time, error) {
	n, err := gronx.NextTickAfter(c.expr, t.In(time.FixedZone("", offset)), including)
	return n.In(t.Location()), err
}

// repeated is how much local time comes a second time from the change of
// offset at from on.
func repeated(from time.Time, offset int) time.Duration {
	if from.IsZero() {
		return 0
	}
	_, before := from.Add(-1).Zone()
	return max(0, time.Duration(before-offset)*time.Second)
}

// skipped is how much local time there isn't at the change of offset at until.
func skipped(until time.Time, offset int) time.Duration {
	if until.IsZero() {
		return 0
	}
	_, after := until.Zone()
	return max(0, time.Duration(after-offset)*time.Second)
}
