// Package crontab tells when a cron expression comes, by crontab(5) alone and
// minute by minute: tests compare with it what the daemon's own calculation and
// its library plan.
package crontab

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// Matches tells whether a minute is one of the expression's: numbers, lists,
// ranges and steps; where neither day field begins with a star, either will do.
func Matches(t testing.TB, expr string, at time.Time) bool {
	t.Helper()
	fields := strings.Fields(expr)
	field := func(i, value int) bool {
		for part := range strings.SplitSeq(fields[i], ",") {
			span, text, stepped := strings.Cut(part, "/")
			step, low, high := 1, 0, 100
			if stepped {
				step = number(t, text)
			}
			if i == 2 || i == 3 { // days and months are counted from 1
				low = 1
			}
			if from, to, ok := strings.Cut(span, "-"); ok {
				low, high = number(t, from), number(t, to)
			} else if span != "*" {
				low = number(t, span)
				high = low
			}
			if value >= low && value <= high && (value-low)%step == 0 {
				return true
			}
		}
		return false
	}
	day, weekday := field(2, at.Day()), field(4, int(at.Weekday()))
	onDay := day && weekday
	if !strings.HasPrefix(fields[2], "*") && !strings.HasPrefix(fields[4], "*") {
		onDay = day || weekday
	}
	return field(0, at.Minute()) && field(1, at.Hour()) && field(3, int(at.Month())) && onDay
}

// Times are those of the expression after from and until to, in from's location.
// Of an hour that a change to standard time repeats the first alone counts,
// unless the hour field begins with a star (cron(8)). The time must not contain
// a change to daylight saving time.
func Times(t testing.TB, expr string, from, to time.Time) []time.Time {
	t.Helper()
	everyHour := strings.HasPrefix(strings.Fields(expr)[1], "*")
	var times []time.Time
	for m := from.Truncate(time.Minute).Add(time.Minute); !m.After(to); m = m.Add(time.Minute) {
		_, offset := m.Zone()
		_, before := m.Add(-time.Hour).Zone()
		if offset > before {
			t.Fatalf("daylight saving time begins at %v", m)
		}
		if Matches(t, expr, m) && (offset == before || everyHour) {
			times = append(times, m)
		}
	}
	return times
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
