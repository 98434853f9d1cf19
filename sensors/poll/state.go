package poll

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/state"
)

// countersFile holds the counts of all sensors.
const countersFile = "counters.json"

// states is what sensors that count keep across their own and the process's
// lives. Those that aren't configured at present are kept too: a sensor that
// comes back counts on.
type states struct {
	log   *slog.Logger
	store *state.Store // nil: nothing outlives the process
	taken bool         // from the store

	mu   sync.Mutex
	kept map[string]count // by sensor
}

// A count is what a sensor's driver keeps.
type count struct {
	Driver string `json:"driver"`
	State  []byte `json:"state"`
}

func newStates(directory string, log *slog.Logger) *states {
	st := &states{log: log, kept: map[string]count{}}
	if directory != "" {
		st.store = state.In(directory, countersFile)
	}
	return st
}

// take takes over the counts of the previous process, before the first of them
// is published. From then on they are this process's to write at its end.
func (st *states) take() {
	if st.store == nil || st.taken {
		return
	}
	st.taken = true
	kept, err := state.Decode[map[string]count](st.store.Take())
	if err != nil {
		st.log.Error("can't use the counts of the previous run as they are: counters that are missing reset to zero", "file", st.store.Path(), "err", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	maps.Copy(st.kept, kept)
}

// restore gives a sensor that was just built what it counted before.
func (st *states) restore(r *reader) {
	k, ok := r.sensor.(sensors.Keeper)
	if !ok {
		return
	}
	st.mu.Lock()
	c, ok := st.kept[r.cfg.Name]
	st.mu.Unlock()
	if !ok || c.Driver != r.cfg.Driver.Name {
		return
	}
	if err := k.Restore(c.State); err != nil {
		r.log.Error("can't restore the count: the counter resets to zero", "err", err)
	}
}

// keep notes a sensor's count: after each read, so that a sensor that is built
// again never shows less than before.
func (st *states) keep(cfg *config.Sensor, k sensors.Keeper) error {
	data, err := k.State()
	if err != nil {
		return fmt.Errorf("keep the count: %w", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.kept[cfg.Name] = count{cfg.Driver.Name, data}
	return nil
}

// save writes the counts, at a clean end only: a file that was written before
// could be less than what was shown when the process is killed.
func (st *states) save() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.store == nil || !st.taken || len(st.kept) == 0 {
		return
	}
	data, err := json.Marshal(st.kept)
	if err == nil {
		err = st.store.Write(data)
	}
	if err != nil {
		st.log.Error("can't save the counts: counters reset to zero at the next start", "file", st.store.Path(), "err", err)
	}
}
