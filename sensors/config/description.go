package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"example.org/dormouse/sensors"
)

// descriptions are the drivers that were made from files, by path; nil where a
// file is wrong, which is reported once.
type descriptions struct {
	read func(path string) ([]byte, error)
	made map[string]*sensors.Driver
}

// descriptionKey names the file that a driver is made from.
const descriptionKey = "description"

// described is the driver that the stanza's description makes; nil where there
// is none.
func (l *loader) described(s *stanza, d *sensors.Driver) *sensors.Driver {
	at := slices.IndexFunc(s.Settings, func(set setting) bool { return set.Key == descriptionKey })
	if at < 0 {
		l.add(s.Origin, s.Subject(), descriptionKey, fmt.Errorf("is missing: give the file that describes the chip to the driver %s", d.Name))
		return nil
	}
	set := s.Settings[at]
	path, err := set.Plain()
	switch {
	case err != nil:
		l.reject(s, set, err)
		return nil
	case !filepath.IsAbs(path):
		l.reject(s, set, fmt.Errorf("%q is not an absolute path: the daemon's working directory is /", path))
		return nil
	}
	path = filepath.Clean(path)
	if made, ok := l.made[path]; ok {
		return made
	}
	made, err := l.describe(d, path)
	l.made[path] = made
	var all Problems
	switch {
	case errors.As(err, &all):
		l.problems = append(l.problems, all...)
	case err != nil:
		l.reject(s, set, err)
	}
	return made
}

func (l *loader) describe(d *sensors.Driver, path string) (*sensors.Driver, error) {
	if l.read == nil {
		return nil, errors.New("no file is read here")
	}
	data, err := l.read(path)
	if err != nil {
		return nil, fmt.Errorf("%w: name a file that exists and that the daemon's user may read", err)
	}
	return d.Describe(path, data)
}
