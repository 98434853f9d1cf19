package poll

import (
	"cmp"
	"slices"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/poll/once"
)

// begin is the first wake: everything with an interval that wasn't read yet.
func (l *loop) begin() {
	l.watches.on, l.running = true, true
	soon := map[string]bool{} // rails that are about to be raised
	for _, s := range l.set.Load().sensors {
		l.watches.renew(s)
		if !s.entry.Calendar() && !s.result.Tried && !s.active {
			l.enlist(s)
			soon[s.cfg.Power] = true
		}
		if s.active {
			continue
		}
		if s.entry.Calendar() {
			l.agenda.Remove(&s.entry)
			l.planCalendar(s, l.clock.Now(), l.wall())
		}
		s.result.NextRead = s.entry.Next // of one that was read on request before
	}
	l.wires.rest(soon)
	l.wake(sensors.WakeStart)
	l.change() // the page exists even where nothing is due
}

// ring handles the timer: a sensor is due, or the wake has lasted long enough
// to be published as far as it is.
func (l *loop) ring() {
	now := l.clock.Now()
	if at := l.agenda.Next(); at.IsZero() || at.After(now) {
		return
	}
	l.enlistDue(now)
	l.wake(sensors.WakeTimer)
}

// enlistDue enlists the sensors that are due or nearly due.
func (l *loop) enlistDue(now sensors.Instant) {
	for e := l.agenda.Pop(now); e != nil; e = l.agenda.Pop(now) {
		if e.Calendar() {
			// The wall clock may have been set by less than a Jump reports.
			e.Replan(now, l.wall())
			if e.Next.IsZero() || e.Next.After(now) {
				l.agenda.Add(e)
				continue
			}
		}
		l.enlist(e.Of)
		e.Of.extra = e.IsTry(now)
	}
}

// enlist makes a sensor one of those to be read in this wake.
func (l *loop) enlist(s *sensor) {
	l.agenda.Remove(&s.entry)
	s.active, s.extra = true, false
	l.due = append(l.due, s)
}

// ask has s read with values from after this moment, and tells how many of its
// reads end until then: one that has begun may have its values from before.
func (l *loop) ask(s *sensor) (ends int) {
	switch {
	case !s.active:
		l.enlist(s)
	case s.pending == 0 && !slices.Contains(l.due, s):
		s.again = true
		return 2
	}
	return 1
}

// enlistAgain enlists a sensor for the read that was asked for during its last.
func (l *loop) enlistAgain(s *sensor) {
	if !s.again || s.active || !l.spares(s) {
		return
	}
	s.again = false
	if l.reading.Err() == nil {
		l.enlist(s)
	}
}

// loggedJump is the smallest step of the wall clock that is logged: NTP may make
// smaller ones often.
const loggedJump = time.Second

// jumped plans the calendar's times again after a step of the wall clock.
func (l *loop) jumped(j alarm.Jump) {
	if j.Lost != nil {
		l.log.Error("the kernel no longer tells when the wall clock is set: after that, times given by `at` may come late by as much; restart the daemon", "err", j.Lost)
	}
	if j.By == 0 {
		return
	}
	now, wall := l.clock.Now(), l.wall()
	if !wall.IsZero() && j.By.Abs() >= loggedJump {
		l.log.Info("the wall clock was set", "to", wall.Format(time.DateTime), "by", duration.Format(j.By.Round(time.Second)))
	}
	for _, s := range l.set.Load().sensors {
		if !s.entry.Calendar() || s.active {
			continue
		}
		l.agenda.Remove(&s.entry)
		l.planCalendar(s, now, wall)
	}
	l.awake.wakes[sensors.WakeClock]++
	l.change() // the page shows wall-clock times
}

// wall is the time on the wall clock; zero while that is implausible.
func (l *loop) wall() time.Time {
	t, _ := l.clock.Wall(l.clock.Now())
	return t
}

// wake begins to read those that were enlisted.
func (l *loop) wake(cause string) {
	l.awake.begin(cause, l.clock.Now())
	l.launch()
}

