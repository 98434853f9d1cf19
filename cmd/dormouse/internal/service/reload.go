package service

import (
	"errors"
)

// requestReload has handleEvents reload, and waits for the outcome.
func (s *service) requestReload() error {
	answer := make(chan error, 1)
	select {
	case s.reloads <- answer:
		return <-answer
	case <-s.Process.Done():
		return errors.New("the daemon is stopping")
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
	s.server.SetConfig(files.Web)
	return reopened
}
