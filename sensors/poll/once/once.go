// Package once shares what the sensors of one wake have in common: one of them
// does it, and the others wait for the outcome.
package once

import (
	"context"
	"fmt"
	"sync"
)

// A Set is of one wake. It may be used by many goroutines at a time.
type Set struct {
	mu   sync.Mutex
	done map[string]*call
}

type call struct {
	done chan struct{}
	err  error
}

// Do calls f for the first caller with key, and waits for its error for the
// others, until their ctx ends.
func (s *Set) Do(ctx context.Context, key string, f func(context.Context) error) error {
	s.mu.Lock()
	c := s.done[key]
	if c != nil {
		s.mu.Unlock()
		select {
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.done == nil {
		s.done = map[string]*call{}
	}
	c = &call{done: make(chan struct{}), err: fmt.Errorf("%s: it was cancelled", key)}
	s.done[key] = c
	s.mu.Unlock()
	defer close(c.done)
	c.err = f(ctx)
	return c.err
}
