package service

import (
	"context"
	"errors"
)

// errStopping is the answer to who asks for a reload too late.
var errStopping = errors.New("the daemon is stopping")

// requestReload has the files read again, and waits for the outcome.
func (s *service) requestReload() error {
	answer := make(chan error, 1)
	select {
	case s.reloads <- answer:
	case <-s.Process.Done():
		return errStopping
	}
	select {
	case err := <-answer:
		return err
	case <-s.Process.Done():
		return errStopping
	}
}

// reloadOnDemand does the reloads, one after the other, in a goroutine of their
// own: reading files may take for ever, and signals are heard meanwhile.
func (s *service) reloadOnDemand(ctx context.Context) {
	for {
		select {
		case answer := <-s.reloads:
			answer <- s.reload()
		case <-s.hangups:
			_ = s.reload() // the outcome is in the log and in the metrics
		case <-ctx.Done():
			return
		}
	}
}

// reload reads all files again and uses all of them, or keeps those in use.
func (s *service) reload() error {
	s.supervisorKnows(s.Process.Reloading())
	err := s.useFiles()
	s.page.SetReload(err == nil, s.Clock.Now())
	status := "reloaded"
	if err != nil {
		status = "reload failed, the old configuration stays"
		s.Log.Error(status, "err", err)
	} else {
		s.Log.Info(status)
	}
	s.supervisorKnows(s.Process.Reloaded(status))
	s.reportAgain.Store(true)
	return err
}

func (s *service) useFiles() error {
	reopened := s.Log.Reopen()
	files, err := s.Load()
	if err == nil {
		err = s.poller.Reload(files.Config)
	}
	if err != nil {
		return errors.Join(err, reopened)
	}
	for _, w := range files.Config.Warnings {
		s.Log.Warn(w.Error())
	}
	s.config.Store(files.Config)
	s.server.SetConfig(files.Web)
	return reopened
}
