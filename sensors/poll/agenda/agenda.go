// Package agenda plans what is to be done again and again: at an interval or by
// the calendar, as few wakes as possible for many entries, and exact over steps
// of the wall clock. It reads no clock itself.
package agenda

import (
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// An Agenda knows which entry is due next and which may be served with it. It
// is two binary heaps over the same entries, so that planning costs O(log n)
// for each read.
type Agenda[T any] struct{ late, early heap[T] }

// New is an Agenda in which nothing is planned.
func New[T any]() Agenda[T] {
	return Agenda[T]{late: heap[T]{by: byLate}, early: heap[T]{by: byEarly}}
}

// Add plans e for e.Next; an entry without a next time isn't planned.
func (a *Agenda[T]) Add(e *Entry[T]) {
	if e.Next.IsZero() || e.planned() {
		return
	}
	e.key[byLate], e.key[byEarly] = e.Next, e.Next.Add(-e.lead)
	a.late.add(e)
	a.early.add(e)
}

// Remove takes e off the plan.
func (a *Agenda[T]) Remove(e *Entry[T]) {
	if e.planned() {
		a.late.remove(e)
		a.early.remove(e)
	}
}

// Next is when the most urgent entry is due; zero: nothing is planned.
func (a *Agenda[T]) Next() sensors.Instant {
	if len(a.late.entries) == 0 {
		return 0
	}
	return a.late.entries[0].Next
}

// Pop takes off an entry that may be read at the time now, nil where there is
// none.
func (a *Agenda[T]) Pop(now sensors.Instant) *Entry[T] {
	if len(a.early.entries) == 0 || a.early.entries[0].key[byEarly].After(now) {
		return nil
	}
	e := a.early.entries[0]
	a.Remove(e)
	return e
}

// An Entry is the place of something in an Agenda.
type Entry[T any] struct {
	Of   T               // whose place it is
	Next sensors.Instant // when it is due; zero: it isn't

	every, phase time.Duration
	slack        time.Duration
	lead         time.Duration   // how long before Next it may be served
	point        sensors.Instant // of the grid, that is served next; Next may be a further try before it
	cron         *config.Cron
	moved        time.Duration // of cron: how much later it is read
	target       time.Time     // of cron: its time that next stands for, before it is moved
	served       time.Time     // of cron: the last target that was read
	due          time.Time     // of cron: when served was, moved as it was then

	key   [2]sensors.Instant
	place [2]int // in each heap, counted from 1; 0: not in it
}

const (
	byLate  = iota // when it is due
	byEarly        // when it may be read with others
)

const (
	mostSlack = 30 * time.Second
	// StepBack is how far the wall clock may be stepped back for what was read
	// to count as read; cron(8) draws the line at the same place.
	StepBack = 3 * time.Hour
)

// NewEntry is an entry with a schedule that isn't planned yet.
func NewEntry[T any](of T, s config.Schedule) Entry[T] {
	if s.At != nil {
		return Entry[T]{Of: of, cron: s.At, moved: s.Moved}
	}
	return Entry[T]{Of: of, every: s.Every, phase: (s.Phase + s.Moved) % s.Every, slack: min(s.Every/10, mostSlack)}
}

// Calendar tells whether e has times of the calendar, and no interval.
func (e *Entry[T]) Calendar() bool { return e.cron != nil }

// Target is the calendar's time that Next stands for, before it is moved by
// jitter; zero: none.
func (e *Entry[T]) Target() time.Time { return e.target }

// PlanAfter makes Next the first time after from, of an entry with an interval.
func (e *Entry[T]) PlanAfter(from sensors.Instant) {
	e.point = e.slot(from)
	e.PlanPoint()
}

// PlanPoint makes Next the point of the grid that isn't served yet: after a
// further try, which serves none.
func (e *Entry[T]) PlanPoint() { e.Next, e.lead = e.point, e.slack }

// PlanTry plans a further try, of an entry with an interval, for after a wait
// from now; unless its point can be served by then.
func (e *Entry[T]) PlanTry(now sensors.Instant, wait time.Duration) {
	if at := now.Add(wait); at.Before(e.point.Add(-e.slack)) {
		e.Next, e.lead = at, wait/10
	}
}

// IsTry tells whether what is done at the time now is a further try, and
// doesn't serve a point.
func (e *Entry[T]) IsTry(now sensors.Instant) bool {
	return e.Next.Before(e.point) && now.Before(e.point.Add(-e.slack))
}

// Resume goes on where the entry of the same sensor before a reload ended. A
// time of the same expression that was still to come isn't lost when another
// jitter puts it into the past, and one that was read doesn't come back.
func (e *Entry[T]) Resume(o *Entry[T]) {
	e.served, e.due = o.served, o.due
	if e.cron != nil && o.cron != nil && e.cron.String() == o.cron.String() {
		e.target = o.target
	}
}

func (e *Entry[T]) planned() bool { return e.place[byLate] > 0 }

// Plan sets the next time after a read that began at the time began and ended
// at now. wall shows now on the wall clock; zero: not known.
func (e *Entry[T]) Plan(began, now sensors.Instant, wall time.Time) {
	if e.cron == nil {
		e.PlanAfter(max(began.Add(e.slack), now))
		return
	}
	if !e.target.IsZero() && (wall.IsZero() || e.Passed(wall)) {
		e.served, e.due = e.target, e.target.Add(e.moved) // else it was read for another reason
	}
	if wall.IsZero() {
		e.target, e.Next = time.Time{}, 0
		return
	}
	e.planCron(now, wall)
}

// slot is the grid's first point after t.
func (e *Entry[T]) slot(t sensors.Instant) sensors.Instant {
	since := t.Sub(0) - e.phase
	n := since / e.every
	if since >= 0 {
		n++
	}
	return sensors.Instant(e.phase + n*e.every)
}

// Replan computes a cron entry's time again: at the start, after a step of the
// wall clock, and when it rings. A time that was stepped over is now.
func (e *Entry[T]) Replan(now sensors.Instant, wall time.Time) {
	switch {
	case e.cron == nil:
	case wall.IsZero():
		e.Next = 0
	case !e.target.IsZero() && e.Passed(wall):
		e.Next = now
	default:
		e.planCron(now, wall)
	}
}

// early is how far before its wall-clock time an entry may be read: two clocks
// are never read at the same moment.
const early = time.Millisecond

// Passed tells whether it is time for the target, or later.
func (e *Entry[T]) Passed(wall time.Time) bool {
	return !e.target.Add(e.moved).After(wall.Add(early))
}

func (e *Entry[T]) planCron(now sensors.Instant, wall time.Time) {
	steppedBack := e.due.Sub(wall)
	wall = wall.Add(-e.moved) // on the calendar that the expression is of
	after := wall
	if e.served.After(wall) && steppedBack <= StepBack {
		after = e.served
	}
	t, ok := e.cron.Next(after)
	if !ok {
		e.target, e.Next = time.Time{}, 0
		return
	}
	e.target, e.Next = t, now.Add(t.Sub(wall))
}

// heap is a binary heap of entries by one of their keys. It is written out
// because container/heap can't remove without boxing, and knows no place.
type heap[T any] struct {
	by      int
	entries []*Entry[T]
}

func (h *heap[T]) add(e *Entry[T]) {
	h.entries = append(h.entries, e)
	e.place[h.by] = len(h.entries)
	h.up(len(h.entries) - 1)
}

func (h *heap[T]) remove(e *Entry[T]) {
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

func (h *heap[T]) before(i, j int) bool {
	return h.entries[i].key[h.by].Before(h.entries[j].key[h.by])
}

func (h *heap[T]) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].place[h.by], h.entries[j].place[h.by] = i+1, j+1
}

