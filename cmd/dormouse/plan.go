package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// A horizon is how far a plan reaches: a duration from now, or a date with or
// without the time of day.
type horizon struct {
	text  string
	after time.Duration // where at is zero
	at    time.Time
}

// mostPlanned bounds the work of a plan: it is a sensor's longest interval.
const mostPlanned = 366 * 24 * time.Hour

func (h *horizon) Set(text string) error {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			*h = horizon{text: text, at: at}
			return nil
		}
	}
	d, err := sensors.ParseDuration(text)
	if err != nil || d == 0 {
		return fmt.Errorf("%q is neither a duration, as in 12h or 30d, nor a date, as in 2027-03-28 or \"2027-03-28 04:00\"", text)
	}
	*h = horizon{text: text, after: d}
	return nil
}

func (h *horizon) String() string { return h.text }

// from gives the end of a plan that begins at now, when the wall clock shows
// wall; known is false where that isn't true.
func (h *horizon) from(now sensors.Instant, wall time.Time, known bool) (sensors.Instant, error) {
	length := h.after
	if !h.at.IsZero() {
		if !known {
			return 0, fmt.Errorf("--until=%s: the clock of this machine isn't set: give a duration, as in 7d", h.text)
		}
		length = h.at.Sub(wall)
	}
	if length <= 0 || length > mostPlanned {
		return 0, usageError{fmt.Errorf("--until=%s is not within the next 366 days", h.text)}
	}
	return now.Add(length), nil
}

// A plan is the wakes of a configuration up to a horizon.
type plan struct {
	cfg   *config.Config
	clock *alarm.Clock
	begin sensors.Instant
	end   sensors.Instant
	wakes int
	first []poll.PlannedWake           // a few
	reads map[string][]sensors.Instant // by sensor, a few
	count map[string]int               // by sensor, all
}

const (
	shownWakes = 20
	shownReads = 3 // of each sensor
)

// printPlan prints the wakes of the configuration, as if it started now.
func (s *settings) printPlan(ctx context.Context, w io.Writer, until horizon) error {
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer clock.Close()
	poller, err := poll.New(poll.Options{Config: cfg, Board: openBoard(s.board, clock), Clock: clock})
	if err != nil {
		return err
	}
	p := &plan{cfg: cfg, clock: clock, begin: clock.Now(), reads: map[string][]sensors.Instant{}, count: map[string]int{}}
	wall, known := clock.Wall(p.begin)
	if p.end, err = until.from(p.begin, wall, known); err != nil {
		return err
	}
	for wake := range poller.Plan(p.begin) {
		if wake.At.After(p.end) {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the plan was interrupted: %w", ctx.Err())
		}
		p.add(wake)
	}
	return p.print(w)
}

func (p *plan) add(wake poll.PlannedWake) {
	p.wakes++
	if len(p.first) < shownWakes {
		p.first = append(p.first, wake)
	}
	for _, name := range wake.Sensors {
		p.count[name]++
		if len(p.reads[name]) < shownReads {
			p.reads[name] = append(p.reads[name], wake.At)
		}
	}
}

// print prints each sensor with its first reads, and the first wakes. What is
// read at the start is in neither.
func (p *plan) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintf(tw, "Until %s, after the reads at the start:\n\n", p.format(p.end))
	fmt.Fprintln(tw, "SENSOR\tSCHEDULE\tREADS\tNEXT")
	for _, sensor := range p.cfg.Sensors {
		var times []string
		for _, at := range p.reads[sensor.Name] {
			times = append(times, p.format(at))
		}
		if len(times) < p.count[sensor.Name] {
			times = append(times, "…")
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\n", sensor.Name, schedule(sensor.Schedule), p.count[sensor.Name], strings.Join(times, ", "))
	}
	fmt.Fprintf(tw, "\n%d wakes, the first of them:\n\n", p.wakes)
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, wake := range p.first {
		if _, err := fmt.Fprintf(w, "%s   %s\n", p.format(wake.At), strings.Join(wake.Sensors, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// format is the wall-clock time, rounded since two clocks are never read at the
// same moment; the time from now where the clock isn't set.
func (p *plan) format(at sensors.Instant) string {
	wall, ok := p.clock.Wall(at)
	if !ok {
		return "in " + sensors.FormatDuration(at.Sub(p.begin).Round(time.Second))
	}
	return wall.Round(time.Second).Format(time.DateTime)
}
