package poll

import (
	"slices"
	"time"

	"example.org/dormouse/sensors"
)

// A PlannedWake is a wake to come, with the sensors that it will read, in the
// order of the configuration.
type PlannedWake struct {
	At      sensors.Instant
	Sensors []string
}

// Plan is the next n wakes after from, fewer where no more are planned: those
// of a poller that is running, or of one that would be started then, after its
// first wake. Times of the calendar are right while nobody steps the clock.
func (p *Poller) Plan(from sensors.Instant, n int) []PlannedWake {
	configured := p.set.Load().sensors
	planned := map[string]sensors.Instant{}
	if s := p.latest.Load(); s != nil {
		for i := range s.Results {
			planned[s.Results[i].Name] = s.Results[i].NextRead
		}
	}
	now := p.clock.Now()
	wall, known := p.clock.Wall(now)
	at := func(t sensors.Instant) time.Time {
		if !known {
			return time.Time{}
		}
		return wall.Add(t.Sub(now))
	}

	plan := newAgenda()
	entries := make([]entry, len(configured))
	index := make(map[*entry]int, len(configured))
	for i, s := range configured {
		e := &entries[i]
		e.every, e.phase, e.slack, e.cron, e.moved = s.every, s.phase, s.slack, s.cron, s.moved
		index[e] = i
		switch next := planned[s.cfg.Name]; {
		case e.cron != nil:
			e.replan(from, at(from))
		case next.After(from):
			e.next = next
		default:
			e.next = e.slot(from)
		}
		plan.add(e)
	}

	var wakes []PlannedWake
	var due []int
	for len(wakes) < n && !plan.next().IsZero() {
		t := plan.next()
		due = due[:0]
		for e := plan.pop(t); e != nil; e = plan.pop(t) {
			due = append(due, index[e])
		}
		slices.Sort(due)
		w := PlannedWake{At: t, Sensors: make([]string, len(due))}
		for i, j := range due {
			w.Sensors[i] = configured[j].cfg.Name
			entries[j].plan(t, t, at(t))
			plan.add(&entries[j])
		}
		wakes = append(wakes, w)
	}
	return wakes
}
