package persist

import (
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"example.org/dormouse/sensors/state"
)

// RecordsFile, in the state directory, holds when tasks that catch up were last run.
const RecordsFile = "tasks.json"

// Records are the planned times for which tasks were last run. They are
// written when a run begins, so that an end without warning loses none.
type Records struct {
	log   *slog.Logger
	store *state.Store // nil: nothing outlives the process

	opened sync.Once // when a task that catches up is first planned

	mu     sync.Mutex
	tasks  map[string]record
	failed bool // logged
}

type record struct {
	At   string    `json:"at"`   // the cron expression
	Last time.Time `json:"last"` // the planned time, or since when the task is known
}

// NewRecords are those in the state directory; empty: nothing outlives the
// process.
func NewRecords(directory string, log *slog.Logger) *Records {
	r := &Records{log: log, tasks: map[string]record{}}
	if directory != "" {
		r.store = state.In(directory, RecordsFile)
	}
	return r
}

// open reads what earlier processes have recorded.
func (r *Records) open() {
	tasks, err := state.Decode[map[string]record](r.store.Last())
	if err != nil {
		r.log.Error("can't read when tasks were last run: what was missed may not be caught up", "file", r.store.Path(), "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.tasks, tasks)
}

// Last is the planned time of the last run of a task with this schedule.
func (r *Records) Last(name, at string) (time.Time, bool) {
	if r.store != nil {
		r.opened.Do(r.open)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	task, ok := r.tasks[name]
	return task.Last.Local(), ok && task.At == at
}

// Note records a planned time that is served, and writes it at once. What can't
// be written is logged, and the task is run all the same.
func (r *Records) Note(name, at string, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks[name] = record{at, last}
	if r.store == nil {
		return
	}
	data, err := json.Marshal(r.tasks)
	if err == nil {
		err = r.store.Write(data)
	}
	if err != nil && !r.failed {
		r.log.Error("can't record that a task is run: after an end without warning it may be run again", "err", err)
	}
	r.failed = err != nil
}
