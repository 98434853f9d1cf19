package agenda

import (
	"iter"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// A Wake is one to come, with the sensors that it will read, in the order of the
// configuration.
type Wake struct {
	At      sensors.Instant
	Sensors []string
}

// Plan is the wakes after from, for ever or until no more are planned: those
// after a Snapshot, or, where that is nil, of a poller that would be started
// then, after its first wake. Each wake is worked out when it is asked for. wall
// is what the wall clock will show; the zero Time: that isn't known.
func Plan(all []*config.Sensor, shown *sensors.Snapshot, wall func(sensors.Instant) time.Time, from sensors.Instant) iter.Seq[Wake] {
	return func(yield func(Wake) bool) {
		plan := at(all, shown, from, wall(from))
		var due []*Entry[int]
		for !plan.Next().IsZero() {
			t := plan.Next()
			due = due[:0]
			for e := plan.Pop(t); e != nil; e = plan.Pop(t) {
				due = append(due, e)
			}
			slices.SortFunc(due, func(a, b *Entry[int]) int { return a.Of - b.Of })
			w := Wake{At: t, Sensors: make([]string, len(due))}
			for i, e := range due {
				w.Sensors[i] = all[e.Of].Name
				e.Plan(t, t, wall(t))
				plan.Add(e)
			}
			if !yield(w) {
				return
			}
		}
	}
}

// at is the agenda as it will be at from, when the wall clock shows wall, with an
// entry for each of the sensors: its place among them.
func at(all []*config.Sensor, shown *sensors.Snapshot, from sensors.Instant, wall time.Time) Agenda[int] {
	planned := map[string]sensors.Instant{}
	if shown != nil {
		for i := range shown.Results {
			planned[shown.Results[i].Name] = shown.Results[i].NextRead
		}
	}
	plan := New[int]()
	for i, s := range all {
		e := NewEntry(i, s.Schedule)
		switch next := planned[s.Name]; {
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
