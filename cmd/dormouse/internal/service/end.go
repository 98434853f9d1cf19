package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/duration"
)

// The end of the daemon. The process doesn't sleep any more, so timers may wake
// it.

const (
	// stopTimeout is how long polling may take to end, and then a scrape that is
	// being answered.
	stopTimeout = 4 * time.Second
	// endTimeout is how long the end may take in all, the time of programs apart.
	// init and systemd wait longer before they kill.
	endTimeout = 2*stopTimeout + time.Second
	// renewal is how often the supervisor is told that the end takes longer, and
	// renewed what it is asked for: a daemon that hangs asks for no more.
	renewal = stopTimeout / 2
	renewed = 15 * time.Second
)

// awaitEnd waits for the end that the process was asked for.
func (s *service) awaitEnd(ended <-chan error) error {
	began := time.Now()
	limit := time.NewTimer(endTimeout)
	defer limit.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-limit.C:
		}
		if by := s.endBy.Load(); by != nil && time.Until(*by) > 0 {
			limit.Reset(time.Until(*by))
			continue
		}
		return fmt.Errorf("ended without waiting any longer for a file or a disk that didn't answer within %s: "+
			"counts may be lost; see whether the file systems of the state directory and of the log answer", duration.Format(time.Since(began).Round(time.Second)))
	}
}

// railsOff switches off what polling that hangs has left on. A line may hang too:
// that of an expander on a bus, say.
func (s *service) railsOff() error {
	off := make(chan error, 1)
	go func() { off <- s.poller.RailsOff() }()
	limit := time.NewTimer(stopTimeout)
	defer limit.Stop()
	select {
	case err := <-off:
		return err
	case <-limit.C:
		return fmt.Errorf("the rails weren't switched off within %s: one may be on; see whether what drives its line answers", duration.Format(stopTimeout))
	}
}

// end waits for the rails to be down and for a running scrape to be answered.
func (s *service) end(polled chan error) error {
	var errs []error
	if err := s.awaitPolling(polled); err != nil {
		errs = append(errs, err)
	}
	if err := s.saveCurves(); err != nil {
		s.Log.Warn("the curves of the status page aren't kept", "err", err)
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
// Meanwhile the supervisor is told again and again that this goes on. Who asks
// for the end once more doesn't want to wait for tasks.
func (s *service) awaitPolling(polled chan error) error {
	limit := stopTimeout
	began := time.Now()
	// Counted in turns: a process that was stopped for a while loses one of them.
	var waited time.Duration
	turn := time.NewTicker(renewal)
	defer turn.Stop()
	hurried := false
	for {
		select {
		case err := <-polled:
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case programs := <-s.ending:
			limit = stopTimeout + programs
			by := began.Add(limit + endTimeout)
			s.endBy.Store(&by)
		case event := <-s.Process.Events():
			if event == daemon.Terminate && !hurried {
				hurried = true
				s.poller.Hurry()
			}
			continue
		case <-turn.C:
			waited += renewal
		}
		if waited >= limit {
			return fmt.Errorf("polling didn't end within %s", duration.Format(limit))
		}
		if limit > stopTimeout {
			s.supervisorKnows(s.Process.ExtendTimeout(renewed))
		}
	}
}
