// Package timetable lists the wakes to come of a configuration up to a horizon:
// how many reads there are of each sensor, when the first ones are, and which
// sensors are read in one wake.
package timetable

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
	"example.org/dormouse/sensors/poll/agenda"
)

// A Table is the wakes of a configuration between two times.
type Table struct {
	cfg   *config.Config
	clock *alarm.Clock
	begin sensors.Instant
	end   sensors.Instant
	wakes int
	first []agenda.Wake                // a few
	reads map[string][]sensors.Instant // by sensor, a few
	count map[string]int               // by sensor, all
}

const (
	shownWakes = 20
	shownReads = 3 // of each sensor
)

// New collects the wakes of the poller, which has the configuration, from begin
// until end. The error is that of a context that ended before.
func New(ctx context.Context, poller *poll.Poller, cfg *config.Config, clock *alarm.Clock, begin, end sensors.Instant) (*Table, error) {
	t := &Table{cfg: cfg, clock: clock, begin: begin, end: end, reads: map[string][]sensors.Instant{}, count: map[string]int{}}
	for wake := range poller.Plan(begin) {
		if wake.At.After(end) {
			break
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the plan was interrupted (%w): a shorter --until takes less time", context.Cause(ctx))
		}
		t.add(wake)
	}
	return t, nil
}

func (t *Table) add(wake agenda.Wake) {
	t.wakes++
	if len(t.first) < shownWakes {
		t.first = append(t.first, wake)
	}
	for _, name := range wake.Sensors {
		t.count[name]++
		if len(t.reads[name]) < shownReads {
			t.reads[name] = append(t.reads[name], wake.At)
		}
	}
}

// WriteText writes each sensor with its first reads, and the first wakes. What is
// read at the start is in neither.
func (t *Table) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(tw, "Until %s, after the reads at the start:\n\n", t.format(t.end))
	fmt.Fprintln(tw, "SENSOR\tSCHEDULE\tREADS\tNEXT")
	for _, sensor := range t.cfg.Sensors {
		var times []string
		for _, at := range t.reads[sensor.Name] {
			times = append(times, t.format(at))
		}
		if len(times) < t.count[sensor.Name] {
			times = append(times, "…")
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\n", sensor.Name, sensor.Schedule, t.count[sensor.Name], strings.Join(times, ", "))
	}
	fmt.Fprintf(tw, "\n%d wakes, the first of them:\n\n", t.wakes)
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, wake := range t.first {
		if _, err := fmt.Fprintf(w, "%s   %s\n", t.format(wake.At), strings.Join(wake.Sensors, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// format is the wall-clock time, rounded since two clocks are never read at the
// same moment; the time from now where the clock isn't set.
func (t *Table) format(at sensors.Instant) string {
	wall, ok := t.clock.Wall(at)
	if !ok {
		return "in " + duration.Format(at.Sub(t.begin).Round(time.Second))
	}
	return wall.Round(time.Second).Format(time.DateTime)
}
