package alarm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open1(t testing.TB) *Clock {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestNowIsBoottime(t *testing.T) {
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &before); err != nil {
		t.Fatal(err)
	}
	got := Now()
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &after); err != nil {
		t.Fatal(err)
	}
	if int64(got) < before.Nano() || int64(got) > after.Nano() {
		t.Errorf("Now() = %d, want between %d and %d", got, before.Nano(), after.Nano())
	}
}

func TestInstantArithmetic(t *testing.T) {
	i := Instant(0).Add(3 * time.Second)
	if got := i.Sub(Instant(time.Second)); got != 2*time.Second {
		t.Errorf("Sub = %v, want 2s", got)
	}
	if !i.After(1) || i.Before(1) || i.After(i) || i.Before(i) {
		t.Error("order is wrong")
	}
	if i.IsZero() || !Instant(0).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestWall(t *testing.T) {
	sane := time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		instant Instant
		wall    time.Time
		want    time.Time
		ok      bool
	}{
		{"an hour ago", Instant(time.Hour), sane, sane.Add(-time.Hour), true},
		{"in an hour", Instant(3 * time.Hour), sane, sane.Add(time.Hour), true},
		{"none", 0, sane, time.Time{}, false},
		{"no clock chip", Instant(time.Hour), time.Unix(0, 0), time.Time{}, false},
		{"before this build", Instant(time.Hour), written.Add(-time.Second), time.Time{}, false},
	} {
		got, ok := wallAt(tt.instant, Instant(2*time.Hour), tt.wall)
		if !got.Equal(tt.want) || ok != tt.ok {
			t.Errorf("%s: got %v %v, want %v %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
	isTrue := !time.Now().Before(plausible()) // this machine's clock, as far as can be told
	before := time.Now()
	got, ok := Now().Wall()
	took := time.Since(before)
	// The two clocks are read one after the other, within that time.
	if off := got.Sub(before); ok != isTrue || ok && (off < -took || off > 2*took) {
		t.Errorf("Now().Wall() = %v %v, want the present time, %v, %v", got, ok, before, isTrue)
	}
	if plausible().Before(written) {
		t.Errorf("plausible date %v is before %v", plausible(), written)
	}
}

func TestAtIsTheInverseOfWall(t *testing.T) {
	f := NewFake(Instant(time.Hour), written.Add(24*time.Hour))
	want := Instant(30 * time.Hour)
	w, ok := f.Wall(want)
	if !ok {
		t.Fatal("the wall clock is not believed")
	}
	if got, ok := f.At(w); got != want || !ok {
		t.Errorf("At(Wall(%v)) = %v %v", want, got, ok)
	}
	f.StepWall(-48 * time.Hour)
	if got, ok := f.At(w); ok {
		t.Errorf("At believes a clock before the build: %v", got)
	}
}

func TestSleepIsAccurate(t *testing.T) {
	c := open1(t)
	at := Now().Add(30 * time.Millisecond)
	if err := c.SleepUntil(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		t.Fatal(err)
	}
	// Early is wrong; how late depends on the machine, but it isn't minutes.
	if late := Instant(ts.Nano()).Sub(at); late < 0 || late > time.Minute {
		t.Errorf("woke %v after the moment", late)
	}
}

func TestSleepInThePast(t *testing.T) {
	c := open1(t)
	for _, d := range []time.Duration{0, -time.Hour} {
		if err := c.Sleep(t.Context(), d); err != nil {
			t.Errorf("Sleep(%v) = %v", d, err)
		}
	}
}

func TestSleepCancelled(t *testing.T) {
	c := open1(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Sleep(ctx, 100*time.Hour) }()
	for !waiting(c, 1) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if c.armed != 0 {
		t.Errorf("the timer is still set, to %d", c.armed)
	}
	if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("sleeping under an ended context: %v, want context.Canceled", err)
	}
}

func waiting(c *Clock, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) == n
}

func TestManySleepersWakeInOrder(t *testing.T) {
	f := NewFake(1, written)
	const n = 200
	var woken []time.Duration
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, i := range rand.Perm(n) {
		d := time.Duration(i+1) * time.Second
		all.Go(func() {
			if err := f.Sleep(t.Context(), d); err != nil {
				t.Error(err)
			}
			mu.Lock()
			woken = append(woken, d)
			mu.Unlock()
		})
	}
	for !waiting(f.Clock, n) {
		time.Sleep(time.Millisecond)
	}
	for i := range n {
		f.Advance(time.Second)
		for {
			mu.Lock()
			ready := len(woken) == i+1
			mu.Unlock()
			if ready {
				break
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	all.Wait()
	if !slices.IsSorted(woken) {
		t.Errorf("woken out of order: %v", woken)
	}
}

func TestManySleepersOnTheKernel(t *testing.T) {
	c := open1(t)
	var all sync.WaitGroup
	for range 100 {
		at := c.Now().Add(rand.N(50 * time.Millisecond))
		all.Go(func() {
			if err := c.SleepUntil(t.Context(), at); err != nil {
				t.Error(err)
			}
			if c.Now().Before(at) {
				t.Error("woke early")
			}
		})
	}
	all.Wait()
	if c.armed != 0 {
		t.Error("the timer is set while nobody waits")
	}
}

func TestQueueAgainstSorting(t *testing.T) {
	var q queue
	all := make([]*Timer, 500)
	for i := range all {
		all[i] = &Timer{at: Instant(rand.IntN(100))}
		q.add(all[i])
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, gone := range all[:200] {
		q.remove(gone)
		if gone.waiting() {
			t.Fatal("removed, yet waiting")
		}
	}
	var want, got []Instant
	for _, rest := range all[200:] {
		want = append(want, rest.at)
	}
	slices.Sort(want)
	for len(q) > 0 {
		got = append(got, q[0].at)
		q.remove(q[0])
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTimer(t *testing.T) {
	f := NewFake(1, written)
	timer := f.NewTimer()
	set := func(at Instant) {
		t.Helper()
		if err := timer.Set(at); err != nil {
			t.Fatal(err)
		}
	}
	rang := func() Instant {
		select {
		case at := <-timer.C():
			return at
		default:
			return 0
		}
	}
	at := func(s int) Instant { return Instant(1).Add(time.Duration(s) * time.Second) }

	set(at(10))
	set(at(20))
	f.Advance(15 * time.Second)
	if got := rang(); got != 0 {
		t.Errorf("rang for %v, which was set anew", got)
	}
	f.Advance(5 * time.Second)
	if got := rang(); got != at(20) {
		t.Errorf("rang for %v, want %v", got, at(20))
	}
	set(at(5))
	if got := rang(); got != at(5) {
		t.Errorf("rang for %v, want the past moment %v at once", got, at(5))
	}
	set(at(30))
	f.Advance(time.Minute) // rings; nobody receives
	set(at(100))
	if got := rang(); got != 0 {
		t.Errorf("an old ring for %v survived Set", got)
	}
	set(0)
	if next, ok := f.Next(); ok {
		t.Errorf("set to none, yet waits for %v", next)
	}
	set(at(100))
	timer.Stop()
	f.Advance(time.Hour)
	if got := rang(); got != 0 {
		t.Errorf("stopped, yet rang for %v", got)
	}
}

func TestDeadlineExceeded(t *testing.T) {
	c := open1(t)
	far := c.WithDeadline(t.Context(), c.Now().Add(time.Hour))
	defer far.Cancel()
	if err := far.Err(); err != nil {
		t.Fatalf("ended before its deadline: %v", err)
	}
	ctx := c.WithDeadline(t.Context(), c.Now().Add(20*time.Millisecond))
	defer ctx.Cancel()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	<-child.Done()
	for name, ctx := range map[string]context.Context{"context": ctx, "child": child} {
		if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Err() = %v, want DeadlineExceeded", name, err)
		}
		if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Cause = %v, want DeadlineExceeded", name, err)
		}
	}
	ctx.Cancel()
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancel changed the reason to %v", err)
	}
	if _, ok := ctx.Deadline(); ok {
		t.Error("Deadline reports a wall-clock time")
	}
	if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Sleep = %v, want DeadlineExceeded", err)
	}
}

func TestDeadlineEndsASleep(t *testing.T) {
	f := NewFake(1, written)
	ctx := f.WithDeadline(t.Context(), Instant(time.Second))
	defer ctx.Cancel()
	done := make(chan error)
	go func() { done <- f.Sleep(ctx, time.Minute) }()
	for !waiting(f.Clock, 2) {
		time.Sleep(time.Millisecond)
	}
	f.Advance(time.Second)
	if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
}

// The reason of a cancellation reaches what was made of the Context, also by others.
func TestCancelBecause(t *testing.T) {
	f := NewFake(1, written)
	parent := f.WithDeadline(t.Context(), 0)
	between, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	child := f.WithDeadline(between, Instant(time.Hour))
	if !parent.CancelBecause("its configuration changed") || parent.CancelBecause("another") {
		t.Error("it doesn't end once")
	}
	<-child.Done()
	for _, ctx := range []context.Context{parent, between, child} {
		if err := ctx.Err(); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || err.Error() != "its configuration changed" {
			t.Errorf("%T ended by %v", ctx, err)
		}
		if cause := context.Cause(ctx); cause.Error() != "its configuration changed" {
			t.Errorf("%T has the cause %v", ctx, cause)
		}
	}
}

func TestDeadlineCancelled(t *testing.T) {
	type key struct{}
	parent, cancelParent := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
	f := NewFake(1, written)
	for _, tt := range []struct {
		name string
		at   Instant
		end  func(cancel func())
		want error
	}{
		{"past", 1, func(func()) {}, context.DeadlineExceeded},
		{"none", 0, func(cancel func()) { cancel() }, context.Canceled},
		{"cancel", Instant(time.Hour), func(cancel func()) { cancel() }, context.Canceled},
		{"parent", Instant(time.Hour), func(func()) { cancelParent(errors.New("over")) }, context.Canceled},
		{"parent over already", Instant(time.Hour), func(func()) {}, context.Canceled},
	} {
		ctx := f.WithDeadline(parent, tt.at)
		called := make(chan struct{})
		context.AfterFunc(ctx, func() { close(called) })
		notCalled := context.AfterFunc(ctx, func() {})
		stopped := notCalled()
		if ended := ctx.Err() != nil; stopped == ended && tt.at != 0 {
			t.Errorf("%s: AfterFunc's stop returned %v, context ended: %v", tt.name, stopped, ended)
		}
		tt.end(func() { ctx.Cancel() })
		<-ctx.Done()
		<-called
		if err := ctx.Err(); !errors.Is(err, tt.want) {
			t.Errorf("%s: Err() = %v, want %v", tt.name, err, tt.want)
		}
		if ctx.Value(key{}) != "kept" {
			t.Errorf("%s: the parent's values are lost", tt.name)
		}
		ctx.Cancel()
		if next, ok := f.Next(); ok {
			t.Errorf("%s: still waits for %v", tt.name, next)
		}
	}
}

func TestDeadlineFunc(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(f *Fake, c *Context, cancelParent func())
		called bool
	}{
		"cancelled":           {func(*Fake, *Context, func()) {}, false},
		"deadline":            {func(f *Fake, _ *Context, _ func()) { f.Advance(time.Hour) }, true},
		"parent":              {func(_ *Fake, c *Context, cancel func()) { cancel(); <-c.Done() }, true},
		"parent over already": {nil, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := NewFake(1, written)
			parent, cancelParent := context.WithCancel(t.Context())
			if tt.end == nil {
				cancelParent()
			}
			called := 0
			ctx := f.WithDeadlineFunc(parent, f.Now().Add(time.Minute), func() { called++ })
			if tt.end != nil {
				tt.end(f, ctx, cancelParent)
			}
			if first := ctx.Cancel(); first == tt.called {
				t.Errorf("%s: Cancel was the first to end it: %v", name, first)
			}
			f.Advance(time.Hour)
			synctest.Wait()
			if (called == 1) != tt.called {
				t.Errorf("%s: called %d times", name, called)
			}
			cancelParent()
		})
	}
}

// Contexts of one clock know each other, and end from the top down.
func TestDeadlineFamily(t *testing.T) {
	f := NewFake(1, written)
	top := f.WithDeadline(t.Context(), Instant(time.Minute))
	var children [3]*Context
	for i := range children {
		children[i] = f.WithDeadline(top, Instant(time.Hour))
	}
	grandchild := f.WithDeadline(children[2], 0)
	for _, i := range []int{1, 0} { // from the middle of the list, and its end
		children[i].Cancel()
		if err := top.Err(); err != nil {
			t.Fatalf("a child's end ended its parent: %v", err)
		}
	}
	waits := grandchild.Done()
	f.Advance(time.Minute)
	<-waits
	for name, tt := range map[string]struct {
		ctx  *Context
		want error
	}{
		"top": {top, context.DeadlineExceeded}, "child": {children[2], context.DeadlineExceeded},
		"grandchild": {grandchild, context.DeadlineExceeded}, "cancelled before": {children[0], context.Canceled},
		"born after": {f.WithDeadline(top, 0), context.DeadlineExceeded},
	} {
		if err := tt.ctx.Err(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if next, ok := f.Next(); ok {
		t.Errorf("the clock still waits for %v", next)
	}
	if top.children != nil {
		t.Error("the parent still knows a child")
	}
}

// A parent ends while its children do: the race detector watches.
func TestDeadlineFamilyAtOnce(t *testing.T) {
	f := NewFake(1, written)
	for range 50 {
		top := f.WithDeadline(t.Context(), 0)
		var all sync.WaitGroup
		var children [20]*Context
		for i := range children {
			children[i] = f.WithDeadline(top, Instant(time.Hour))
		}
		for _, c := range children {
			all.Go(func() { c.Cancel() })
		}
		all.Go(func() { top.Cancel() })
		all.Wait()
		for i, c := range children {
			if err := c.Err(); !errors.Is(err, context.Canceled) {
				t.Fatalf("child %d: %v", i, err)
			}
		}
		if next, ok := f.Next(); ok {
			t.Fatalf("the clock still waits for %v", next)
		}
	}
}

func TestClosed(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ctx := c.WithDeadline(t.Context(), c.Now().Add(time.Hour))
	defer ctx.Cancel()
	timer := c.NewTimer()
	if err := timer.Set(c.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- c.Sleep(t.Context(), time.Hour) }()
	for !waiting(c, 3) {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("a sleep in progress: %v, want ErrClosed", err)
	}
	if at, open := <-timer.C(); open {
		t.Errorf("the timer rang for %v", at)
	}
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("the context: %v, want Canceled", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := c.Sleep(t.Context(), time.Hour); !errors.Is(err, ErrClosed) {
		t.Errorf("Sleep = %v, want ErrClosed", err)
	}
	if err := timer.Set(c.Now().Add(time.Hour)); !errors.Is(err, ErrClosed) {
		t.Errorf("Set = %v, want ErrClosed", err)
	}
	late := c.WithDeadline(t.Context(), c.Now().Add(time.Hour))
	defer late.Cancel()
	if err := late.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("a context of a closed clock: %v, want Canceled", err)
	}
}

func TestCannotOpen(t *testing.T) {
	const noSuchClock = 99
	if c, err := open(noSuchClock, "CLOCK_NONE"); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "CLOCK_NONE") {
		t.Errorf("got %v, %v; want EINVAL with the clock's name", c, err)
	}
}

func TestArmFails(t *testing.T) {
	c := newClock(brokenKernel{})
	if err := c.Sleep(t.Context(), time.Hour); !errors.Is(err, unix.EIO) {
		t.Errorf("Sleep = %v, want EIO", err)
	}
	if err := c.NewTimer().Set(2); !errors.Is(err, unix.EIO) {
		t.Errorf("Set = %v, want EIO", err)
	}
	ctx := c.WithDeadline(t.Context(), 2)
	defer ctx.Cancel()
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("a deadline that can't be kept: %v, want Canceled", err)
	}
	if !waiting(c, 0) {
		t.Error("somebody is left in the queue")
	}
}

type brokenKernel struct{}

func (brokenKernel) now() Instant      { return 1 }
func (brokenKernel) wall() time.Time   { return time.Time{} }
func (brokenKernel) arm(Instant) error { return unix.EIO }
func (brokenKernel) close() error      { return nil }

func TestJumps(t *testing.T) {
	f := NewFake(1, written)
	f.StepWall(time.Hour)
	if j := <-f.Jumps(); j.By != time.Hour || j.At != 1 {
		t.Errorf("got %+v", j)
	}
	f.Advance(time.Minute)
	f.StepWall(time.Hour)
	f.StepWall(-3 * time.Hour)
	if j := <-f.Jumps(); j.By != -2*time.Hour {
		t.Errorf("two steps nobody received: %v, want their sum -2h", j.By)
	}
	if n := f.JumpCount(); n != 3 {
		t.Errorf("JumpCount = %d, want 3", n)
	}
	want := written.Add(time.Minute - time.Hour)
	if got := f.kernel.wall(); !got.Equal(want) {
		t.Errorf("wall = %v, want %v", got, want)
	}
}

// Somebody may set the machine's clock meanwhile.
func TestNoJumpWithoutStep(t *testing.T) {
	before := wallOffset()
	c := open1(t)
	if err := c.Sleep(t.Context(), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n := c.JumpCount(); n != 0 && (wallOffset()-before).Abs() < leastJump {
		t.Errorf("%d jumps of the wall clock, want none", n)
	}
}

// The kernel must take the farthest time where its seconds have 32 bits, too:
// without it no step of the clock is noticed.
func TestStepWatchArms(t *testing.T) {
	s, err := newStepWatch()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.arm(); err != nil && !errors.Is(err, unix.ECANCELED) {
		t.Error(err)
	}
	if err := s.timer.close(); err != nil {
		t.Error(err)
	}
}

// Where steps of the clock aren't noticed any more, whoever receives them learns
// it, once, and why.
func TestStepsAreLost(t *testing.T) {
	watch := func(prepare func(r, w *os.File)) *Clock {
		var fds [2]int // a pipe's end can be waited for, and isn't a timer
		if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		writer := os.NewFile(uintptr(fds[1]), "writer")
		defer writer.Close()
		timer, err := useTimerfd(fds[0], "a pipe")
		if err != nil {
			t.Fatal(err)
		}
		prepare(timer.file, writer)
		c := newClock(brokenKernel{})
		c.running.Add(1)
		c.watch(&stepWatch{timer: timer}) // returns
		timer.file.Close()
		return c
	}
	c := watch(func(r, w *os.File) {})
	if j := <-c.Jumps(); !errors.Is(j.Lost, unix.EINVAL) || !strings.Contains(j.Lost.Error(), "set the timer on a pipe") || j.By != 0 || j.At.IsZero() {
		t.Errorf("reported %+v, want why it can't be set", j)
	}
	if n := c.JumpCount(); n != 0 {
		t.Errorf("%d steps are counted, and there was none", n)
	}
	c = watch(func(r, w *os.File) { r.Close() })
	select {
	case j := <-c.Jumps():
		t.Errorf("after the end of the Clock %+v is reported", j)
	default:
	}
	// What wasn't received before is in it.
	f := NewFake(1, written)
	f.StepWall(time.Hour)
	f.LoseSteps(unix.EIO)
	if j := <-f.Jumps(); j.By != time.Hour || !errors.Is(j.Lost, unix.EIO) || f.JumpCount() != 1 {
		t.Errorf("reported %+v, %d steps", j, f.JumpCount())
	}
}

func TestSleepDoesNotAllocate(t *testing.T) {
	c := open1(t)
	ctx := t.Context()
	ctx.Done() // made on demand
	n := testing.AllocsPerRun(20, func() {
		if err := c.Sleep(ctx, 100*time.Microsecond); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per sleep, want none", n)
	}
}

// wakeups is the kernel's count of voluntary context switches, over all threads.
func wakeups(t testing.TB) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads in /proc: %v", err)
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var count int
		_, rest, _ := strings.Cut(string(status), "\nvoluntary_ctxt_switches:")
		if _, err := fmt.Sscan(rest, &count); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		n += count
	}
	return n
}

// BenchmarkTwentyWaits is a poll that waits 20 times 50 ms for conversions. The
// bar is 21 wake-ups: one each and one for the measurement itself. Run it with
// GOMAXPROCS=1 in the environment, as the daemon runs.
func BenchmarkTwentyWaits(b *testing.B) {
	c := open1(b)
	b.ReportAllocs()
	before := wakeups(b)
	for b.Loop() {
		for range 20 {
			if err := c.Sleep(b.Context(), 50*time.Millisecond); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(wakeups(b)-before)/float64(b.N), "wakeups/op")
}

// Whether it may wake the machine depends on who runs the test; both answers are
// right, and neither is anything else.
func TestWakingClock(t *testing.T) {
	c, err := NewWaking()
	if err != nil {
		if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CLOCK_BOOTTIME_ALARM") {
			t.Errorf("got %v, want EPERM with the clock's name", err)
		}
		return
	}
	defer c.Close()
	before := c.Now()
	if err := c.Sleep(t.Context(), 5*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if took := c.Now().Sub(before); took < 5*time.Millisecond {
		t.Errorf("slept %v, want 5ms", took)
	}
}
