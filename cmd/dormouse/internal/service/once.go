package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// ReportDown writes the sensors and channels that failed, for which Prometheus'
// format has no words, and tells whether there are any.
func ReportDown(w io.Writer, snapshot *sensors.Snapshot) (failed bool) {
	for i := range snapshot.Results {
		r := &snapshot.Results[i]
		if r.Tried && !r.Up {
			failed = true
			fmt.Fprintf(w, "dormouse: sensor %s is down: %s\n", r.Name, exporter.Printable(fmt.Sprint(r.Err)))
			continue
		}
		for _, f := range r.Failures {
			failed = true
			fmt.Fprintf(w, "dormouse: sensor %s %s\n", r.Name, exporter.Printable(fmt.Sprintf("%s: %v", strings.Join(f.Labels, " "), f.Err)))
		}
	}
	return failed
}

// ReadOnce reads the named sensors, all without a name, without becoming a
// daemon. The snapshot holds only these.
func ReadOnce(ctx context.Context, cfg *config.Config, b board.Board, clock *alarm.Clock, log *slog.Logger, names []string) (*sensors.Snapshot, error) {
	if err := daemon.CloseOnExec(); err != nil { // programs get no descriptor of ours
		return nil, err
	}
	poller, err := poll.New(poll.Options{Config: cfg, Board: b, Clock: clock, Log: log, Start: daemon.StartChild, Wait: daemon.WaitChild})
	if err != nil {
		return nil, err
	}
	snapshot, err := poller.ReadNow(ctx, names...)
	if err = errors.Join(err, poller.Close()); err != nil {
		return nil, err
	}
	if len(names) > 0 {
		only := *snapshot
		only.Results = slices.DeleteFunc(slices.Clone(snapshot.Results), func(r sensors.Result) bool { return !slices.Contains(names, r.Name) })
		snapshot = &only
	}
	return snapshot, nil
}
