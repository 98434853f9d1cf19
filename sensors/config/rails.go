package config

import (
	"errors"
	"fmt"
	"strings"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/order"
)

// rails are the rails of a configuration while it is read.
type rails struct {
	*report
	list   []*Rail // the defined ones, then the implicit ones
	byName map[string]*Rail
	keys   map[*Rail]map[string]Origin // where each key was given
	used   map[*Rail]bool

	identify Identifier
}

// railKeys are the keys of a rail, besides its name and line.
var railKeys = []string{"active", "settle", "max-on", "after", "force"}

// readRails reads the rails' stanzas.
func readRails(r *report, stanzas []*stanza, identify Identifier) *rails {
	rs := &rails{report: r, identify: identify, byName: map[string]*Rail{}, keys: map[*Rail]map[string]Origin{}, used: map[*Rail]bool{}}
	seen := map[string]Origin{}
	for _, s := range stanzas {
		if s.Kind == "rail" && r.named(s, seen) {
			rs.read(s)
		}
	}
	for _, one := range rs.list {
		rs.checkAfter(one)
	}
	sorted := order.Of(rs.list, rs.after, rs.rejectCycle)
	for _, one := range sorted {
		rs.addLead(one)
	}
	for _, one := range rs.list {
		if one.MaxOn > 0 && one.MaxOn <= one.Settle {
			rs.reject(one, "max-on", fmt.Errorf("%s is not longer than settle, %s: it would be switched off before anything is read", duration.Format(one.MaxOn), duration.Format(one.Settle)))
		}
	}
	return rs
}

// read reads one rail.
func (rs *rails) read(s *stanza) {
	r := &Rail{Rail: sensors.Rail{Name: s.Name}, Origin: s.Origin}
	if ref, err := sensors.ParseLine(s.Name); err == nil && ref.Name == "" {
		rs.add(s.Origin, s.Subject(), "", fmt.Errorf("%q is a line, so it can't be the name of a rail: give it another, such as supply", s.Name))
	}
	keys := map[string]Origin{}
	rs.keys[r] = keys
	for _, set := range s.Settings {
		if rs.repeated(s, set, keys) {
			continue
		}
		if err := r.set(set); err != nil {
			rs.report.reject(s, set, err)
		}
	}
	if s.Value == "" {
		if s.Origin.File != "" { // of a flag it is reported already
			rs.add(s.Origin, s.Subject(), "line", errors.New("is missing: the line that switches it, such as GPIO17"))
		}
		return
	}
	var err error
	if r.Line, err = sensors.ParseLine(s.Value); err != nil {
		rs.add(s.Origin, s.Subject(), "line", err)
		return
	}
	rs.list = append(rs.list, r)
	rs.byName[r.Name] = r
}

// set reads one of the rail's keys.
func (r *Rail) set(set setting) error {
	if set.Key == "after" {
		list, err := set.Words()
		r.After = list
		return err
	}
	text, err := set.Plain()
	if err != nil {
		return err
	}
	switch set.Key {
	case "active":
		active := sensors.Option{Type: sensors.EnumOption, Choices: []string{"high", "low"}}
		_, err = active.Parse(text)
		r.ActiveLow = text == "low"
	case "settle":
		r.Settle, err = duration.Parse(text)
	case "force":
		var force any
		force, err = sensors.Option{Type: sensors.BoolOption}.Parse(text)
		r.Force, _ = force.(bool)
	case "max-on":
		if r.MaxOn, err = duration.Parse(text); err == nil && r.MaxOn == 0 {
			err = errors.New("0s would never let it be on: remove max-on for no limit")
		}
	default:
		err = fmt.Errorf("is not a key of a rail%s: its keys are %s", sensors.DidYouMean(set.Key, railKeys), strings.Join(railKeys, ", "))
	}
	return err
}

// after are the rails that r comes after, as far as they are defined.
func (rs *rails) after(r *Rail) []*Rail {
	var list []*Rail
	for _, name := range r.After {
		if other := rs.byName[name]; other != nil && other != r {
			list = append(list, other)
		}
	}
	return list
}

// checkAfter checks the rails that r names under after, each by itself.
func (rs *rails) checkAfter(r *Rail) {
	for _, name := range r.After {
		other := rs.byName[name]
		switch {
		case other == nil:
			rs.reject(r, "after", fmt.Errorf("there is no rail %q%s: it names rails that are defined, not lines", name, sensors.DidYouMean(name, rs.names())))
		case other == r:
			rs.reject(r, "after", errors.New("is the rail itself"))
		case other.MaxOn > 0 && other.MaxOn <= other.Settle+r.Settle:
			rs.reject(r, "after", fmt.Errorf("max-on of rail %s (%s), %s, ends before both have settled", name, rs.origin(other, "max-on"), duration.Format(other.MaxOn)))
		default:
			rs.used[other] = true
		}
	}
}

// rejectCycle reports rails each of which waits for the next.
func (rs *rails) rejectCycle(cycle []*Rail) {
	var b strings.Builder
	for _, r := range cycle {
		fmt.Fprintf(&b, "%s (%s) after ", r.Name, rs.origin(r, "after"))
	}
	rs.reject(cycle[len(cycle)-1], "after", fmt.Errorf("the rails wait for each other in a cycle, %s%s: one of them must come first", b.String(), cycle[0].Name))
}

// addLead adds up the settling times of all that r waits for, each once.
func (rs *rails) addLead(r *Rail) {
	for _, other := range order.Of([]*Rail{r}, rs.after, nil) {
		if other != r {
			r.Lead += other.Settle
		}
	}
}

// supply is the rail that a sensor's power names, or that a line makes one of.
func (rs *rails) supply(text string, where Origin) (*Rail, error) {
	if r := rs.byName[text]; r != nil {
		return r, nil
	}
	ref, err := sensors.ParseLine(text)
	if err != nil {
		return nil, err
	}
	if ref.Name != "" {
		return nil, fmt.Errorf("there is no rail %q%s: define it with --rail=%s=LINE or in the file under rails, or give a line such as GPIO17", text, sensors.DidYouMean(text, rs.names()), text)
	}
	r := &Rail{Rail: sensors.Rail{Name: ref.Key(), Line: ref}, Origin: where, Implicit: true}
	for _, other := range rs.list {
		if rs.identify.key(other.Claim()) == rs.identify.key(r.Claim()) {
			return other, nil
		}
	}
	rs.list = append(rs.list, r)
	return r, nil
}

func (rs *rails) warnOfUnused() {
	for _, r := range rs.list {
		if !rs.used[r] {
			rs.warn(r.Origin, "rail "+r.Name, "", fmt.Errorf("no sensor uses it: give one power=%s", r.Name))
		}
	}
}

// names are those of the defined rails.
func (rs *rails) names() []string {
	var names []string
	for _, r := range rs.list {
		if !r.Implicit {
			names = append(names, r.Name)
		}
	}
	return names
}

// reject reports what is wrong with one of a rail's keys.
func (rs *rails) reject(r *Rail, key string, err error) {
	rs.add(rs.origin(r, key), "rail "+r.Name, key, err)
}

// origin is where a rail's key was given.
func (rs *rails) origin(r *Rail, key string) Origin {
	if o, ok := rs.keys[r][key]; ok {
		return o
	}
	return r.Origin
}
