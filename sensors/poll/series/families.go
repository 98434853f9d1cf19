package series

import (
	"errors"
	"fmt"
	"slices"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/families"
)

// Families decide which series of the sensors may be published together. The
// rule itself is families.Families, which the exporter uses as well.
type Families struct {
	tables  []*Table
	all     *families.Families
	checked int // series, since all was made
}

// Reset begins with the sensors of a configuration. What their drivers measure
// is registered before any program can use such a name for something else; the
// error is of those that can't be.
func (f *Families) Reset(tables []*Table) error {
	f.tables = tables
	for _, t := range tables {
		t.uncheck(func(*series) bool { return true })
	}
	return f.register()
}

// register begins with what the drivers measure.
func (f *Families) register() error {
	f.all, f.checked = families.New(), 0
	var errs []error
	for _, t := range f.tables {
		for _, q := range t.cfg.Driver.Measures {
			if _, err := f.all.Admit(q, "driver "+t.cfg.Driver.Name); err != nil {
				errs = append(errs, fmt.Errorf("driver %s: %w", t.cfg.Driver.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Check looks at the series of a sensor that are new, and tells whether any of
// them may not be published. One that contradicts what the sensor itself no longer
// reports may: the author of a program has corrected its TYPE lines.
func (f *Families) Check(t *Table) bool {
	if !t.unchecked {
		return false
	}
	conflicts := f.check(t)
	if conflicts && t.forgetAbsent() {
		f.recheck()
		conflicts = f.check(t)
	}
	f.forget()
	return conflicts
}

func (f *Families) check(t *Table) bool {
	t.unchecked = false
	conflicts := false
	for _, e := range t.list {
		if e.checked {
			continue
		}
		e.checked = true
		e.conflict = f.conflict(t, e)
		conflicts = conflicts || e.conflict != nil
		f.checked++
	}
	return conflicts
}

// mostForgotten is how many families may be known whose series are gone, besides
// as many as there are series.
const mostForgotten = 1000

// forget drops the families of series that are gone, where they may be many: a
// program may name its series differently each time. What contradicted one of
// them is checked again.
func (f *Families) forget() {
	known := 0
	for _, t := range f.tables {
		known += t.Len()
	}
	if f.checked > 2*known+mostForgotten {
		f.recheck()
	}
}

// recheck makes the families of the series that are there. What contradicted
// others is checked again.
func (f *Families) recheck() {
	_ = f.register() // Reset has reported it
	for _, t := range f.tables {
		t.uncheck(func(e *series) bool { return e.conflict != nil })
		for _, e := range t.list {
			if e.checked {
				e.conflict = f.conflict(t, e)
				f.checked++
			}
		}
	}
}

// forgetAbsent drops the series that the latest read didn't have, and tells
// whether there were any.
func (t *Table) forgetAbsent() bool {
	latest, before := uint64(0), len(t.list)
	for _, e := range t.list {
		latest = max(latest, e.read)
	}
	t.forget(func(e *series) bool { return e.read < latest })
	return len(t.list) < before
}

// uncheck has those series checked again for which again is true.
func (t *Table) uncheck(again func(*series) bool) {
	for _, e := range t.list {
		if again(e) {
			e.checked, e.conflict, t.unchecked = false, nil, true
		}
	}
}

// conflict says why e can't be published; nil: it can.
func (f *Families) conflict(t *Table, e *series) error {
	if _, err := f.all.Admit(e.out, "sensor "+t.cfg.Name); err != nil {
		return err
	}
	for _, name := range e.out.Labels {
		if name == "sensor" || slices.ContainsFunc(t.cfg.Labels, func(l sensors.Label) bool { return l.Name == name }) {
			return fmt.Errorf("%s has a label %s of its own: leave label.%s out of the configuration", e.family, name, name)
		}
	}
	return t.claim(e)
}
