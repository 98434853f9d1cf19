package poll

import (
	"iter"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/agenda"
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
		plan := p.agendaAt(from, at(from), configured)
		var due []*agenda.Entry[int]
		for !plan.Next().IsZero() {
			t := plan.Next()
			due = due[:0]
			for e := plan.Pop(t); e != nil; e = plan.Pop(t) {
				due = append(due, e)
			}
			slices.SortFunc(due, func(a, b *agenda.Entry[int]) int { return a.Of - b.Of })
			w := PlannedWake{At: t, Sensors: make([]string, len(due))}
			for i, e := range due {
				w.Sensors[i] = configured[e.Of].cfg.Name
				e.Plan(t, t, at(t))
				plan.Add(e)
			}
			if !yield(w) {
				return
			}
		}
	}
}

// agendaAt is the agenda as it will be at from, when the wall clock shows wall,
// with an entry for each of the sensors: its place among them.
func (p *Poller) agendaAt(from sensors.Instant, wall time.Time, configured []*sensor) agenda.Agenda[int] {
	planned := map[string]sensors.Instant{}
	if s := p.latest.Load(); s != nil {
		for i := range s.Results {
			planned[s.Results[i].Name] = s.Results[i].NextRead
		}
	}
	plan := agenda.New[int]()
	for i, s := range configured {
		e := agenda.NewEntry(i, s.cfg.Schedule)
		switch next := planned[s.cfg.Name]; {
		case e.Calendar():
			e.Replan(from, wall)
		case next.After(from):
			e.PlanAfter(from)
			e.Next = next // which may be a further try of a sensor that is down
		default:
			e.PlanAfter(from)
		}
		plan.Add(&e)
	}
	return plan
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
