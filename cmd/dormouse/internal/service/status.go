package service

import (
	"html/template"
	"strings"

	"example.org/dormouse/sensors/pinout"
	"example.org/dormouse/sensors/state"
)

// curvesFile holds the last day's curves of the status page, in the state
// directory.
const curvesFile = "curves.json"

// header draws the 40-pin header with the configuration in force. The board
// isn't asked: a request for the page opens no device.
func (s *service) header(link func(sensor string) string) template.HTML {
	p := pinout.New(s.config.Load(), nil)
	if !p.Used() {
		return ""
	}
	var b strings.Builder
	if err := p.WriteSVG(&b, link); err != nil {
		return "" // a Builder never fails
	}
	return template.HTML(b.String()) // it escapes every name
}

// restoreCurves gives the status page what the last process kept at its clean
// end. Any error leaves the file, and the page without those curves.
func (s *service) restoreCurves() error {
	if s.StateDirectory == "" || len(s.Listeners) == 0 {
		return nil
	}
	s.curves = state.In(s.StateDirectory, curvesFile)
	data, err := s.curves.Take()
	if restoreErr := s.status.History.Restore(data); restoreErr != nil {
		return restoreErr
	}
	return err
}

// saveCurves keeps them for the next process.
func (s *service) saveCurves() error {
	if s.curves == nil {
		return nil
	}
	now := s.Clock.Now()
	wall, ok := s.Clock.Wall(now)
	data, err := s.status.History.Save(now, wall, ok)
	if err != nil || data == nil {
		return err
	}
	return s.curves.Write(data)
}
