// Package runs keeps the counters of runs of `dormouse read --textfile`, each of
// which is a process of its own: Prometheus must not see a counter reset at
// each run.
package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
)

// file is the name of the file in the state directory.
const file = "runs.json"

// runs is what the series of a text file know of earlier runs.
type runs struct {
	Version int                   `json:"version"`
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

// Add adds the counts of earlier runs to a snapshot of this run, and keeps the
// sums in the directory, which is created, for the next. A file that can't be
// read is renamed: the counters reset to zero, which Prometheus understands.
// Whatever the error, the snapshot's readings are valid.
func Add(directory string, snapshot *sensors.Snapshot, clock *alarm.Clock) error {
	path := filepath.Join(directory, file)
	r, lost := loadRuns(path)
	r.add(snapshot, clock)
	data, err := json.Marshal(r)
	if err != nil {
		return errors.Join(lost, err)
	}
	// Without a flush: after a power cut the counters may reset to zero, and an
	// SD card is spared a flush at every run.
	temp := path + ".new"
	err = os.MkdirAll(directory, 0o755)
	if err == nil {
		err = os.WriteFile(temp, append(data, '\n'), 0o644)
	}
	if err != nil {
		return errors.Join(lost, fmt.Errorf("keep the counters of this run: %w: give a directory that can be written with --state.directory", err))
	}
	return errors.Join(lost, os.Rename(temp, path))
}

func loadRuns(path string) (*runs, error) {
	r := &runs{}
	data, err := os.ReadFile(path)
	if err == nil {
		if err = json.Unmarshal(data, r); err == nil && r.Version != 1 {
			err = fmt.Errorf("version %d is not known", r.Version)
		}
		if err != nil {
			err = errors.Join(err, os.Rename(path, path+".damaged"))
		}
	}
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	default:
		err = fmt.Errorf("read the counters of earlier runs, %s: %w: they reset to zero", path, err)
	}
	return &runs{Version: 1}, err
}

// add makes the snapshot's counters sums over all runs, and r the same.
func (r *runs) add(snapshot *sensors.Snapshot, clock *alarm.Clock) {
	stats := &snapshot.Stats
	stats.Awake += r.Awake
	for cause, n := range r.Wakes {
		stats.Wakes[cause] += n
	}
	next := runs{Version: 1, Awake: stats.Awake, Wakes: stats.Wakes, Sensors: map[string]sensorRuns{}}
	// The sensors of other configurations are kept: they may be read in turn.
	for name, s := range r.Sensors {
		next.Sensors[name] = s
	}
	for i := range snapshot.Results {
		result := &snapshot.Results[i]
		// The next read is known only to the scheduler of these runs.
		result.NextRead = 0
		before := r.Sensors[result.Name]
		if before.Driver != result.Driver {
			before = sensorRuns{}
		}
		now := sensorRuns{Driver: result.Driver, Reads: before.Reads + result.Reads, Errors: map[sensors.Reason]uint64{}, LastSuccess: before.LastSuccess}
		for reason, n := range before.Errors {
			now.Errors[reason] = n
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
