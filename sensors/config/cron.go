package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// cronFields are the fields of a cron expression, as crontab(5) has them.
var cronFields = [5]struct {
	name     string
	min, max int
	words    []string // instead of numbers, from min on
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"weekday", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// A Cron is the parsed form of a cron expression, in local time.
type Cron struct {
	expr string // five fields with one space between them
	// everyHour tells that the hour field begins with "*". An hour that the
	// change to standard time repeats is then served twice, and times in the
	// hour that daylight saving time skips are not made up for.
	everyHour bool
}

// ParseCron reads the five fields of crontab(5): minute, hour, day of month,
// month, day of week. An error says which part is wrong; an expression whose
// day never comes (30 February) is one.
//
// The fields are checked here because gronx looks at the parts of a list only
// until one is due: whether it refuses 0,61 depends on the time of day. What
// gronx accepts beyond crontab(5) (seconds, years, @daily, L, W, #) is refused.
func ParseCron(text string) (*Cron, error) {
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return nil, fmt.Errorf(`%q isn't five fields (minute, hour, day, month, weekday): write them in double quotes, as in "30 3 * * *"`, text)
	}
	for i, f := range cronFields {
		for _, part := range strings.Split(fields[i], ",") {
			if !cronPart(part, f.min, f.max, f.words) {
				return nil, fmt.Errorf("%q is not a cron expression: %q is not a valid %s: write *, N, N-M, each also with a step as in */2, or a list of them with commas; N is %d to %d", text, part, f.name, f.min, f.max)
			}
		}
	}
	c := &Cron{expr: strings.Join(fields, " "), everyHour: strings.HasPrefix(fields[1], "*")}
	// From the beginning of a leap year on, so that 29 February is found.
	if _, ok := c.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return nil, fmt.Errorf("%q never comes: there is no such day", text)
	}
	return c, nil
}

// String is the expression, with one space between its fields.
func (c *Cron) String() string { return c.expr }

// cronPart checks one element of a field's list.
func cronPart(part string, low, high int, words []string) bool {
	values, step, stepped := strings.Cut(part, "/")
	if n, err := strconv.ParseUint(step, 10, 16); stepped && (err != nil || n < 1 || int(n) > high) {
		return false
	}
	if values == "*" {
		return true
	}
	number := func(text string) (int, bool) {
		if i := slices.Index(words, strings.ToLower(text)); i >= 0 {
			return low + i, true
		}
		n, err := strconv.ParseUint(text, 10, 8)
		return int(n), err == nil && int(n) >= low && int(n) <= high
	}
	first, last, ranged := strings.Cut(values, "-")
	from, ok := number(first)
	if !ok || !ranged {
		return ok
	}
	to, ok := number(last)
	return ok && from <= to
}

// Next is the first time after t, in t's location; ok is false where there is
// none.
//
// Where daylight saving time skips an hour, what was planned in it is due at
// the end of the gap. Where an hour is repeated it is served once, unless the
// hour field begins with "*": such an expression follows the clock as it goes.
//
// The library is asked in zones of a fixed offset, one after the other, and
// what happens between them is decided here.
func (c *Cron) Next(t time.Time) (at time.Time, ok bool) {
	t = t.Round(0) // without the monotonic clock
	for including := false; ; {
		_, offset := t.Zone()
		from, until := t.ZoneBounds()
		n, err := c.search(t, offset, including)
		if err != nil {
			return time.Time{}, false
		}
		if until.IsZero() || n.Before(until) {
			if !c.everyHour && n.Before(from.Add(repeated(from, offset))) {
				t, including = n, false // its hour has been before
				continue
			}
			return n, true
		}
		if gap := skipped(until, offset); !c.everyHour && gap > 0 {
			if n, err := c.search(until, offset, true); err == nil && n.Before(until.Add(gap)) {
				return until, true
			}
		}
		t, including = until, true
	}
}

// search asks the library for the first time after t, or from t on, where the
// local time is offset seconds ahead of UTC throughout.
func (c *Cron) search(t time.Time, offset int, including bool) (time.Time, error) {
	n, err := gronx.NextTickAfter(c.expr, t.In(time.FixedZone("", offset)), including)
	return n.In(t.Location()), err
}

// repeated is how much local time comes a second time after the change of
// offset at from.
func repeated(from time.Time, offset int) time.Duration {
	if from.IsZero() {
		return 0
	}
	_, before := from.Add(-1).Zone()
	return max(0, time.Duration(before-offset)*time.Second)
}

// skipped is how much local time the change of offset at until leaves out.
func skipped(until time.Time, offset int) time.Duration {
	if until.IsZero() {
		return 0
	}
	_, after := until.Zone()
	return max(0, time.Duration(after-offset)*time.Second)
}
