package poll

import (
	"context"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
)

// watches are the lines whose edges may wake the daemon.
type watches struct {
	clock *alarm.Clock
	edges chan *watch // that had an edge
	on    bool        // the loop keeps a schedule, and takes edges
}

func newWatches(clock *alarm.Clock) *watches {
	return &watches{clock: clock, edges: make(chan *watch)}
}

// A watch waits for one edge of a line, in a goroutine of its own that nothing
// but the edge wakes. It is set again after each read of its sensor: so a
// storm of edges ends in the kernel's buffer, where it wakes nothing, until the
// sensor's limit has passed.
type watch struct {
	sensor *sensor // the loop's: it may be inherited
	line   sensors.Line
	cancel context.CancelFunc
	ended  chan struct{}
}

// renew sets the watch of a sensor that has one, after a read of it.
func (ws *watches) renew(s *sensor) {
	if !ws.on || s.active || s.reader == nil {
		return
	}
	watcher, ok := s.reader.sensor.(sensors.Watcher)
	if !ok {
		return
	}
	what := watcher.Watch()
	// A read for another reason may have taken the edge out of the kernel's
	// buffer before the watch came to it.
	missed := what.Changed && !s.byEdge
	s.byEdge = false
	if s.watch != nil && s.watch.line == what.Line && s.watch.waits() && !missed {
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
	go ws.wait(ctx, w, from, missed)
}

// wait waits until from, and then for an edge unless one was missed.
func (ws *watches) wait(ctx context.Context, w *watch, from sensors.Instant, missed bool) {
	defer close(w.ended)
	if ws.clock.SleepUntil(ctx, from) != nil {
		return
	}
	if !missed && w.line.WaitEdge(ctx) != nil {
		return // the next read says what is wrong with the line
	}
	select {
	case ws.edges <- w:
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
func (l *loop) edge(w *watch) {
	s := w.sensor
	if !l.sparesAll(s, s.wakes) {
		l.edges = append(l.edges, w)
		return
	}
	s.woken = l.clock.Now()
	if s.watch == w {
		s.watch = nil
	}
	w.cancel()
	set := l.set.Load()
	if !s.active && set.byName[s.cfg.Name] == s {
		s.byEdge = true
		l.enlist(s)
	}
	for _, name := range s.wakes {
		switch other := set.byName[name]; {
		case other == nil:
		case other.active && other.programs() != nil:
			other.skip(sensors.SkipOverlap, 1)
			other.log.Warn("an edge asked for a run while one is under way: it was left out", "line", s.cfg.Name)
		default:
			l.ask(other)
		}
	}
	l.enlistDue(l.clock.Now()) // awake anyway
	l.change()
	l.wake(sensors.WakeEdge)
}
