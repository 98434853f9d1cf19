package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// A Problem is one thing that is wrong in what a user wrote: where, with what,
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
		parts = append(parts, Printable(p.Key))
	}
	return strings.Join(append(parts, p.Err.Error()), ": ")
}

func (p *Problem) Unwrap() error { return p.Err }

// Problems is everything that is wrong, in the order in which it is written.
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

// Sort sorts them as they are written: those of the main file, those of others
// that it names, and those of the flags.
func (ps Problems) Sort(main string) {
	rank := func(o Origin) int {
		switch o.File {
		case "":
			return 2
		case main:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		kind, _, _ := strings.Cut(a.Origin.Flag, " ")
		other, _, _ := strings.Cut(b.Origin.Flag, " ")
		return cmp.Or(rank(a.Origin)-rank(b.Origin), strings.Compare(a.Origin.File, b.Origin.File), strings.Compare(kind, other), a.Origin.Line-b.Origin.Line)
	})
}

// Printable is a name as a message shows it.
func Printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}
