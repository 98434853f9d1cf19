package duration

import (
	"strings"
	"testing"
	"time"
)

const minute = time.Minute

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"50ms": 50 * time.Millisecond, "5m": 5 * minute, "1h30m": 90 * minute, "1d": 24 * time.Hour,
		"1d12h": 36 * time.Hour, "366d": 366 * 24 * time.Hour, "0": 0, "0d": 0, "0d12h": 12 * time.Hour, "1.5h": 90 * minute, "5µs": 5 * time.Microsecond,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"5": `write 5s for seconds or 5m for minutes`, "1.5": "write 1.5s", "": "is not a duration", "soon": "is not a duration",
		"NaN": "is not a duration", "inf": "is not a duration", "5min": "is not a duration", "1.5d": "is not a duration", "1d5": "is not a duration",
		"-5s": "outside 0s to 366d", "367d": "outside 0s to 366d", "366d1s": "outside 0s to 366d", "99999d": "outside 0s to 366d", "99999dx": "is not a duration",
		"1d-1h": "outside 0s to 366d", "9999999h": "is not a duration", "d": "is not a duration",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", minute: "1m", time.Hour: "1h", 90 * minute: "1h30m",
		10 * minute: "10m", 48 * time.Hour: "2d", 366 * 24 * time.Hour: "366d", 50 * time.Millisecond: "50ms", 61 * time.Second: "1m1s"} {
		if got := Format(d); got != want {
			t.Errorf("Format(%d) = %s, want %s", d, got, want)
		}
	}
}
