package main

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

// runsFile holds what `read --textfile` counted in earlier runs: Prometheus must
// not see a counter begin anew at each of them.
const runsFile = "runs.json"

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

// countOn adds what earlier runs counted to a snapshot of this one, and keeps
// the sum for the next. A file that can't be read is put aside: the counters
// begin anew, which Prometheus understands, and the readings are true anyway.
func countOn(directory string, snapshot *sensors.Snapshot, clock *alarm.Clock) error {
	path := filepath.Join(directory, runsFile)
	r, lost := loadRuns(path)
	r.add(snapshot, clock)
	data, err := json.Marshal(r)
	if err != nil {
		return errors.Join(lost, err)
	}
	// Not flushed: after a power cut the counters may begin anew, and a card is
	// spared a flush at every run.
	temp := path + ".new"
	err = os.MkdirAll(directory, 0o755)
	if err == nil {
		err = os.WriteFile(temp, append(data, '\n'), 0o644)
	}
	if err != nil {
		return errors.Join(lost, fmt.Errorf("keep the counters of this run: %w: name a directory that can be written with --state.directory", err))
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
		err = fmt.Errorf("read the counters of earlier runs, %s: %w: they begin anew", path, err)
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
		// When it is read next is known only to what starts these runs.
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
