package poll

import (
	"context"
	"fmt"
	"sync"
)

// A batch is the sensors that one wake set out to read.
type batch struct {
	left int // reads that haven't ended; the loop's

	mu    sync.Mutex
	onces map[string]*once
}

type once struct {
	done chan struct{}
	err  error
}

func (b *batch) once(ctx context.Context, key string, f func(context.Context) error) error {
	b.mu.Lock()
	o := b.onces[key]
	if o != nil {
		b.mu.Unlock()
		select {
		case <-o.done:
			return o.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if b.onces == nil {
		b.onces = map[string]*once{}
	}
	o = &once{done: make(chan struct{}), err: fmt.Errorf("%s: it was cancelled", key)}
	b.onces[key] = o
	b.mu.Unlock()
	defer close(o.done)
	o.err = f(ctx)
	return o.err
}