func (h *heap[T]) up(i int) {
	for i > 0 && h.before(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *heap[T]) down(i int) {
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

// mostTimes bounds what is counted of a calendar.
const mostTimes = 10_000

// LeftOut counts the entry's times that a read which began at the time began
// and has ended now leaves out: overlapped came while it was read. passed, of a
// calendar only, had come before it began, besides the one that it was for: the
// wall clock was set past them, or the machine was suspended.
func (e *Entry[T]) LeftOut(began, now sensors.Instant, wall time.Time) (passed, overlapped uint64) {
	if e.cron == nil {
		first := e.slot(began.Add(e.slack))
		if first.After(now) {
			return 0, 0
		}
		return 0, 1 + uint64(now.Sub(first)/e.every)
	}
	if wall.IsZero() || e.target.IsZero() {
		return 0, 0
	}
	begin := wall.Add(began.Sub(now)).Add(early)
	for _, t := range e.until(e.target, wall) {
		if t.Add(e.moved).After(begin) {
			overlapped++
		} else {
			passed++
		}
	}
	return max(passed, 1) - 1, overlapped // the first is the read's own
}

// Latest is the last of the calendar's times, from the target on, that has come
// by the wall clock; zero: none has.
func (e *Entry[T]) Latest(wall time.Time) time.Time {
	times := e.until(e.target, wall.Add(early))
	if len(times) == 0 {
		return time.Time{}
	}
	return times[len(times)-1]
}

// Missed lists the calendar's times after last that have come by the wall
// clock: mostTimes at most.
func (e *Entry[T]) Missed(last, wall time.Time) []time.Time {
	first, ok := e.cron.Next(last)
	if !ok {
		return nil
	}
	return e.until(first, wall)
}

// CatchUp plans a time of the calendar that was missed, for now or, with
// jitter, later.
func (e *Entry[T]) CatchUp(missed time.Time, now sensors.Instant) {
	e.target, e.Next = missed, now.Add(e.moved)
}

// until lists the calendar's times from one of them on that have come by the
// wall clock, mostTimes at most.
func (e *Entry[T]) until(from, wall time.Time) []time.Time {
	var times []time.Time
	for t, ok := from, true; ok && len(times) < mostTimes && !t.Add(e.moved).After(wall); t, ok = e.cron.Next(t) {
		times = append(times, t)
	}
	return times
}
