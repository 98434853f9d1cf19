package web

import (
	"runtime"
	"runtime/metrics"
	"sync"
)

// A tidier collects garbage earlier than the runtime does, which lets any heap
// grow by 1 MB first, whatever GOGC says (sweepMinHeapDistance in
// runtime/mgcpacer.go, Go 1.26): that is more than the daemon has in use. The
// tidier goes by what GOGC=25 means, down to leastGarbage. It is asked when an
// answer is on its way, so that nobody waits for it and nothing wakes for it.
type tidier struct {
	mu      sync.Mutex
	samples []metrics.Sample
	before  uint64 // bytes allocated up to the last collection
}

// leastGarbage is where a collection pays: docs/cost.md has the measurements.
const leastGarbage = 256 << 10

// tidy collects if there is enough to collect. Where somebody else is about to
// find that out, it returns at once.
func (t *tidier) tidy() {
	if !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	if t.samples == nil {
		t.samples = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	}
	allocated, live := t.heap()
	if allocated-t.before < max(leastGarbage, live/4) {
		return
	}
	runtime.GC()
	t.before, _ = t.heap() // only now are all that were made counted
}

// heap is how many bytes were ever allocated, and how many were in use at the
// last collection.
func (t *tidier) heap() (allocated, live uint64) {
	metrics.Read(t.samples)
	return t.samples[0].Value.Uint64(), t.samples[1].Value.Uint64()
}
