package poll

import (
	"iter"
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

// Plan is the wakes after from, for ever or until no more are planned: those of
// a poller that is running, or of one that would be started then, after its
// first wake. Each wake is worked out when it is asked for. Times of the
// calendar are right unless the clock is stepped.
func (p *Poller) Plan(from sensors.Instant) iter.Seq[PlannedWake] {
	return func(yield func(PlannedWake) bool) {
		configured := p.set.Load().sensors
		at := p.wallTimes()
		plan, entries := p.agendaAt(from, at(from), configured)
		index := make(map[*entry]int, len(entries))
		for i := range entries {
			index[&entries[i]] = i
		}
		var due []int
		for !plan.next().IsZero() {
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
			if !yield(w) {
				return
			}
		}
	}
}

// agendaAt is the agenda as it will be at from, when the wall clock shows wall,
// with its entries in the order of the configuration.
func (p *Poller) agendaAt(from sensors.Instant, wall time.Time, configured []*sensor) (agenda, []entry) {
	planned := map[string]sensors.Instant{}
	if s := p.latest.Load(); s != nil {
		for i := range s.Results {
			planned[s.Results[i].Name] = s.Results[i].NextRead
		}
	}
	plan := newAgenda()
	entries := make([]entry, len(configured))
	for i, s := range configured {
		e := &entries[i]
		e.every, e.phase, e.slack, e.cron, e.moved = s.every, s.phase, s.slack, s.cron, s.moved
		switch next := planned[s.cfg.Name]; {
		case e.cron != nil:
			e.replan(from, wall)
		case next.After(from):
			e.next = next
		default:
			e.next = e.slot(from)
		}
		plan.add(e)
	}
	return plan, entries
}

// wallTimes gives what the wall clock will show at an Instant; zero where it
// isn't true.
func (p *Poller) wallTimes() func(sensors.Instant) time.Time {
	now := p.clock.Now()
	wall, known := p.clock.Wall(now)
	return func(t sensors.Instant) time.Time {
		if !known {
			return time.Time{}
		}
		return wall.Add(t.Sub(now))
	}
}