// launch begins to read them, each when those that it waits for have ended.
func (l *loop) launch() {
	due := l.due
	l.due = l.due[:0]
	if len(due) == 0 {
		return
	}
	b, wall := &batch{left: len(due)}, l.wall()
	slices.SortFunc(due, func(a, b *sensor) int { return cmp.Compare(a.rank, b.rank) })
	for _, s := range due {
		s.batch, s.pending, s.err, s.gone = b, 0, nil, false
		s.ctx = l.clock.WithDeadline(l.parentOf(s), 0)
		s.runFor = s.recordOf(wall)
		for _, ref := range s.after {
			s.waitFor(ref)
		}
		if s.chip != nil {
			if s.chip.last != nil && s.chip.last != s {
				s.waitFor(s.chip.last)
			}
			s.chip.last = s
			if c := s.chip.claim; c.Kind == sensors.I2CWire {
				s.bus = l.wires.buses.Use(sensors.Bus(c.Bus))
			}
		}
		l.wires.useRail(s)
	}
	l.inflight += len(due)
	for _, s := range due {
		if s.pending == 0 {
			l.workers.launch(s)
		}
	}
}

// A batch is the sensors that one wake set out to read.
type batch struct {
	once.Set
	left int // reads that haven't ended; the loop's
}

// finish is the end of a due read.
func (l *loop) finish(s *sensor) {
	hung := s.stuck != nil && s.stuck.bus != nil && s.stuck.bus == s.bus
	l.wires.leaveBus(s, hung)
	l.wires.leaveRail(s)
	cancelled := s.err != nil && (s.gone || s.ctx.Err() != nil)
	s.ctx.Cancel()
	l.inflight--
	if s.batch.left--; s.batch.left == 0 {
		l.complete = true
	}
	s.active = false
	if s.chip != nil && s.chip.last == s {
		s.chip.last = nil
	}
	l.workers.free(s.worker)
	now := l.clock.Now()
	if !cancelled {
		l.change()
		s.conclude(now)
		l.noteHook(s)
	}
	if s.reader != nil && s.cfg.Power != "" && !s.holds() {
		s.reader.sensor = nil // its rail is off: it is built again
	}
	if s.successor != nil {
		l.succeed(s, now)
	} else {
		l.plan(s, now)
		l.watches.renew(s)
	}
	for _, d := range s.dependents {
		if d.pending--; d.pending == 0 {
			l.workers.launch(d)
		}
	}
	s.dependents = s.dependents[:0]
	for _, r := range l.waiting {
		if r.await[s]--; r.await[s] <= 0 {
			delete(r.await, s)
		}
	}
	if now := l.set.Load().byName[s.cfg.Name]; now != nil { // s, or its successor
		l.enlistAgain(now)
		l.launch()
	}
}

// plan sets when the sensor is due next, and until when its readings are good.
func (l *loop) plan(s *sensor, now sensors.Instant) {
	if l.set.Load().byName[s.cfg.Name] != s {
		return
	}
	var wall time.Time
	if s.entry.Calendar() {
		wall = l.wall()
	}
	l.skipLeftOut(s, now, wall)
	if s.extra {
		s.entry.PlanPoint()
	} else {
		s.entry.Plan(s.began, now, wall)
		l.catchUp(s, now, wall) // the clock may have been set during a run that was asked for
	}
	s.result.Expires = 0
	if !s.entry.Next.IsZero() {
		s.result.Expires = s.entry.Next.Add(s.longest())
	}
	s.planTry(now)
	l.schedule(s)
	if l.running {
		s.result.NextRead = s.entry.Next
	}
}

// backOff is how long after each failure in a row a sensor that is down is tried
// again, besides its due reads: a device that appears some seconds after the
// start (a module, a USB adapter) needn't wait for its interval.
var backOff = [...]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}

// planTry plans the next further try of a sensor that is down. There is none of
// a program, which may do something at each run, and none of the calendar, which
// says when. A wait as long as the interval brings nothing.
func (s *sensor) planTry(now sensors.Instant) {
	switch {
	case s.result.Up:
		s.tries = 0
	case s.entry.Calendar() || s.programs() != nil || s.tries == len(backOff) || backOff[s.tries] >= s.cfg.Schedule.Every:
	default:
		s.entry.PlanTry(now, backOff[s.tries])
		s.tries++
	}
}
