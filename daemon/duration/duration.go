// Package duration reads and writes durations as flags, the configuration and
// messages have them: 50ms, 5m, 1h30m, 2d.
package duration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads 50ms, 5m, 1h30m, and days: 1d12h. A duration is at most
// 366 days and isn't negative.
func Parse(text string) (time.Duration, error) {
	rest, days := text, 0
	number, after, inDays := strings.Cut(text, "d")
	if inDays {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // then n is the largest there is
			return 0, malformed(text)
		}
		rest, days = after, int(n)
	}
	var v time.Duration
	if rest != "" || !inDays {
		var err error
		if v, err = time.ParseDuration(rest); err != nil {
			return 0, malformed(text)
		}
	}
	const most = 366 * 24 * time.Hour
	if v < 0 || v > most || days > 366 || v+time.Duration(days)*24*time.Hour > most {
		return 0, fmt.Errorf("%q is outside 0s to 366d", text)
	}
	return v + time.Duration(days)*24*time.Hour, nil
}

// Format writes a duration as a configuration would: 5m, 366d.
func Format(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func malformed(text string) error {
	if text != "" && strings.Trim(text, "0123456789.") == "" {
		return fmt.Errorf("%q has no unit: write %ss for seconds or %sm for minutes", text, text, text)
	}
	return fmt.Errorf("%q is not a duration: write 50ms, 30s, 5m, 1h30m or 2d", text)
}
