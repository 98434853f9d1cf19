// Package runs keeps the counters of runs of `dormouse read --textfile`, each of
// which is a process of its own: Prometheus must not see a counter reset at
// each run.
package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/state"
)

// file is the name of the file in the state directory.
const file = "runs.json"

// runs is what the series of a text file know of earlier runs.
type runs struct {
	Awake   time.Duration         `json:"awake"` // ns
	Wakes   map[string]uint64     `json:"wakes"` // by cause
	Sensors map[string]sensorRuns `json:"sensors"`
}

type sensorRuns struct {
	Driver      string                    `json:"driver"`
	Reads       uint64                    `json:"reads"`
	Errors      map[sensors.Reason]uint64 `json:"errors"`
	LastSuccess time.Time                 `json:"last_success,omitzero"` // while the clock was true
}

// Write adds the counts of this boot's earlier runs to a snapshot of this run,
// keeps the sums in the directory for the next, and has write write the snapshot.
// Runs that overlap do so one after the other: otherwise the file that was written
// last could have the smaller counts. kept is why the sums aren't; the snapshot's
// readings are valid and written all the same. err is write's, or ctx's. An empty
// directory keeps nothing.
func Write(ctx context.Context, directory string, snapshot *sensors.Snapshot, clock *alarm.Clock, write func() error) (kept, err error) {
	if directory == "" {
		return nil, write()
	}
	unlock, kept := lock(ctx, directory, clock)
	defer unlock()
	if err := ctx.Err(); err != nil {
		return kept, err
	}
	return errors.Join(kept, add(directory, snapshot, clock)), write()
}

// lookAgain is the pause between two tries to lock. Another run has the lock for as
// long as it takes to write two files.
const lookAgain = 20 * time.Millisecond

// lock makes the directory and waits until no other run has it. unlock may be
// called whatever the error.
func lock(ctx context.Context, directory string, clock *alarm.Clock) (unlock func(), err error) {
	none := func() {}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return none, nil // add tells
	}
	f, err := os.Open(directory)
	if err != nil {
		return none, fmt.Errorf("keep this run apart from others: %w", err)
	}
	unlock = func() { f.Close() } // it was only read
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return unlock, nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return unlock, fmt.Errorf("keep this run apart from others: lock %s: %w", directory, err)
		case clock.Sleep(ctx, lookAgain) != nil:
			return unlock, nil // ctx has ended
		}
	}
}

// add adds the counts of this boot's earlier runs to a snapshot of this run, and
// keeps the sums in the directory, which is created, for the next. After a boot
// counters reset to zero, which Prometheus understands: an SD card is spared a
// flush at every run, so after a power cut the file may be older than what was
// shown last. A file that can't be used is left alone. Whatever the error, the
// snapshot's readings are valid.
func add(directory string, snapshot *sensors.Snapshot, clock *alarm.Clock) error {
	store := state.In(directory, file)
	r, lost := state.Decode[runs](store.ThisBoot())
	if lost != nil {
		lost = fmt.Errorf("read the counters of earlier runs, %s: %w: those that are missing reset to zero", store.Path(), lost)
	}
	r.add(snapshot, clock)
	data, err := json.Marshal(r)
	if err == nil {
		err = store.WriteUnflushed(data)
	}
	if err != nil {
		err = fmt.Errorf("keep the counters of this run: %w: give a directory that can be written with --state.directory", err)
	}
	return errors.Join(lost, err)
}

// add makes the snapshot's counters sums over all runs, and r the same.
func (r *runs) add(snapshot *sensors.Snapshot, clock *alarm.Clock) {
	stats := &snapshot.Stats
	stats.Awake += r.Awake
	for cause, n := range r.Wakes {
		stats.Wakes[cause] += n
	}
	next := runs{Awake: stats.Awake, Wakes: stats.Wakes, Sensors: map[string]sensorRuns{}}
	// The sensors of other configurations are kept: they may be read in turn.
	for name, s := range r.Sensors {
		next.Sensors[name] = s
	}
	for i := range snapshot.Results {
		result := &snapshot.Results[i]
		before := r.Sensors[result.Name]
		if before.Driver != result.Driver {
			before = sensorRuns{}
		}
		now := sensorRuns{Driver: result.Driver, Reads: before.Reads + result.Reads, Errors: map[sensors.Reason]uint64{}, LastSuccess: before.LastSuccess}
		for reason, n := range before.Errors {
			if n > 0 {
				now.Errors[reason] = n
			}
		}
		for reason, n := range result.Errors {
			now.Errors[reason] += n
		}
		if at, ok := clock.Wall(result.LastSuccess); ok {
			now.LastSuccess = at
		} else if !before.LastSuccess.IsZero() && result.LastSuccess.IsZero() {
			result.LastSuccess, _ = clock.At(before.LastSuccess)
		}
		result.Reads, result.Errors = now.Reads, now.Errors
		next.Sensors[result.Name] = now
	}
	*r = next
}
