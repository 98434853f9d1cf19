package persist

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/state"
)

// RecordsFile, in the state directory, holds when tasks that catch up were last run.
const RecordsFile = "tasks.json"

// mostWait is how long a run waits for its record. A disk that was switched off
// to save power turns within that time.
const mostWait = 10 * time.Second

// A Disk keeps a value beyond the life of the process: a [state.Store]. Last is
// called once, before Write.
type Disk interface {
	Last() ([]byte, error)
	Write([]byte) error
	Path() string
}

// Records are the planned times for which tasks were last run. They are
// written when a run begins, so that an end without warning loses none.
//
// Only Open, Begin and Close wait for the disk, Begin for a limited time: the
// poll loop calls none of them between its start and its end.
type Records struct {
	clock *alarm.Clock
	log   *slog.Logger
	disk  Disk // nil: nothing outlives the process

	opened  sync.Once
	writing sync.WaitGroup // of one goroutine at most

	mu     sync.Mutex
	tasks  map[string]record
	busy   bool          // something is being written
	next   chan struct{} // closed when what was noted since then is written; nil: nothing was
	failed bool          // logged
}

type record struct {
	At   string    `json:"at"`   // the cron expression
	Last time.Time `json:"last"` // the planned time, or since when the task is known
}

// NewRecords are those in the state directory; empty: nothing outlives the
// process.
func NewRecords(directory string, clock *alarm.Clock, log *slog.Logger) *Records {
	if directory == "" {
		return RecordsOn(nil, clock, log)
	}
	return RecordsOn(state.In(directory, RecordsFile), clock, log)
}

// RecordsOn are those on a disk; nil: nothing outlives the process.
func RecordsOn(disk Disk, clock *alarm.Clock, log *slog.Logger) *Records {
	return &Records{clock: clock, log: log, disk: disk, tasks: map[string]record{}}
}

// Open reads, once, what earlier processes have recorded, if a task of the
// configuration catches up.
func (r *Records) Open(cfg *config.Config) {
	for _, s := range cfg.Sensors {
		if s.Schedule.CatchUp > 0 && r.disk != nil {
			r.opened.Do(r.open)
			return
		}
	}
}

func (r *Records) open() {
	tasks, err := state.Decode[map[string]record](r.disk.Last())
	if err != nil {
		r.log.Error("can't read when tasks were last run: what was missed may not be caught up", "file", r.disk.Path(), "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.tasks, tasks)
}

// Last is the planned time of the last run of a task with this schedule.
func (r *Records) Last(name, at string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	task, ok := r.tasks[name]
	return task.Last.Local(), ok && task.At == at
}

// Begin records the planned time of a run that is about to begin, and returns
// when that is written. What can't be written, or not within [mostWait], is
// logged, and the task is run all the same. undo takes it back, for a run that
// didn't begin after all.
func (r *Records) Begin(ctx context.Context, name, at string, last time.Time) (undo func()) {
	before, known := r.Last(name, at)
	undo = func() {
		if known {
			r.Note(name, at, before)
		}
	}
	written := r.Note(name, at, last)
	limited := r.clock.WithDeadline(ctx, r.clock.Now().Add(mostWait))
	defer limited.Cancel()
	select {
	case <-written:
	case <-limited.Done():
		if ctx.Err() == nil {
			r.log.Error("can't record that a task is run: it is run now, and after an end without warning it may be run again; see whether the file system of the state directory answers",
				"sensor", name, "file", r.disk.Path(), "waited", duration.Format(mostWait))
		}
	}
	return undo
}

// Note records a planned time that is served or counted, and has it written
// without waiting for it. The channel is closed when that was tried.
func (r *Records) Note(name, at string, last time.Time) (written <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks[name] = record{at, last}
	if r.next == nil {
		r.next = make(chan struct{})
	}
	written = r.next
	switch {
	case r.disk == nil:
		close(r.next)
		r.next = nil
	case !r.busy:
		r.busy = true
		r.writing.Go(r.write)
	}
	return written
}

// write writes until nothing new was noted meanwhile.
func (r *Records) write() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next != nil {
		written := r.next
		r.next = nil
		data, err := json.Marshal(r.tasks)
		if err == nil {
			r.mu.Unlock()
			err = r.disk.Write(data)
			r.mu.Lock()
		}
		if err != nil && !r.failed {
			r.log.Error("can't record that a task is run: after an end without warning it may be run again", "err", err)
		}
		r.failed = err != nil
		close(written)
	}
	r.busy = false
}

// Close returns when all that was noted is written.
func (r *Records) Close() { r.writing.Wait() }
