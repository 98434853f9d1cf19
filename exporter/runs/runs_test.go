package runs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
)

// oneRun is the snapshot of a single run.
func oneRun(up bool, now sensors.Instant) *sensors.Snapshot {
	r := sensors.Result{Name: "cpu", Driver: "thermal", Reads: 1, Up: up, Errors: map[sensors.Reason]uint64{}}
	if up {
		r.LastSuccess = now
	} else {
		r.Errors[sensors.IO] = 1
	}
	return &sensors.Snapshot{Results: []sensors.Result{r}, Stats: sensors.Stats{Awake: time.Second, Wakes: map[string]uint64{sensors.WakeRequest: 1}}}
}

func TestCountersGoOnFromRunToRun(t *testing.T) {
	dir := t.TempDir()
	wall := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	run := func(up bool, uptime time.Duration, at time.Time) sensors.Result {
		t.Helper()
		clock := alarm.NewFake(alarm.Instant(uptime), at)
		s := oneRun(up, clock.Now())
		if err := add(dir, s, clock.Clock); err != nil {
			t.Fatal(err)
		}
		return s.Results[0]
	}
	run(true, time.Hour, wall)
	second := run(false, 2*time.Hour, wall.Add(time.Hour))
	if second.Reads != 2 || second.Errors[sensors.IO] != 1 {
		t.Errorf("second run: %+v", second)
	}
	if want := alarm.Instant(time.Hour); second.LastSuccess != want {
		t.Errorf("its last success is %v, want the first run's, %v", second.LastSuccess, want)
	}
	// A clock that was set back: the last success lies before the boot.
	third := run(false, time.Minute, wall.Add(2*time.Hour))
	if third.Reads != 3 || third.Errors[sensors.IO] != 2 || third.LastSuccess != alarm.Instant(time.Minute-2*time.Hour) {
		t.Errorf("after the step: %+v", third)
	}
	// In 1970 no time can be told, and none is forgotten.
	if s := run(false, time.Second, time.Unix(0, 0)); !s.LastSuccess.IsZero() {
		t.Errorf("in 1970 the last success is %v", s.LastSuccess)
	}
	if s := run(false, time.Hour, wall.Add(3*time.Hour)); s.LastSuccess != alarm.Instant(time.Hour-3*time.Hour) || s.Reads != 5 {
		t.Errorf("with a true clock again: %+v", s)
	}
	clock := alarm.NewFake(1, wall)
	s := oneRun(true, 1)
	s.Results[0].Driver = "w1"
	if err := add(dir, s, clock.Clock); err != nil || s.Results[0].Reads != 1 {
		t.Errorf("another driver inherits: %+v, %v", s.Results[0], err)
	}
	if s.Stats.Wakes[sensors.WakeRequest] != 6 || s.Stats.Awake != 6*time.Second {
		t.Errorf("stats: %+v", s.Stats)
	}
}

func TestRunsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	clock := alarm.NewFake(1, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	for _, text := range []string{"{", `{"version":3}`} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := oneRun(true, 1)
		err := add(dir, s, clock.Clock)
		if err == nil || !strings.Contains(err.Error(), "reset to zero") || s.Results[0].Reads != 1 {
			t.Errorf("%s: %v, %d reads", text, err, s.Results[0].Reads)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%s was changed: %q, %v", text, after, err)
		}
		// The next runs go on under the other name.
		again := oneRun(true, 1)
		if err := add(dir, again, clock.Clock); err == nil || !strings.Contains(err.Error(), path+".1 is used instead") || again.Results[0].Reads != 2 {
			t.Errorf("%s: the next run: %v, %d reads", text, err, again.Results[0].Reads)
		}
		if err := os.Remove(path + ".1"); err != nil {
			t.Fatal(err)
		}
	}
	s := oneRun(true, 1)
	if err := add(path, s, clock.Clock); err == nil || !strings.Contains(err.Error(), "--state.directory") {
		t.Errorf("no directory but a file: %v", err)
	}
}

// Runs that overlap count one after the other, and what was written last has the
// most.
func TestRunsThatOverlap(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	const n = 40
	var mu sync.Mutex
	var written []uint64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			clock, err := alarm.New()
			if err != nil {
				t.Error(err)
				return
			}
			defer clock.Close()
			s := oneRun(true, clock.Now())
			kept, err := Write(t.Context(), dir, s, clock, func() error {
				mu.Lock()
				defer mu.Unlock()
				written = append(written, s.Results[0].Reads)
				return nil
			})
			if kept != nil || err != nil {
				t.Error(kept, err)
			}
		})
	}
	all.Wait()
	for i, reads := range written {
		if reads != uint64(i+1) {
			t.Fatalf("written one after the other: %d", written)
		}
	}
	if len(written) != n {
		t.Errorf("%d runs were written", len(written))
	}
}

// A run that waits for another one can be ended; without a directory nothing is
// waited for, and where it can't be made the readings are written all the same.
func TestWriteWithoutItsTurn(t *testing.T) {
	dir := t.TempDir()
	clock := alarm.NewFake(1, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	unlock, err := lock(t.Context(), dir, clock.Clock)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	wrote := 0
	write := func() error { wrote++; return nil }
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Write(ended, dir, oneRun(true, 1), clock.Clock, write); !errors.Is(err, context.Canceled) || wrote != 0 {
		t.Errorf("while another one writes: %v, written %d times", err, wrote)
	}
	free := t.TempDir()
	if _, err := Write(ended, free, oneRun(true, 1), clock.Clock, write); !errors.Is(err, context.Canceled) || wrote != 0 {
		t.Errorf("with its turn, but ended: %v, written %d times", err, wrote)
	}
	f, err := os.Open(free)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("a run that was ended keeps others from their turn: %v", err)
	}
	if kept, err := Write(t.Context(), "", oneRun(true, 1), clock.Clock, write); kept != nil || err != nil || wrote != 1 {
		t.Errorf("without a directory: %v, %v, written %d times", kept, err, wrote)
	}
	if kept, err := Write(t.Context(), "/proc/none", oneRun(true, 1), clock.Clock, write); kept == nil || !strings.Contains(kept.Error(), "--state.directory") || err != nil || wrote != 2 {
		t.Errorf("without a place for it: %v, %v, written %d times", kept, err, wrote)
	}
}
