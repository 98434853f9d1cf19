package poll

import (
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// An agenda knows which sensor is due next and which may be read with it. It
// is two binary heaps over the same entries, so that planning costs O(log n)
// for each read.
type agenda struct{ late, early heap }

func newAgenda() agenda { return agenda{late: heap{by: byLate}, early: heap{by: byEarly}} }

// add plans e for e.next; an entry without a next time isn't planned.
func (a *agenda) add(e *entry) {
	if e.next.IsZero() || e.planned() {
		return
	}
	e.key[byLate], e.key[byEarly] = e.next, e.next.Add(-e.slack)
	a.late.add(e)
	a.early.add(e)
}

// remove takes e off the plan.
func (a *agenda) remove(e *entry) {
	if e.planned() {
		a.late.remove(e)
		a.early.remove(e)
	}
}

// next is when the most urgent entry is due; zero: nothing is planned.
func (a *agenda) next() sensors.Instant {
	if len(a.late.entries) == 0 {
		return 0
	}
	return a.late.entries[0].next
}

// pop takes off an entry that may be read at the time now, nil where there is
// none.
func (a *agenda) pop(now sensors.Instant) *entry {
	if len(a.early.entries) == 0 || a.early.entries[0].key[byEarly].After(now) {
		return nil
	}
	e := a.early.entries[0]
	a.remove(e)
	return e
}

// An entry is one sensor's place in the agenda.
type entry struct {
	every, phase time.Duration
	slack        time.Duration
	cron         *config.Cron
	moved        time.Duration // of cron: how much later it is read
	target       time.Time     // of cron: its time that next stands for, before it is moved
	served       time.Time     // of cron: the last target that was read
	due          time.Time     // of cron: when served was, moved as it was then

	next   sensors.Instant
	sensor *sensor
	key    [2]sensors.Instant
	place  [2]int // in each heap, counted from 1; 0: not in it
}

const (
	byLate  = iota // when it is due
	byEarly        // when it may be read with others
)

const (
	mostSlack = 30 * time.Second
	// stepBack is how far the wall clock may be stepped back for what was read
	// to count as read; cron(8) draws the line at the same place.
	stepBack = 3 * time.Hour
)

func newEntry(s config.Schedule) entry {
	if s.At != nil {
		return entry{cron: s.At, moved: s.Moved}
	}
	return entry{every: s.Every, phase: (s.Phase + s.Moved) % s.Every, slack: min(s.Every/10, mostSlack)}
}

// resume goes on where the entry of the same sensor before a reload ended. A
// time of the same expression that was still to come isn't lost when another
// jitter puts it into the past, and one that was read doesn't come back.
func (e *entry) resume(o *entry) {
	e.served, e.due = o.served, o.due
	if e.cron != nil && o.cron != nil && e.cron.String() == o.cron.String() {
		e.target = o.target
	}
}

func (e *entry) planned() bool { return e.place[byLate] > 0 }

// plan sets the next time after a read that began at the time began and ended
// at now. wall shows now on the wall clock; zero: not known.
func (e *entry) plan(began, now sensors.Instant, wall time.Time) {
	if e.cron == nil {
		e.next = e.slot(max(began.Add(e.slack), now))
		return
	}
	if wall.IsZero() || e.passed(wall) {
		e.served, e.due = e.target, e.target.Add(e.moved) // else it was read for another reason
	}
	if wall.IsZero() {
		e.target, e.next = time.Time{}, 0
		return
	}
	e.planCron(now, wall)
}

// slot is the grid's first point after t.
func (e *entry) slot(t sensors.Instant) sensors.Instant {
	since := t.Sub(0) - e.phase
	n := since / e.every
	if since >= 0 {
		n++
	}
	return sensors.Instant(e.phase + n*e.every)
}

// replan computes a cron entry's time again: at the start, after a step of the
// wall clock, and when it rings. A time that was stepped over is now.
func (e *entry) replan(now sensors.Instant, wall time.Time) {
	switch {
	case e.cron == nil:
	case wall.IsZero():
		e.next = 0
	case !e.target.IsZero() && e.passed(wall):
		e.next = now
	default:
		e.planCron(now, wall)
	}
}

// early is how far before its wall-clock time an entry may be read: two clocks
// are never read at the same moment.
const early = time.Millisecond

// passed tells whether it is time for the target, or later.
func (e *entry) passed(wall time.Time) bool {
	return !e.target.Add(e.moved).After(wall.Add(early))
}

func (e *entry) planCron(now sensors.Instant, wall time.Time) {
	steppedBack := e.due.Sub(wall)
	wall = wall.Add(-e.moved) // on the calendar that the expression is of
	after := wall
	if e.served.After(wall) && steppedBack <= stepBack {
		after = e.served
	}
	t, ok := e.cron.Next(after)
	if !ok {
		e.target, e.next = time.Time{}, 0
		return
	}
	e.target, e.next = t, now.Add(t.Sub(wall))
}

// heap is a binary heap of entries by one of their keys. It is written out
// because container/heap can't remove without boxing, and knows no place.
type heap struct {
	by      int
	entries []*entry
}

func (h *heap) add(e *entry) {
	h.entries = append(h.entries, e)
	e.place[h.by] = len(h.entries)
	h.up(len(h.entries) - 1)
}

func (h *heap) remove(e *entry) {
	i, last := e.place[h.by]-1, len(h.entries)-1
	h.swap(i, last)
	h.entries[last] = nil
	h.entries = h.entries[:last]
	e.place[h.by] = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *heap) before(i, j int) bool {
	return h.entries[i].key[h.by].Before(h.entries[j].key[h.by])
}

func (h *heap) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].place[h.by], h.entries[j].place[h.by] = i+1, j+1
}

func (h *heap) up(i int) {
	for i > 0 && h.before(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *heap) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h.entries) && h.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
