package service

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// publish is called after each wake.
func (s *service) publish(snapshot *sensors.Snapshot) {
	s.page.Publish(snapshot)
	if len(s.Listeners) > 0 {
		s.status.Publish(snapshot)
	}
	if first := s.FirstWake; first != nil {
		s.FirstWake = nil
		if err := first(snapshot); err != nil {
			s.Log.Debug("the first readings couldn't be printed", "err", err)
		}
	}
	if s.Textfile != "" {
		select {
		case s.textfiles <- struct{}{}:
		default: // one is asked for already
		}
	}
	// Reported at each wake, it would make the supervisor wake each time, too.
	if now := count(snapshot); now != s.reported || s.reportAgain.Swap(false) {
		s.reported = now
		s.supervisorKnows(s.Process.Status(now.String()))
	}
}

// writeTextfiles writes the text file when it is asked to, in a goroutine of its
// own: sensors are read on time where its file system doesn't answer.
func (s *service) writeTextfiles(ctx context.Context) {
	failed := false
	for {
		select {
		case <-s.textfiles:
		case <-ctx.Done():
			return
		}
		err := s.page.WriteTextfile(s.Textfile)
		if err != nil && !failed {
			s.Log.Error("the text file can't be written; the daemon runs on without it", "file", s.Textfile, "err", err)
		}
		if err == nil && failed {
			s.Log.Info("the text file is written again", "file", s.Textfile)
		}
		failed = err != nil
	}
}

// A tally is the state as systemctl status shows it.
type tally struct{ up, of int }

func count(snapshot *sensors.Snapshot) tally {
	t := tally{of: len(snapshot.Results)}
	for i := range snapshot.Results {
		if snapshot.Results[i].Up {
			t.up++
		}
	}
	return t
}

func (t tally) String() string { return fmt.Sprintf("%d of %d sensors up", t.up, t.of) }

// dump writes the state of the sensors and of the wires to the log, at the
// lowest level that the log shows: somebody asked for it.
func (s *service) dump() {
	level := slog.LevelInfo
	for level < slog.LevelError && !s.Log.Enabled(context.Background(), level) {
		level += slog.LevelWarn - slog.LevelInfo
	}
	state := func(message string, attrs ...any) { s.Log.Log(context.Background(), level, message, attrs...) }
	snapshot := s.poller.Snapshot()
	if snapshot == nil {
		state("state", "sensors", 0, "text", "nothing was read yet")
		return
	}
	for i := range snapshot.Results {
		state("state", stateOf(&snapshot.Results[i], s.Clock)...)
	}
	for _, wire := range snapshot.Wires {
		state("wire", "kind", wire.Kind, "name", wire.Name, "where", wire.Where, "active", wire.Active)
	}
	attrs := []any{"daemon", count(snapshot).String(), "goroutines", runtime.NumGoroutine()}
	if next, ok := s.Clock.Wall(snapshot.NextWake); ok {
		attrs = append(attrs, "next_wake", next.Format(time.RFC3339))
	}
	state("state", attrs...)
}

// stateOf are the attributes of a sensor's line in the dump.
func stateOf(r *sensors.Result, clock exporter.Clock) []any {
	attrs := []any{"sensor", r.Name, "driver", r.Driver, "wiring", r.Wiring, "up", r.Up, "reads", r.Reads}
	if r.Err != nil {
		attrs = append(attrs, "err", r.Err)
	}
	for _, reading := range r.Readings {
		name := strings.Join(append([]string{reading.Quantity.Name}, reading.Labels...), "/")
		if reading.Plain() {
			attrs = append(attrs, name, reading.Quantity.Format(reading.Value))
		} else if at, ok := clock.Wall(reading.At); ok {
			attrs = append(attrs, name, at.Format(time.RFC3339))
		}
	}
	return attrs
}
