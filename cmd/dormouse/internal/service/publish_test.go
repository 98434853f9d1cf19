package service

import (
	"fmt"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// wallClock shows Instants as times since the beginning of 2026; set is false
// while that isn't known.
type wallClock struct{ set bool }

func (wallClock) Now() sensors.Instant { return 0 }

func (c wallClock) Wall(at sensors.Instant) (time.Time, bool) {
	if at.IsZero() {
		return time.Time{}, false
	}
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(at)), c.set
}

// The dump has values and times as they are, and nothing instead of what has no
// value or isn't known.
func TestStateOf(t *testing.T) {
	r := &sensors.Result{Name: "door", Driver: "switch", Wiring: "GPIO27", Up: true, Reads: 3, Readings: []sensors.Reading{
		{Quantity: sensors.Transitions, Value: 2},
		{Quantity: sensors.LastChange, At: sensors.Instant(time.Hour)},
		{Quantity: sensors.Temperature.With("channel"), Value: 21.5, Labels: []string{"t1"}},
		{Quantity: &sensors.Quantity{Name: "latency", Kind: sensors.Histogram}, Dist: &sensors.Distribution{Count: 1}},
	}}
	const sensor = "[sensor door driver switch wiring GPIO27 up true reads 3 transitions 2.00 "
	for _, tt := range []struct {
		clock wallClock
		want  string
	}{
		{wallClock{set: true}, sensor + "last_change_timestamp 2026-01-01T01:00:00Z temperature/t1 21.50 °C]"},
		{wallClock{set: false}, sensor + "temperature/t1 21.50 °C]"},
	} {
		if got := fmt.Sprint(stateOf(r, tt.clock)); got != tt.want {
			t.Errorf("with the clock set: %v: got\n%s, want\n%s", tt.clock.set, got, tt.want)
		}
	}
}
