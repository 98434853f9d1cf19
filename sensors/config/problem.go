package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// Origin is where something was written, for messages.
type Origin struct {
	File string // empty: on the command line
	Line int    // of the file; of a flag, which of them it is, from 1
	Flag string // "--sensor greenhouse=…"
}

func (o Origin) String() string {
	if o.File != "" {
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return o.Flag
}

// A Problem is one thing that is wrong in the configuration: where, with what,
// and in its error what to do about it.
type Problem struct {
	Origin  Origin // never empty
	Subject string // "sensor greenhouse", "rail vcc"; empty: none in particular
	Key     string // "addr", "a0.points"; empty: none in particular
	Err     error
}

// Error is the problem in one line: dormouse.yml:4: sensor a: addr: "x" is …
func (p *Problem) Error() string {
	parts := []string{p.Origin.String()}
	if p.Subject != "" && p.Origin.File != "" { // a flag shows its name itself
		parts = append(parts, p.Subject)
	}
	if p.Key != "" {
		parts = append(parts, printable(p.Key))
	}
	return strings.Join(append(parts, p.Err.Error()), ": ")
}

func (p *Problem) Unwrap() error { return p.Err }

// Problems is everything that is wrong in a configuration, in the order in
// which it is written: the file's lines, then the flags.
type Problems []*Problem

// Error gives each problem a line of its own.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is and errors.As look at each.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		if (a.Origin.File == "") != (b.Origin.File == "") {
			if a.Origin.File != "" {
				return -1
			}
			return 1
		}
		kind, _, _ := strings.Cut(a.Origin.Flag, " ")
		other, _, _ := strings.Cut(b.Origin.Flag, " ")
		return cmp.Or(strings.Compare(kind, other), a.Origin.Line-b.Origin.Line)
	})
}

// A report collects what is wrong in a configuration, and what is allowed but
// probably a mistake.
type report struct{ problems, warnings Problems }

func (r *report) add(o Origin, subject, key string, err error) {
	r.problems = append(r.problems, &Problem{o, subject, key, err})
}

func (r *report) warn(o Origin, subject, key string, err error) {
	r.warnings = append(r.warnings, &Problem{o, subject, key, err})
}

// reject adds what is wrong with one setting of a stanza.
func (r *report) reject(s *stanza, set setting, err error) {
	r.add(set.origin, s.subject(), set.key, err)
}

// repeated adds a key that was given before, and tells whether it was. seen is
// where each key of the stanza was given so far.
func (r *report) repeated(s *stanza, set setting, seen map[string]Origin) bool {
	first, twice := seen[set.key]
	seen[set.key] = set.origin
	if twice {
		where := ""
		if first.File != "" {
			where = fmt.Sprintf(", first in line %d", first.Line)
		}
		r.reject(s, set, fmt.Errorf("is given twice%s", where))
	}
	return twice
}

// named tells whether a stanza has a usable name, and adds what is wrong with
// it. seen is where each name was given so far.
func (r *report) named(s *stanza, seen map[string]Origin) bool {
	if s.name == "" {
		if s.origin.File != "" {
			r.add(s.origin, s.subject(), "name", errors.New("is missing: give it one, such as name: garden"))
		} else if s.value != "" {
			r.add(s.origin, s.subject(), "", errors.New("has no name before the =: give it one, such as garden"))
		}
		return false
	}
	if !sensors.ValidName(s.name) {
		if s.origin.File != "" || s.value != "" {
			r.add(s.origin, s.subject(), "", fmt.Errorf("%q is not a valid name: use letters, digits, _ . and -, at most 64", s.name))
		}
		return false
	}
	if first, ok := seen[s.name]; ok {
		r.add(s.origin, s.subject(), "", fmt.Errorf("there are two of this name, the first at %s: rename one", first))
		return true
	}
	seen[s.name] = s.origin
	return true
}
