package poll

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/agenda"
	"example.org/dormouse/sensors/poll/hooks"
)

// What sensors that run programs have besides: they are asked to end and given
// time for it, their drivers are told of outcomes, tasks are left alone where
// nobody names them, a run that is under way keeps the next one away, and what
// was missed is caught up.

// A reported is the last outcome that a driver got.
type reported struct {
	failed bool
	output string // of the last failure: Run.Digest, or the error
}

func (s *sensor) programs() *sensors.Programs { return s.cfg.Driver.Programs }

// isTask tells whether a read does something, and isn't done to learn
// something.
func (s *sensor) isTask() bool {
	p := s.programs()
	return p != nil && p.Task(s.cfg.Options)
}

// graceOf is how long a read may take to return after its deadline.
func graceOf(cfg *config.Sensor) time.Duration {
	if p := cfg.Driver.Programs; p != nil {
		return grace + p.Ending(cfg.Options)
	}
	return grace
}

// ended tells the driver of a program how a due read has ended. The end of the
// daemon, or of the sensor, is no change of state.
func (w *workers) ended(s *sensor, err error) {
	p := s.programs()
	if p == nil {
		return
	}
	cut := s.ctx.Err() != nil
	out := sensors.Outcome{Err: err, Changed: !cut && (err != nil) != s.reported.failed}
	if s.reader != nil { // else it was left behind
		out.Run = s.reader.report.Run()
	}
	if err != nil {
		text := err.Error()
		if out.Run != nil {
			text = out.Run.Digest
		}
		out.Repeated = s.reported.output == text && (s.reported.failed || text != "")
		s.reported.output = text
	}
	if !cut {
		s.reported.failed = err != nil
	}
	// The reader of its own may be in the next read while a hook runs.
	s.hook = p.Ended(newReader(w.shared, s.cfg), out)
}

// noteHook has what the driver of a program wants to run started when the result
// is published.
func (l *loop) noteHook(s *sensor) {
	if s.hook == nil {
		return
	}
	l.untold = append(l.untold, &hooks.Hook{Sensor: s.cfg.Name, Run: s.hook, Parent: l.parentOf(s), Ending: graceOf(s.cfg), Log: s.log})
	s.hook = nil
}

// startHooks starts those that were noted.
func (l *loop) startHooks() {
	for _, h := range l.untold {
		l.hooks.Start(h)
	}
	l.untold = nil
}

// noteRun keeps the last runs for the result.
func (s *sensor) noteRun(r *sensors.Report) {
	if r == nil || r.Run() == nil {
		return
	}
	s.result.LastRun = r.Run()
	if s.err != nil {
		s.result.FailedRun = r.Run()
	}
}

// refuse is the error of a request for tasks of which one is being run: a
// second run beside it isn't started.
func (l *loop) refuse(names []string, chosen []*sensor) error {
	if len(names) == 0 {
		return nil
	}
	for _, s := range chosen {
		if s.active && s.isTask() {
			s.skip(sensors.SkipOverlap, 1)
			l.change()
			ago := l.clock.Now().Sub(s.began).Round(time.Second)
			s.log.Warn("a run was asked for while one is under way: it was refused", "began", duration.Format(ago)+" ago")
			return fmt.Errorf("%s is being run since %s: wait for its end", s.cfg.Name, duration.Format(ago))
		}
	}
	return nil
}

// skip counts planned runs that weren't made.
func (s *sensor) skip(cause string, n uint64) {
	s.result.Skipped = maps.Clone(s.result.Skipped) // earlier Snapshots have the old one
	s.result.Skipped[cause] += n
}

// skipLeftOut counts and logs the planned runs that weren't made: those that
// came while the program ran, and those that had passed when it began.
func (l *loop) skipLeftOut(s *sensor, now sensors.Instant, wall time.Time) {
	if s.programs() == nil {
		return
	}
	passed, n := s.entry.LeftOut(s.began, now, wall)
	if passed > 0 {
		s.skip(sensors.SkipMissed, passed)
		s.log.Warn("runs were missed: the wall clock was set past them, or the machine was suspended", "runs", passed)
	}
	var late error
	if n > 0 {
		s.skip(sensors.SkipOverlap, n)
		late = fmt.Errorf("it ran for %s", duration.Format(now.Sub(s.began).Round(time.Second)))
		if s.cfg.Schedule.CatchUp > 0 { // which isn't for those
			l.records.Note(s.cfg.Name, s.cfg.Schedule.At.String(), s.entry.Latest(wall))
		}
	}
	s.overlaps.Note(s.log, "the program", now, late, func(bad bool) {
		if !bad {
			s.log.Info("the program ends in time again")
			return
		}
		s.log.Warn("the program still ran when it was due again: runs were left out", "runs", n, "took", duration.Format(now.Sub(s.began).Round(time.Millisecond)))
	})
}

