package exporter

import (
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// timesOf are the series of the page that are times of our own, by their names.
func timesOf(t *testing.T, e *Exporter) map[string]float64 {
	times := map[string]float64{}
	page := scrape(e)
	for name, family := range parse(t, page) {
		if strings.HasSuffix(name, "_timestamp_seconds") || strings.HasSuffix(name, "_time_seconds") {
			for _, m := range family.GetMetric() {
				key := name
				for _, l := range m.GetLabel() {
					key += " " + l.GetValue()
				}
				times[key] = m.GetGauge().GetValue()
			}
		}
	}
	return times
}

// Every time on the page follows the wall clock at the next scrape, also that of
// a reading: after the clock was stepped, and when it is set for the first time.
func TestTimesFollowTheClock(t *testing.T) {
	clock := newClock()
	s := exampleSnapshot()
	s.Results[0].Readings = append(s.Results[0].Readings, sensors.Reading{Quantity: sensors.CountedSince, At: boot})
	e := newExporter(s, clock)
	before := timesOf(t, e)
	const last, since = "sensor_last_change_timestamp_seconds door", "sensor_counted_since_timestamp_seconds greenhouse greenhouse"
	if len(before) < 6 || before[last] == 0 || before[since] == 0 {
		t.Fatalf("times %v", before)
	}
	const by = 14 * 24 * time.Hour
	clock.wall = clock.wall.Add(by)
	for name, at := range timesOf(t, e) {
		if d := at - before[name]; d < by.Seconds()-0.002 || d > by.Seconds()+0.002 {
			t.Errorf("the clock was set by %v s, and %s has moved by %v", by.Seconds(), name, d)
		}
	}
	for _, g := range JSON(s, clock).Sensors[0].Readings {
		if g.Quantity == "counted_since_timestamp" && (g.Value == nil || *g.Value != before[since]+by.Seconds()) {
			t.Errorf("the JSON has %v", g.Value)
		}
	}
	clock.blind = true
	if times := timesOf(t, e); len(times) > 0 {
		t.Errorf("while the clock can't be true the page has %v", times)
	}
	if text := JSON(s, clock).Sensors[0].Readings; text[len(text)-1].Value != nil || text[len(text)-1].Text != "unknown until the clock is set" {
		t.Errorf("while the clock can't be true the JSON has %+v", text[len(text)-1])
	}
	clock.blind = false
	if again := timesOf(t, e); len(again) != len(before) {
		t.Errorf("when the clock is set the page has %v", again)
	}
}

// What lies between the readings of two clocks doesn't make a time on the page
// change from one Snapshot to the next.
func TestTimesAreSteady(t *testing.T) {
	clock := newClock()
	e := newExporter(exampleSnapshot(), clock)
	before := timesOf(t, e)
	for _, by := range []time.Duration{3 * time.Millisecond, -5 * time.Millisecond, 400 * time.Millisecond} {
		clock.wall = clock.wall.Add(by)
		e.Publish(exampleSnapshot())
		for name, at := range timesOf(t, e) {
			if at != before[name] {
				t.Errorf("%s has moved by %v", name, at-before[name])
			}
		}
	}
}

// A run that is planned for a whole minute is shown at it, although the two
// clocks are never read at the same moment.
func TestTimesAreToTheNearestMillisecond(t *testing.T) {
	for _, off := range []time.Duration{-300 * time.Nanosecond, 300 * time.Nanosecond} {
		clock := newClock()
		s := exampleSnapshot()
		at := clock.wall.Truncate(time.Minute).Add(15 * time.Minute)
		s.Results[0].NextRead = clock.now.Add(at.Sub(clock.wall) + off)
		const name = "dormouse_sensor_next_read_timestamp_seconds "
		if got := timesOf(t, newExporter(s, clock))[name+s.Results[0].Name]; got != float64(at.Unix()) {
			t.Errorf("off by %v: the page has %.4f, not %d", off, got, at.Unix())
		}
		if got := JSON(s, clock).Sensors[0].NextRead; got == nil || !got.Equal(at) {
			t.Errorf("off by %v: the JSON has %v, not %v", off, got, at)
		}
	}
}

// What a program prints as a Unix time, and can't be one, stays a number.
func TestTextOfUnixTimes(t *testing.T) {
	for value, want := range map[float64]string{
		0: time.Unix(0, 0).Format(time.DateTime), -1: time.Unix(-1, 0).Format(time.DateTime), 1.5e9: time.Unix(1.5e9, 0).Format(time.DateTime),
		1e15: "1000000000000000.000 s", -1e20: "-100000000000000000000.000 s",
	} {
		s := &sensors.Snapshot{Results: []sensors.Result{{Name: "a", Readings: []sensors.Reading{{Quantity: sensors.LastChange, Value: value}}}}}
		if got := JSON(s, newClock()).Sensors[0].Readings[0].Text; got != want {
			t.Errorf("%v is shown as %s, want %s", value, got, want)
		}
	}
}
