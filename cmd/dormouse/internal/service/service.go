// Package service is what a daemon does from the moment it is one: it polls,
// serves the page and the control socket, reloads when it is told to, and ends.
// It knows no flags, and nothing of how the process became a daemon.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/logging"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/page"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
	"example.org/dormouse/sensors/state"
)

// Events of this daemon, besides daemon.Terminate and daemon.Reload.
const (
	EventRead daemon.Event = "read" // read all sensors now
	EventDump daemon.Event = "dump" // write the state to the log
)

// Options are what a daemon runs with.
type Options struct {
	Process *daemon.Process
	Log     *logging.Logger
	Clock   *alarm.Clock
	Board   board.Board

	Files
	// Load reads the files again. An error keeps those in use.
	Load func() (Files, error)

	Build          exporter.Build
	Listeners      []net.Listener // of the page; none: it isn't served
	TelemetryPath  string
	Lifecycle      bool         // POST /-/reload reloads, /-/read reads
	Control        net.Listener // the control socket; nil: none
	Textfile       string       // written after each wake; empty: none
	StateDirectory string

	// FirstWake is called with the first Snapshot, if it isn't nil.
	FirstWake func(*sensors.Snapshot) error
}

// A service is a daemon that runs.
type service struct {
	Options
	poller *poll.Poller
	page   *exporter.Exporter
	status *page.Page
	config atomic.Pointer[config.Config] // in force
	curves *state.Store                  // where the status page's curves are kept
	server *web.Server

	textfiles   chan struct{}             // asks for the text file to be written
	reported    tally                     // to the supervisor, by publish
	reportAgain atomic.Bool               // another status was reported since
	ending      chan time.Duration        // how long programs may take to end
	endBy       atomic.Pointer[time.Time] // when the end is given up; nil: the usual time
	reloads     chan chan error           // asked for by POST /-/reload and the control socket
	hangups     chan struct{}             // asks for a reload as well
}

// Run runs until the process is asked to end, which is no error. It returns in
// time whatever hangs: a file system that doesn't answer, be it that of the state
// directory or of the log, would keep the process otherwise.
func Run(o Options) error {
	s := &service{Options: o, textfiles: make(chan struct{}, 1), hangups: make(chan struct{}, 1), ending: make(chan time.Duration, 1), reloads: make(chan chan error)}
	s.newPages()
	var err error
	if s.poller, err = poll.New(poll.Options{
		Config: o.Config, Board: o.Board, Clock: o.Clock, Log: o.Log.Logger, Publish: s.publish,
		StateDirectory: o.StateDirectory, Start: daemon.StartChild, Wait: daemon.WaitChild,
		Ending: func(limit time.Duration) { s.ending <- limit },
	}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run() }()
	select {
	case err = <-ended:
	case <-o.Process.Done():
		err = s.awaitEnd(ended)
	}
	return errors.Join(err, s.railsOff())
}

// run is the service from its start to its end.
func (s *service) run() error {
	failed := make(chan error, 2)
	s.serve(failed)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if s.Textfile != "" {
		go s.writeTextfiles(ctx)
	}
	go s.reloadOnDemand(ctx)
	polled := make(chan error, 1)
	go func() { polled <- s.poller.Run(ctx) }()
	if err := s.Process.Ready(fmt.Sprintf("%d sensors", len(s.Config.Sensors))); err != nil {
		cancel()
		return errors.Join(err, s.end(polled)) // with what the counts were before
	}
	started := []any{"sensors", len(s.Config.Sensors)}
	if place := s.Process.Copied(); place != "" {
		started = append(started, "copied_to", place)
	}
	s.Log.Info("started", started...)

	err := s.handleEvents(ctx, failed, polled, s.watchdog(ctx))
	s.Log.Info("stopping")
	stopping := s.Process.Stopping()
	cancel()
	return errors.Join(err, stopping, s.end(polled))
}

// newPages makes what is served.
func (s *service) newPages() {
	s.config.Store(s.Config)
	s.status = page.New(page.Options{
		Version: s.Build.Version, Clock: s.Clock, Telemetry: s.TelemetryPath, Header: s.header, CanRead: s.Lifecycle,
	})
	if err := s.restoreCurves(); err != nil {
		s.Log.Warn("the status page has no curves of the time before", "err", err)
	}
	o := exporter.Options{Build: s.Build, Clock: s.Clock, Log: s.Log.Logger, TelemetryPath: s.TelemetryPath, Page: s.status}
	if s.Lifecycle {
		o.Reload = s.requestReload
		o.Read = func(ctx context.Context) error {
			_, err := s.poller.ReadNow(ctx)
			return err
		}
	}
	s.page = exporter.New(o)
}

// serve starts the servers of the page and of the control socket.
func (s *service) serve(failed chan<- error) {
	s.server = web.New(s.page, s.Web, s.Log.Logger)
	if len(s.Listeners) > 0 {
		go func() { failed <- s.server.Serve(s.Listeners...) }()
	}
	if s.Control != nil {
		c := control.Server{Readings: s.page, Read: s.poller.ReadNow, Snapshot: s.poller.Snapshot, Reload: s.requestReload,
			LongestEnd: s.poller.LongestEnd, Clock: s.Clock, Log: s.Log.Logger}
		for _, l := range s.Listeners {
			c.Addresses = append(c.Addresses, l.Addr().String())
		}
		go func() { failed <- c.Serve(s.Control) }()
	}
}

// handleEvents returns when the process is asked to end, or when a part of it
// has failed.
func (s *service) handleEvents(ctx context.Context, failed, polled chan error, alive <-chan struct{}) error {
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("serve the metrics: %w", err)
		case err := <-polled:
			polled <- nil // for end, which waits for it
			return fmt.Errorf("poll: %w", err)
		case <-alive:
			s.supervisorKnows(s.Process.Alive())
		case event := <-s.Process.Events():
			switch event {
			case daemon.Terminate:
				return nil
			case daemon.Reload:
				// Not waited for, as the next event may be TERM.
				select {
				case s.hangups <- struct{}{}:
				default: // one is asked for already
				}
			case EventRead:
				go s.readNow(ctx)
			case EventDump:
				s.dump()
			}
		}
	}
}

func (s *service) readNow(ctx context.Context) {
	if _, err := s.poller.ReadNow(ctx); err != nil && ctx.Err() == nil {
		s.Log.Error("read on demand", "err", err)
	}
}

// watchdog gives a channel that is ready when the supervisor is to be told that
// the daemon is alive, which is for handleEvents to tell: it is what would hang.
// It is nil, and nothing wakes for it, where the supervisor doesn't ask.
func (s *service) watchdog(ctx context.Context) <-chan struct{} {
	interval, err := s.Process.WatchdogInterval()
	if err != nil {
		s.Log.Warn("the supervisor's watchdog isn't told that the daemon runs: unset WATCHDOG_USEC and WATCHDOG_PID if they are leftovers", "err", err)
	}
	if interval == 0 {
		return nil
	}
	due := make(chan struct{})
	go func() {
		for s.Clock.Sleep(ctx, interval/2) == nil { // half of it: sd_watchdog_enabled(3)
			select {
			case due <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}()
	return due
}

// supervisorKnows logs that the supervisor couldn't be told something.
func (s *service) supervisorKnows(err error) {
	if err != nil {
		s.Log.Debug("sd_notify failed", "err", err)
	}
}
