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
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/poll"
)

// Events of this daemon, besides daemon.Terminate and daemon.Reload.
const (
	EventRead daemon.Event = "read" // read all sensors now
	EventDump daemon.Event = "dump" // write the state to the log
)

// stopTimeout is how long the end may take, a running scrape included. init
// and systemd wait longer before they kill.
const stopTimeout = 4 * time.Second

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
	Lifecycle      bool         // POST /-/reload reloads
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
	server *web.Server

	textfileFailed bool
	reported       tally              // to the supervisor, by publish
	reportAgain    atomic.Bool        // another status was reported since
	ending         chan time.Duration // how long programs may take to end
	reloads        chan chan error    // asked for by POST /-/reload and the control socket
}

// Run runs until the process is asked to end, which is no error.
func Run(o Options) error {
	s := &service{Options: o, ending: make(chan time.Duration, 1), reloads: make(chan chan error)}
	page := exporter.Options{Build: o.Build, Clock: o.Clock, Log: o.Log.Logger, TelemetryPath: o.TelemetryPath}
	if o.Lifecycle {
		page.Reload = s.requestReload
	}
	s.page = exporter.New(page)
	var err error
	if s.poller, err = poll.New(poll.Options{
		Config: o.Config, Board: o.Board, Clock: o.Clock, Log: o.Log.Logger, Publish: s.publish,
		StateDirectory: o.StateDirectory, Start: daemon.StartChild, Wait: daemon.WaitChild,
		Ending: func(limit time.Duration) { s.ending <- limit },
	}); err != nil {
		return err
	}
	failed := make(chan error, 2)
	s.serve(failed)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	polled := make(chan error, 1)
	go func() { polled <- s.poller.Run(ctx) }()
	if err := o.Process.Ready(fmt.Sprintf("%d sensors", len(o.Config.Sensors))); err != nil {
		return err
	}
	o.Log.Info("started", "sensors", len(o.Config.Sensors), "copied_to", o.Process.Copied())

	alive, err := s.watchdog(ctx)
	if err == nil {
		err = s.handleEvents(ctx, failed, polled, alive)
	}
	o.Log.Info("stopping")
	stopping := o.Process.Stopping()
	cancel()
	return errors.Join(err, stopping, s.end(polled))
}

// serve starts the servers of the page and of the control socket.
func (s *service) serve(failed chan<- error) {
	s.server = web.New(s.page, s.Web, s.Log.Logger)
	if len(s.Listeners) > 0 {
		go func() { failed <- s.server.Serve(s.Listeners...) }()
	}
	if s.Control != nil {
		c := control.Server{Readings: s.page, Read: s.poller.ReadNow, Snapshot: s.poller.Snapshot, Reload: s.requestReload, Clock: s.Clock, Log: s.Log.Logger}
		go func() { failed <- c.Serve(s.Control) }()
	}
}

// handleEvents returns when the process is asked to end, or when a part of it
// has failed.
func (s *service) handleEvents(ctx context.Context, failed, polled chan error, alive <-chan struct{}) error {
	for {
		select {
		case <-s.Process.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("serve the page: %w", err)
		case err := <-polled:
			polled <- nil // for end, which waits for it
			return fmt.Errorf("poll: %w", err)
		case <-alive:
			s.supervisorKnows(s.Process.Alive())
		case answer := <-s.reloads:
			answer <- s.reload()
		case event := <-s.Process.Events():
			switch event {
			case daemon.Reload:
				// The outcome is in the log and in the metrics.
				_ = s.reload()
			case EventRead:
				// Not waited for: the next event may be TERM.
				go s.readNow(ctx)
			case EventDump:
				s.dump()
			}
		}
	}
}

// end waits for the rails to be down and for a running scrape to be answered.
func (s *service) end(polled chan error) error {
	var errs []error
	if err := s.awaitPolling(polled); err != nil {
		errs = append(errs, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if len(errs) == 0 {
		s.Log.Info("stopped", "rails", "off")
	}
	errs = append(errs, s.server.Shutdown(ctx))
	if s.Control != nil {
		if err := s.Control.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// awaitPolling waits until nothing is being read and the programs have ended.
func (s *service) awaitPolling(polled chan error) error {
	limit := stopTimeout
	deadline := time.NewTimer(limit) // the process doesn't sleep any more
	defer deadline.Stop()
	for {
		select {
		case err := <-polled:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case programs := <-s.ending:
			limit = stopTimeout + programs
			deadline.Reset(limit)
			// The page is given stopTimeout after that.
			if err := s.Process.ExtendTimeout(limit + stopTimeout); err != nil {
				s.Log.Error("tell the supervisor how long programs may take to end", "err", err)
			}
		case <-deadline.C:
			return fmt.Errorf("polling didn't end within %s", limit)
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
func (s *service) watchdog(ctx context.Context) (<-chan struct{}, error) {
	interval, err := s.Process.WatchdogInterval()
	if err != nil || interval == 0 {
		return nil, err
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
	return due, nil
}

// supervisorKnows logs that the supervisor couldn't be told something.
func (s *service) supervisorKnows(err error) {
	if err != nil {
		s.Log.Debug("sd_notify failed", "err", err)
	}
}
