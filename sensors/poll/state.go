package poll

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// stateFile holds the counts of all sensors: one file, so that saving is one
// write however many sensors count.
const stateFile = "counters.json"

// saveEvery is how often counts are written to the state directory while the
// daemon runs: a flash card wears out by writing.
const saveEvery = time.Hour

// states is what sensors that count keep across their own and the process's
// lives. Those that aren't configured at present are kept too: a sensor that
// comes back counts on.
type states struct {
	path string // empty: nothing outlives the process
	log  *slog.Logger

	mu     sync.Mutex
	kept   map[string]state // by sensor
	dirty  bool
	saved  sensors.Instant
	failed bool // logged
}

type state struct {
	Driver string `json:"driver"`
	State  []byte `json:"state"`
}

type statesFile struct {
	Version  int              `json:"version"`
	Counters map[string]state `json:"counters"`
}

// loadStates reads the state directory. What can't be read is said, and put
// aside where it can be.
func loadStates(directory string, log *slog.Logger, now sensors.Instant) *states {
	st := &states{log: log, kept: map[string]state{}, saved: now}
	if directory == "" {
		return st
	}
	st.path = filepath.Join(directory, stateFile)
	data, err := os.ReadFile(st.path)
	if errors.Is(err, fs.ErrNotExist) {
		return st
	}
	file := statesFile{}
	if err == nil {
		if err = json.Unmarshal(data, &file); err == nil && file.Version != 1 {
			err = fmt.Errorf("version %d is not known", file.Version)
		}
		if err != nil {
			err = errors.Join(err, os.Rename(st.path, st.path+".damaged"))
		}
	}
	if err != nil {
		log.Error("can't read the counts of the last run: counters begin anew", "file", st.path, "err", err)
		return st
	}
	if file.Counters != nil {
		st.kept = file.Counters
	}
	return st
}

// restore gives a sensor that was just built what it counted before.
func (st *states) restore(r *reader) {
	k, ok := r.sensor.(sensors.Keeper)
	if !ok {
		return
	}
	st.mu.Lock()
	s, ok := st.kept[r.cfg.Name]
	st.mu.Unlock()
	if !ok || s.Driver != r.cfg.Driver.Name {
		return
	}
	if err := k.Restore(s.State); err != nil {
		r.log.Error("can't restore the count: it begins anew", "err", err)
	}
}

// take notes a sensor's count.
func (st *states) take(cfg *config.Sensor, k sensors.Keeper) error {
	data, err := k.State()
	if err != nil {
		return fmt.Errorf("keep the count: %w", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if old, ok := st.kept[cfg.Name]; ok && old.Driver == cfg.Driver.Name && string(old.State) == string(data) {
		return nil
	}
	st.kept[cfg.Name] = state{cfg.Driver.Name, append([]byte(nil), data...)}
	st.dirty = true
	return nil
}

// due tells whether it is time to save.
func (st *states) due(now sensors.Instant) bool {
	return st.path != "" && now.Sub(st.saved) >= saveEvery
}

// save writes what changed, so that the file is either the old or the new one
// whatever happens meanwhile.
func (st *states) save(now sensors.Instant) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.saved = now
	if st.path == "" || !st.dirty {
		return
	}
	err := st.write()
	if err == nil {
		st.dirty = false
	}
	if err != nil && !st.failed {
		st.log.Error("can't save the counts: they will be lost at the next restart", "file", st.path, "err", err)
	}
	st.failed = err != nil
}

func (st *states) write() (err error) {
	data, err := json.Marshal(statesFile{1, st.kept})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(st.path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(st.path), stateFile+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), st.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(st.path))
}

// syncDirectory makes the renaming itself outlive a power cut.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keep notes the count of a sensor that has one.
func (st *states) keep(s *sensor) {
	if s.reader == nil {
		return
	}
	k, ok := s.reader.sensor.(sensors.Keeper)
	if !ok {
		return
	}
	if err := st.take(s.cfg, k); err != nil {
		s.log.Error("can't note the count", "err", err)
	}
}
