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

// parseCron checks a cron expression and puts one blank between its fields.
// The check is ours because gronx looks at the parts of a list only until one
// is due: whether it finds 0,61 wrong depends on the time of day. What gronx
// knows beyond crontab(5) (seconds, years, @daily, L, W, #) is refused.
func parseCron(text string) (string, error) {
	fields := strings.Fields(text)
	if len(fields) != len(cronFields) {
		return "", fmt.Errorf(`%q isn't five fields (minute, hour, day, month, weekday): write them in double quotes, as in "30 3 * * *"`, text)
	}
	for i, f := range cronFields {
		for _, part := range strings.Split(fields[i], ",") {
			if !cronPart(part, f.min, f.max, f.words) {
				return "", fmt.Errorf("%q is no cron expression: %q is no %s, which is *, N, N-M, each also with a step as in */2, or a list of them with commas; N is %d to %d", text, part, f.name, f.min, f.max)
			}
		}
	}
	expr := strings.Join(fields, " ")
	// From a leap year's beginning on, so that 29 February is seen to come.
	if _, err := gronx.NextTickAfter(expr, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), true); err != nil {
		return "", fmt.Errorf("%q never comes: there is no such day", text)
	}
	return expr, nil
}

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
