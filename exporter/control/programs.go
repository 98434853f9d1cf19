package control

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// A Program is what is kept of the runs of one sensor's program. Its output is
// told to root and the daemon's user alone: it may hold anything.
type Program struct {
	Name   string `json:"name"`
	Last   *Run   `json:"last,omitempty"`   // absent before the first
	Failed *Run   `json:"failed,omitempty"` // the last that failed; absent: none has
	// Skipped is how many planned runs weren't made, by cause.
	Skipped map[string]uint64 `json:"skipped,omitempty"`
}

// A Run is one run of a program.
type Run struct {
	Began  *time.Time `json:"began"` // null while the clock can't be true
	Took   float64    `json:"took_seconds"`
	Status int        `json:"status"` // 128 and the signal, where a signal ended it
	Error  string     `json:"error,omitempty"`
	Output string     `json:"output"`
	Cut    int64      `json:"cut_bytes,omitempty"` // gone before Output
}

// ProgramsOf are the programs among the named sensors of a snapshot, all
// without a name.
func ProgramsOf(s *sensors.Snapshot, clock exporter.Clock, names ...string) []Program {
	programs := []Program{}
	if s == nil {
		return programs
	}
	for i := range s.Results {
		r := &s.Results[i]
		if r.LastRun == nil && r.Skipped == nil || len(names) > 0 && !slices.Contains(names, r.Name) {
			continue
		}
		programs = append(programs, Program{r.Name, runOf(r.LastRun, clock), runOf(r.FailedRun, clock), r.Skipped})
	}
	return programs
}

func runOf(r *sensors.Run, clock exporter.Clock) *Run {
	if r == nil {
		return nil
	}
	run := &Run{Took: r.Took.Seconds(), Status: r.Status, Output: r.Output, Cut: r.Cut}
	if at, ok := clock.Wall(r.Began); ok {
		run.Began = &at
	}
	if r.Err != nil {
		run.Error = r.Err.Error()
	}
	return run
}

// Programs asks the daemon of a pidfile for the runs of the named sensors'
// programs, of all without a name.
func Programs(ctx context.Context, pidFile string, names ...string) ([]Program, error) {
	return get[[]Program](ctx, pidFile, "/programs", url.Values{"name": names})
}

func (s *Server) programs(w http.ResponseWriter, q *http.Request) {
	s.answer(w, ProgramsOf(s.Snapshot(), s.Clock, q.URL.Query()["name"]...))
}
