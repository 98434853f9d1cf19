//go:build system

package pi

import (
	"flag"
	"slices"
	"sync"
	"testing"
	"time"
)

// atOnce is how many machines run: one more than two processors, since TestZero's
// and TestThree's wait for what takes its time.
const atOnce = 3

// turns are given in the order of what the tests take, the longest first, so that
// no long one is left for the end. Package testing would start those that are
// parallel in an order of its own.
var turns = func() *queue {
	q := &queue{free: atOnce}
	q.changed.L = &q.mu
	return q
}()

type queue struct {
	mu      sync.Mutex
	changed sync.Cond
	free    int
	waiting []time.Duration
}

// turn lets the test run beside others when it is its turn. It takes about so
// long on an idle host.
func turn(t *testing.T, takes time.Duration) {
	t.Helper()
	turns.add(takes)
	t.Parallel() // returns when all tests have been added
	turns.wait(takes)
	t.Cleanup(turns.leave)
}

func (q *queue) add(takes time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, takes)
}

func (q *queue) wait(takes time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.free == 0 || slices.Max(q.waiting) > takes {
		q.changed.Wait()
	}
	q.free--
	i := slices.Index(q.waiting, takes)
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.changed.Broadcast()
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.changed.Broadcast()
}

// allParallel has package testing start all tests at once: turns says how many run.
func allParallel() error {
	flag.Parse()
	return flag.Set("test.parallel", "100")
}
