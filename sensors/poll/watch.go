package poll

import (
	"context"

	"example.org/dormouse/sensors"
)

// A watch waits for one edge of a line, in a goroutine of its own that nothing
// but the edge wakes. It is set anew after each read of its sensor: so a
// storm of edges ends in the kernel's buffer, where it wakes nobody, until the
// sensor's limit has passed.
type watch struct {
	sensor *sensor // the loop's: it may be inherited
	line   sensors.Line
	cancel context.CancelFunc
	ended  chan struct{}
}

// startWatch sets the watch of a sensor that has one, after a read of it.
func (p *Poller) startWatch(s *sensor) {
	if !p.watching || s.active || s.reader == nil {
		return
	}
	watcher, ok := s.reader.sensor.(sensors.Watcher)
	if !ok {
		return
	}
	what := watcher.Watch()
	// A read for another reason may have taken the edge out of the kernel's
	// buffer before the watch came to it.
	owed := what.Changed && !s.byEdge
	s.byEdge = false
	if s.watch != nil && s.watch.line == what.Line && s.watch.waits() && !owed {
		return
	}
	s.stopWatch()
	if what.Line == nil {
		return
	}
	s.wakes = what.Wake
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{sensor: s, line: what.Line, cancel: cancel, ended: make(chan struct{})}
	s.watch = w
	from := s.woken
	if !from.IsZero() {
		from = from.Add(what.Limit)
	}
	go p.waitForEdge(ctx, w, from, owed)
}

// waitForEdge waits until from, and then for an edge unless there was one.
func (p *Poller) waitForEdge(ctx context.Context, w *watch, from sensors.Instant, owed bool) {
	defer close(w.ended)
	if p.clock.SleepUntil(ctx, from) != nil {
		return
	}
	if !owed && w.line.WaitEdge(ctx) != nil {
		return // the next read says what is wrong with the line
	}
	select {
	case p.edges <- w:
	case <-ctx.Done():
	}
}

// waits is false where the waiting ended in an error.
func (w *watch) waits() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// stopWatch ends the waiting, before the line may be waited for again or closed.
func (s *sensor) stopWatch() {
	if s.watch == nil {
		return
	}
	s.watch.cancel()
	<-s.watch.ended
	s.watch = nil
}

// edge reads the sensor whose line had an edge, and those that it wakes.
func (p *Poller) edge(w *watch) {
	s := w.sensor
	s.woken = p.clock.Now()
	if s.watch == w {
		s.watch = nil
	}
	w.cancel()
	set := p.set.Load()
	if !s.active && set.byName[s.cfg.Name] == s {
		s.byEdge = true
		p.enlist(s)
	}
	for _, name := range s.wakes {
		if other := set.byName[name]; other != nil && !other.active {
			p.enlist(other)
		}
	}
	p.enlistDue(p.clock.Now()) // awake anyway
	p.change()
	p.wake(sensors.WakeEdge)
}
