package poll

import (
	"maps"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/rails"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/series"
)

// A reload is a change of the configuration.
type reload struct {
	next  *set
	rails *rails.Rails // nil: as before
	all   bool         // no program has to end any more: all reads that it changes are cancelled
}

// acceptReload ends the programs that go or change, which may take long: until then
// the other sensors are read as before. Then finishReload does the rest.
func (l *loop) acceptReload(r *request) {
	old := l.set.Load()
	if !config.SameRails(old.config.Rails, r.reload.next.config.Rails) {
		r.reload.rails = l.wires.newRails(r.reload.next.config)
	}
	l.reload = r
	l.cancelChanged()
}

// cancelChanged cancels the reads that the reload doesn't spare at this step, and
// has none of them begin.
func (l *loop) cancelChanged() {
	for _, s := range l.set.Load().sensors {
		if l.spares(s) {
			continue
		}
		l.agenda.Remove(&s.entry)
		if s.active && !s.gone {
			s.gone = true
			s.ctx.CancelBecause("its configuration changed")
		}
	}
}

// spares tells whether s may be read now: no reload that waits is to change it
// next.
func (l *loop) spares(s *sensor) bool {
	return l.reload == nil || l.reload.reload.spares(s) || !l.reload.reload.all && s.programs() == nil
}

// sparesAll tells that of s and of the sensors with those names.
func (l *loop) sparesAll(s *sensor, names []string) bool {
	set := l.set.Load()
	return l.spares(s) && !slices.ContainsFunc(names, func(name string) bool {
		other := set.byName[name]
		return other != nil && !l.spares(other)
	})
}

// schedule plans s for its next time; where a reload is to change it, that does.
func (l *loop) schedule(s *sensor) {
	if l.spares(s) {
		l.agenda.Add(&s.entry)
	}
}

// isForLater tells whether a request has to wait for a reload: it is another, or
// is for sensors that the reload brings or changes.
func (l *loop) isForLater(r *request) bool {
	if l.reload == nil || r.reload != nil {
		return l.reload != nil
	}
	chosen, err := l.set.Load().choose(r.names)
	return err != nil || slices.ContainsFunc(chosen, func(s *sensor) bool { return !l.spares(s) })
}

// spares tells whether a read of s that is under way goes on.
func (r *reload) spares(s *sensor) bool {
	n := r.next.byName[s.cfg.Name]
	if n == nil || r.rails != nil && s.cfg.Power != "" {
		return false
	}
	// A program that is the same is let to end where only its schedule changes.
	return s.cfg.Same(n.cfg) || s.programs() != nil && s.cfg.SameDevice(n.cfg)
}

// mayReload tells whether all reads have ended that the reload changes.
func (l *loop) mayReload() bool {
	ended := func() bool {
		return !slices.ContainsFunc(l.set.Load().sensors, func(s *sensor) bool { return s.active && s.gone })
	}
	if ended() && !l.reload.reload.all {
		l.reload.reload.all = true
		l.cancelChanged()
	}
	return l.reload.reload.all && ended()
}

func (l *loop) finishReload() {
	r := l.reload
	l.reload = nil
	if r.reload.rails != nil {
		l.wires.swapRails(r.reload.rails)
	}
	l.install(r.reload.next)
	set := l.set.Load()
	for _, w := range l.waiting { // for a sensor that is no longer configured
		maps.DeleteFunc(w.await, func(s *sensor, _ int) bool { return set.byName[s.cfg.Name] != s })
	}
	soon := map[string]bool{}
	for _, s := range set.sensors {
		if s.fresh && !s.entry.Calendar() {
			l.enlist(s)
		}
		l.enlistAgain(s)
		soon[s.cfg.Power] = soon[s.cfg.Power] || s.active
	}
	if r.reload.rails != nil {
		l.wires.rest(soon)
	}
	l.change()
	l.wake(sensors.WakeReload)
	r.await = map[*sensor]int{}
	l.waiting = append(l.waiting, r)
	l.afterReload()
}

// afterReload does what had to wait for a reload.
func (l *loop) afterReload() {
	edges, later := l.edges, l.later
	l.edges, l.later = nil, nil
	for _, w := range edges {
		if s := w.sensor; l.set.Load().byName[s.cfg.Name] == s {
			l.edge(w)
		}
	}
	for _, r := range later {
		l.accept(r, true)
	}
}

// install makes next the set of sensors, with what lives on of the present one.
func (l *loop) install(next *set) {
	old := l.set.Load()
	now, wall := l.clock.Now(), l.wall()
	for i, n := range next.sensors {
		o := old.byName[n.cfg.Name]
		switch {
		case o != nil && o.cfg.Same(n.cfg):
			next.sensors[i], next.byName[n.cfg.Name] = o, o
			o.cfg.Origin, o.fresh, o.unpowered = n.cfg.Origin, o.unpowered, false
			o.successor = nil
			if !o.active {
				l.agenda.Add(&o.entry)
			}
			continue
		case o != nil && o.active && o.cfg.SameDevice(n.cfg): // it was spared
			next.sensors[i], next.byName[n.cfg.Name] = o, o
			o.successor, o.fresh = n, false
			continue
		case o != nil && (o.cfg.SameDevice(n.cfg) || o.reconfigure(n.cfg)):
			n.inherit(o)
			l.agenda.Remove(&o.entry)
		}
		n.fresh = true
		if n.entry.Calendar() {
			l.planCalendar(n, now, wall)
		}
	}
	for _, o := range old.sensors {
		if next.byName[o.cfg.Name] != o {
			l.agenda.Remove(&o.entry)
			l.release(o)
		}
	}
	l.set.Store(next)
	next.order()
	l.resetFamilies(next)
}

// reconfigure lets a sensor that holds a line go on with the options of another
// configuration, where it can.
func (s *sensor) reconfigure(cfg *config.Sensor) bool {
	if s.active || s.reader == nil || !s.cfg.SamePlace(cfg) {
		return false
	}
	r, ok := s.reader.sensor.(sensors.Reconfigurer)
	return ok && r.Reconfigure(cfg.Options)
}

// resetFamilies has all series checked again, with those that the drivers of the
// set measure.
func (l *loop) resetFamilies(set *set) {
	tables := make([]*series.Table, len(set.sensors))
	for i, s := range set.sensors {
		tables[i] = s.series
	}
	if err := l.families.Reset(tables); err != nil {
		l.log.Error("quantities of drivers can't be published", "err", err)
	}
}

// release ends, once, what a sensor holds between polls.
func (l *loop) release(s *sensor) {
	s.stopWatch()
	if s.reader != nil {
		if err := s.reader.close(); err != nil {
			s.log.Warn("can't release a sensor", "wiring", s.result.Wiring, "err", err)
		}
	}
	if r := s.stuck; r != nil {
		s.stuck = nil
		go func() {
			<-r.done
			r.leaveBus()
			if err := r.discard(); err != nil {
				s.log.Warn("can't release a sensor", "wiring", s.result.Wiring, "err", err)
			}
		}()
	}
	if s.keepsRail {
		s.keepsRail = false
		l.wires.lower(s.cfg.Power)
	}
}
