// Package hooks runs what tells somebody of a sensor's change of state: beside
// the reads, so that neither its sensor nor another waits for it, and for a
// limited time.
package hooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
)

// Limit is how long a hook may run before its context ends.
const Limit = time.Minute

// A Hook tells of one change.
type Hook struct {
	Sensor string
	Run    func(ctx context.Context)
	Parent context.Context // of that of Run
	Ending time.Duration   // how long Run may take to return when its context has ended
	Log    *slog.Logger
}

// A Set are the hooks that are under way. It may be used by many goroutines at a
// time.
type Set struct {
	clock *alarm.Clock

	mu    sync.Mutex
	of    map[string]*queue // by sensor
	ended chan struct{}     // closed when none is under way; nil: nobody has asked
}

// A queue is the hook of a sensor that is under way, and the next one.
type queue struct{ next *Hook }

// New is a Set without a hook.
func New(clock *alarm.Clock) *Set { return &Set{clock: clock, of: map[string]*queue{}} }

// Start runs a hook, after that of the same sensor which is under way. Of those
// that come meanwhile only the last is run.
func (s *Set) Start(h *Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.of[h.Sensor]
	if q == nil {
		q = &queue{}
		s.of[h.Sensor] = q
		go s.run(h, q)
		return
	}
	if q.next != nil {
		h.Log.Warn("a change of state isn't told, as the program that tells of an earlier one still runs: only the latest will be")
	}
	q.next = h
}

// run runs the hooks of a sensor, one after another.
func (s *Set) run(h *Hook, q *queue) {
	sensor := h.Sensor
	for h != nil {
		s.limited(h)
		s.mu.Lock()
		h, q.next = q.next, nil
		if h == nil {
			s.end(sensor)
		}
		s.mu.Unlock()
	}
}

func (s *Set) end(sensor string) {
	delete(s.of, sensor)
	if len(s.of) == 0 && s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
}

// limited runs a hook, unless its parent has ended, and leaves it behind where it
// doesn't return in time.
func (s *Set) limited(h *Hook) {
	if h.Parent.Err() != nil {
		return
	}
	ctx := s.clock.WithDeadline(h.Parent, s.clock.Now().Add(Limit))
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		defer ctx.Cancel()
		h.Run(ctx)
	}()
	select {
	case <-returned:
		return
	case <-ctx.Done():
	}
	grace := s.clock.WithDeadline(context.Background(), s.clock.Now().Add(h.Ending))
	defer grace.Cancel()
	select {
	case <-returned:
	case <-grace.Done():
		h.Log.Error("the program that tells of a change of state can't be ended: it hangs in the kernel", "waited", duration.Format(h.Ending))
	}
}

// Running tells whether a hook of the sensor is under way.
func (s *Set) Running(sensor string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[sensor] != nil
}

// Ended is closed when none is under way.
func (s *Set) Ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		ended := make(chan struct{})
		if len(s.of) == 0 {
			close(ended)
			return ended
		}
		s.ended = ended
	}
	return s.ended
}
