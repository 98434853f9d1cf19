package config

import (
	"errors"
	"fmt"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config/internal/syntax"
)

// What is said of a configuration, and of where it is written.
type (
	Origin   = syntax.Origin
	Problem  = syntax.Problem
	Problems = syntax.Problems
)

// The common form of a flag and an item of the file.
type (
	stanza  = syntax.Stanza
	setting = syntax.Setting
)

// A report collects what is wrong in a configuration, and what is allowed but
// probably a mistake.
type report struct{ problems, warnings Problems }

func (r *report) add(o Origin, subject, key string, err error) {
	r.problems = append(r.problems, &Problem{Origin: o, Subject: subject, Key: key, Err: err})
}

func (r *report) warn(o Origin, subject, key string, err error) {
	r.warnings = append(r.warnings, &Problem{Origin: o, Subject: subject, Key: key, Err: err})
}

// reject adds what is wrong with one setting of a stanza.
func (r *report) reject(s *stanza, set setting, err error) {
	r.add(set.Origin, s.Subject(), set.Key, err)
}

// repeated adds a key that was given before, and tells whether it was. seen is
// where each key of the stanza was given so far.
func (r *report) repeated(s *stanza, set setting, seen map[string]Origin) bool {
	first, twice := seen[set.Key]
	seen[set.Key] = set.Origin
	if twice {
		where := ""
		if first.File != "" {
			where = fmt.Sprintf(", first in line %d", first.Line)
		}
		r.reject(s, set, fmt.Errorf("is given twice%s", where))
	}
	return twice
}

// named adds what is wrong with the name of a stanza, and tells whether the rest
// of it can be read. seen is where each name was given so far.
func (r *report) named(s *stanza, seen map[string]Origin) bool {
	if s.Name == "" {
		if s.Origin.File != "" {
			r.add(s.Origin, s.Subject(), "name", errors.New("is missing: give it one, such as name: garden"))
			return true
		} else if s.Value != "" {
			r.add(s.Origin, s.Subject(), "", errors.New("has no name before the =: give it one, such as garden"))
		}
		return false
	}
	if !sensors.ValidName(s.Name) {
		if s.Origin.File != "" || s.Value != "" {
			r.add(s.Origin, s.Subject(), "", fmt.Errorf("%q is not a valid name: use letters, digits, _ . and -, at most 64", s.Name))
		}
		return s.Origin.File != ""
	}
	if first, ok := seen[s.Name]; ok {
		r.add(s.Origin, s.Subject(), "", fmt.Errorf("there are two of this name, the first at %s: rename one", first))
		return true
	}
	seen[s.Name] = s.Origin
	return true
}
