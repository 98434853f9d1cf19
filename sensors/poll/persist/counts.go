// Package persist keeps what a poller knows across the lives of sensors and of
// the process: the counts of sensors that count, and when tasks were run.
package persist

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

// CountsFile, in the state directory, holds the counts of all sensors.
const CountsFile = "counters.json"

// Counts is what sensors that count keep across their own and the process's
// lives. Those that aren't configured at present are kept too: a sensor that
// comes back counts on.
type Counts struct {
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

// NewCounts are those in the state directory; empty: they end with the process.
func NewCounts(directory string, log *slog.Logger) *Counts {
	c := &Counts{log: log, kept: map[string]count{}}
	if directory != "" {
		c.store = state.In(directory, CountsFile)
	}
	return c
}

// Take takes over the counts of the previous process, before the first of them
// is published. From then on they are this process's to write at its end.
func (c *Counts) Take() {
	if c.store == nil || c.taken {
		return
	}
	c.taken = true
	kept, err := state.Decode[map[string]count](c.store.Take())
	if err != nil {
		c.log.Error("can't use the counts of the previous run as they are: counters that are missing reset to zero", "file", c.store.Path(), "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.kept, kept)
}

// Restore gives a sensor that was just built what it counted before.
func (c *Counts) Restore(cfg *config.Sensor, k sensors.Keeper) {
	c.mu.Lock()
	kept, ok := c.kept[cfg.Name]
	c.mu.Unlock()
	if !ok || kept.Driver != cfg.Driver.Name {
		return
	}
	if err := k.Restore(kept.State); err != nil {
		c.log.Error("can't restore the count: the counter resets to zero", "sensor", cfg.Name, "err", err)
	}
}

// Keep notes a sensor's count: after each read, so that a sensor that is built
// again never shows less than before.
func (c *Counts) Keep(cfg *config.Sensor, k sensors.Keeper) error {
	data, err := k.State()
	if err != nil {
		return fmt.Errorf("keep the count: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[cfg.Name] = count{cfg.Driver.Name, data}
	return nil
}

// Save writes the counts, at a clean end only: a file that was written before
// could be less than what was shown when the process is killed.
func (c *Counts) Save() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store == nil || !c.taken || len(c.kept) == 0 {
		return
	}
	data, err := json.Marshal(c.kept)
	if err == nil {
		err = c.store.Write(data)
	}
	if err != nil {
		c.log.Error("can't save the counts: counters reset to zero at the next start", "file", c.store.Path(), "err", err)
	}
}
