package alarm

import (
	"sync"
	"time"
)

// Fake is a clock for tests: its time stands still until [Fake.Advance] moves
// it. Clock is what the code under test is given.
type Fake struct {
	*Clock
	kernel *fakeKernel
}

// NewFake returns a Fake that shows now, while the wall clock shows wall.
func NewFake(now Instant, wall time.Time) *Fake {
	k := &fakeKernel{time: now, wallTime: wall, changed: make(chan struct{})}
	return &Fake{Clock: newClock(k), kernel: k}
}

// Advance moves the time forward by d, ringing whoever is due on the way, each
// at its own moment and in order. It doesn't wait for what they do then: call
// [Fake.Await] before moving on.
func (f *Fake) Advance(d time.Duration) {
	end := f.Now().Add(d)
	for {
		next, ok := f.Next()
		if !ok || next.After(end) {
			break
		}
		f.kernel.set(next)
		f.fire()
	}
	f.kernel.set(end)
}

// Next returns the earliest moment anybody waits for.
func (f *Fake) Next() (at Instant, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return 0, false
	}
	return f.queue[0].at, true
}

// Await blocks until somebody waits and the earliest waits for the moment at.
func (f *Fake) Await(at Instant) {
	for {
		f.kernel.mu.Lock()
		changed := f.kernel.changed
		f.kernel.mu.Unlock()
		if next, ok := f.Next(); ok && next == at {
			return
		}
		<-changed
	}
}

// StepWall sets the wall clock forward by d, or backward, and reports the Jump.
func (f *Fake) StepWall(d time.Duration) {
	f.kernel.mu.Lock()
	f.kernel.wallTime = f.kernel.wallTime.Add(d)
	f.kernel.mu.Unlock()
	f.report(Jump{At: f.Now(), By: d})
}

// LoseSteps reports that steps of the wall clock aren't noticed any more.
func (f *Fake) LoseSteps(err error) { f.report(Jump{At: f.Now(), Lost: err}) }

type fakeKernel struct {
	mu       sync.Mutex
	time     Instant
	wallTime time.Time
	changed  chan struct{} // closed and replaced when the earliest wait changes
}

func (k *fakeKernel) set(now Instant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wallTime = k.wallTime.Add(now.Sub(k.time))
	k.time = now
}

func (k *fakeKernel) now() Instant {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.time
}

func (k *fakeKernel) wall() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wallTime
}

func (k *fakeKernel) arm(Instant) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.changed)
	k.changed = make(chan struct{})
	return nil
}

func (k *fakeKernel) close() error { return nil }
