package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// neverSet is a clock that can't be true yet.
type neverSet struct{ exporter.Clock }

func (neverSet) Wall(sensors.Instant) (time.Time, bool) { return time.Time{}, false }

func TestTheRunsOfProgramsAreAnswered(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "d.pid")
	l, err := net.Listen("unix", Path(pidFile))
	if err != nil {
		t.Fatal(err)
	}
	failed := &sensors.Run{Took: time.Second, Status: 3, Output: "disk full\n", Cut: 9, Err: errors.New("exit status 3")}
	snapshot := &sensors.Snapshot{Results: make([]sensors.Result, 3)}
	snapshot.Results[0].Name = "roof" // not a program
	snapshot.Results[1].Name, snapshot.Results[1].LastRun, snapshot.Results[1].FailedRun = "backup", failed, failed
	snapshot.Results[2].Name, snapshot.Results[2].LastRun = "other", &sensors.Run{}
	s := Server{Readings: http.NotFoundHandler(), Snapshot: func() *sensors.Snapshot { return snapshot }, Clock: neverSet{}, Log: slog.New(slog.DiscardHandler)}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		<-served
	})

	got, err := Programs(context.Background(), pidFile, "backup", "roof")
	if err != nil || len(got) != 1 {
		t.Fatalf("answered %v, %v; want backup alone", got, err)
	}
	want := Run{Took: 1, Status: 3, Error: "exit status 3", Output: "disk full\n", Cut: 9}
	if p := got[0]; p.Name != "backup" || p.Last == nil || *p.Last != want || p.Failed == nil || *p.Failed != want {
		t.Errorf("answered %+v, last %+v", p, p.Last)
	}
	if got, err = Programs(context.Background(), pidFile); err != nil || len(got) != 2 {
		t.Errorf("without a name answered %v, %v; want both programs", got, err)
	}
}