// catchUp looks, once for each task that wants it and as soon as the wall clock
// is plausible, and again where the wall clock is set back far, whether it missed a time while the daemon or the machine was
// off. It tells whether the task is planned by that.
func (l *loop) catchUp(s *sensor, now sensors.Instant, wall time.Time) bool {
	limit := s.cfg.Schedule.CatchUp
	if !l.running || !s.entry.Calendar() || limit == 0 || wall.IsZero() {
		return false
	}
	at := s.cfg.Schedule.At.String()
	last, known := l.records.Last(s.cfg.Name, at)
	if known && last.Sub(wall) > agenda.StepBack {
		known = false // of a clock that was ahead: it would be taken for a run of that time
	} else if s.caughtUp {
		return false
	}
	s.caughtUp = true
	if !known {
		l.records.Note(s.cfg.Name, at, wall) // from now on
		return false
	}
	missed := s.entry.Missed(last, wall)
	if len(missed) == 0 {
		return false
	}
	latest := missed[len(missed)-1]
	attrs := []any{"missed", len(missed), "first", missed[0].Format(time.DateTime), "latest", latest.Format(time.DateTime)}
	if wall.Sub(latest) > limit {
		s.skip(sensors.SkipMissed, uint64(len(missed)))
		s.log.Warn("runs were missed, the latest too long ago to be caught up", append(attrs, "catch_up", duration.Format(limit))...)
		l.records.Note(s.cfg.Name, at, latest)
		return false
	}
	if others := missed[:len(missed)-1]; len(others) > 0 {
		s.skip(sensors.SkipMissed, uint64(len(others)))
		l.records.Note(s.cfg.Name, at, others[len(others)-1]) // an end before the run doesn't have them counted again
	}
	s.log.Info("runs were missed: the latest is caught up", append(attrs, "in", duration.Format(s.cfg.Schedule.Moved))...)
	s.entry.CatchUp(latest, now)
	return true
}

// planCalendar plans a calendar's entry anew, or what it has to catch up.
func (l *loop) planCalendar(s *sensor, now sensors.Instant, wall time.Time) {
	if !l.catchUp(s, now, wall) {
		s.entry.Replan(now, wall)
	}
	l.schedule(s)
	if l.running {
		s.result.NextRead = s.entry.Next
	}
}

// recordOf is the last planned time that a run which begins now is for, where
// that is to be recorded.
func (s *sensor) recordOf(wall time.Time) time.Time {
	if s.cfg.Schedule.CatchUp == 0 || s.entry.Target().IsZero() || wall.IsZero() || !s.entry.Passed(wall) {
		return time.Time{}
	}
	return s.entry.Latest(wall)
}

// parentOf is the context that the read of a sensor ends with: that of the
// poller, or where tasks are waited for one that outlasts it.
func (l *loop) parentOf(s *sensor) context.Context {
	if l.set.Load().config.WaitForTasks && s.isTask() {
		return l.lasting
	}
	return l.reading
}

// tasksLeft names the tasks that are still being run, or told of.
func (l *loop) tasksLeft() []string {
	var names []string
	for _, s := range l.set.Load().sensors {
		if s.isTask() && (s.active || l.hooks.Running(s.cfg.Name)) {
			names = append(names, s.cfg.Name)
		}
	}
	return names
}

// waitForReads waits for the reads that are still under way. Where the poller is
// to end that may last, because of tasks: meanwhile rails are up for them only.
// Hurry cuts it short.
func (l *loop) waitForReads(last bool) {
	if last {
		l.releasePowered()
	}
	hurry := l.hurry
	limit := l.set.Load().longestEnd(func(s *sensor) bool { return s.active || l.hooks.Running(s.cfg.Name) })
	if names := l.tasksLeft(); len(names) > 0 && l.set.Load().config.WaitForTasks {
		l.log.Info("waiting for tasks to end", "tasks", names, "at_most", duration.Format(limit))
	}
	if limit > 0 && l.ending != nil {
		l.ending(limit)
	}
	for l.inflight > 0 {
		select {
		case s := <-l.workers.done:
			l.finish(s)
			l.startHooks()
			if last {
				l.releasePowered()
			}
		case <-hurry:
			l.log.Warn("tasks are ended", "tasks", l.tasksLeft())
			l.lasting.Cancel()
			hurry = nil
		}
	}
}

// waitForHooks waits for those that tell of tasks which were waited for; Hurry
// cuts it short. The others end with the reads.
func (l *loop) waitForHooks() {
	select {
	case <-l.hooks.Ended():
	case <-l.hurry:
		l.lasting.Cancel()
		<-l.hooks.Ended()
	}
}

// releasePowered releases the sensors that keep their rails up between reads.
func (l *loop) releasePowered() {
	for _, s := range l.set.Load().sensors {
		if s.keepsRail && !s.active {
			l.release(s)
		}
	}
}

// longestEnd is how long the programs of those sensors which count may take to
// end. Tasks that are waited for may take all of their time, and then tell of it.
func (t *set) longestEnd(counts func(*sensor) bool) time.Duration {
	var most time.Duration
	for _, s := range t.sensors {
		if s.programs() == nil || !counts(s) {
			continue
		}
		most = max(most, graceOf(s.cfg))
		if t.config.WaitForTasks && s.isTask() {
			most = max(most, s.longest()+hooks.Limit+graceOf(s.cfg))
		}
	}
	return most
}

// LongestEnd is how long Run may wait for programs when its context has ended,
// whichever are being run then.
func (p *Poller) LongestEnd() time.Duration {
	return p.set.Load().longestEnd(func(*sensor) bool { return true })
}

// succeed puts the sensor of a newer configuration in the place of one whose
// program was let to end.
func (l *loop) succeed(s *sensor, now sensors.Instant) {
	n, old := s.successor, l.set.Load()
	s.successor = nil
	next := &set{config: old.config, sensors: slices.Clone(old.sensors), byName: maps.Clone(old.byName)}
	next.sensors[slices.Index(next.sensors, s)], next.byName[s.cfg.Name] = n, n
	n.inherit(s)
	n.began, n.again, s.again = s.began, s.again, false
	for _, r := range l.waiting {
		if ends := r.await[s]; ends > 1 {
			r.await[n] = ends - 1
		}
	}
	l.set.Store(next)
	next.order()
	l.resetFamilies(next)
	l.plan(n, now)
}

// newLasting is a context that doesn't end with ctx.
func newLasting(clock *alarm.Clock, ctx context.Context) *alarm.Context {
	return clock.WithDeadline(context.WithoutCancel(ctx), 0)
}
