package sensortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Cancel ends the context of the read: for the faults of a Case.
func (e *Env) Cancel() { e.cancel() }

// contextFaults end the context before and in every wait of the healthy reads.
func (h *harness) contextFaults() []Fault {
	faults := []Fault{mustCancel("context ended before", func(e *Env) { e.Cancel() })}
	for i := range h.first.env.Waits {
		faults = append(faults, mustCancel(fmt.Sprintf("context ended in wait %d", i), func(e *Env) {
			e.OnWait = func(n int) {
				if n == i {
					e.Cancel()
				}
			}
		}))
	}
	return faults
}

func mustCancel(name string, end func(e *Env)) Fault {
	var bus *tamper
	return Fault{Name: name, kind: ContextEnds, Break: func(e *Env) {
		if bus = e.faults; bus != nil {
			e.cancel = bus.watch(e.cancel)
		}
		end(e)
	}, after: func(err error) error {
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the error is %v, not that of the context", err)
		}
		return bus.atMostOneMore()
	}}
}

// fileFaults break each file that the healthy reads read.
func (h *harness) fileFaults() []Fault {
	paths := slices.Clone(h.first.env.FS.Read)
	slices.Sort(paths)
	var faults []Fault
	for _, p := range slices.Compact(paths) {
		fault := func(what string, spoil func(e *Env)) {
			faults = append(faults, Fault{Name: p + " " + what, kind: Wire, Break: spoil})
		}
		fault("is missing", func(e *Env) { e.FS.Remove(p) })
		fault("gives EIO", func(e *Env) { e.FS.Break(p, syscall.EIO) })
		fault("gives EACCES", func(e *Env) { e.FS.Break(p, syscall.EACCES) })
		fault("is empty", func(e *Env) { e.FS.Put(p, "") })
		fault("is a bare newline", func(e *Env) { e.FS.Put(p, "\n") })
		fault("is garbage", func(e *Env) { e.FS.Put(p, "\x00\xff12z\n") })
		fault("is endless", func(e *Env) { e.FS.Put(p, strings.Repeat("9", 1<<16)) })
		fault("hangs", func(e *Env) {
			e.FS.Hang = map[string]bool{p: true}
			e.FS.OnRead = func(read string) {
				if read == p {
					e.Cancel()
				}
			}
		})
	}
	return faults
}

// lineFaults break each line of the world.
func (h *harness) lineFaults() []Fault {
	var faults []Fault
	for option := range h.first.env.Lines {
		fault := func(what string, spoil func(e *Env)) {
			faults = append(faults, Fault{Name: "line of " + option + " " + what, kind: Wire, Break: spoil})
		}
		fault("is busy", func(e *Env) { e.Lines[option].OpenErr = syscall.EBUSY })
		fault("is no line", func(e *Env) { e.Lines[option].OpenErr = syscall.ENOENT })
		fault("is gone", func(e *Env) { e.Lines[option].Err = syscall.ENODEV })
	}
	return faults
}
