package daemon

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
)

// inPlace goes on in this process, which somebody else has detached or wants to
// keep. The program is executed again, with the same process id, where something
// has to change that only an execution changes.
func (c *Context) inPlace() (*Process, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dirty, err := dirtySignals()
	if err != nil {
		return nil, err
	}
	unprotected, err := lacksNoNewPrivileges()
	if err != nil {
		return nil, err
	}
	keep := listenDescriptors(os.Getenv)
	for _, f := range c.FilesPreserve {
		keep = append(keep, int(f.Fd()))
	}
	c.step(aboutDescriptors, "close every descriptor above 2 that was inherited", c.descriptorsChoice(false, len(listenDescriptors(os.Getenv))))
	if err := closeInherited(keep); err != nil {
		return nil, err
	}
	p, err := c.prepare(Detect(), false)
	if err != nil {
		return nil, err
	}
	p.plan.Become = p.who
	p.plan.Listeners = len(listenDescriptors(os.Getenv))
	if p.pidfile != nil {
		p.plan.Files.PIDFile = int(p.pidfile.file.Fd())
	}
	if p.lock != nil {
		p.plan.Files.Lock = int(p.lock.Fd())
	}
	for _, f := range c.FilesPreserve {
		p.plan.Files.Preserved = append(p.plan.Files.Preserved, int(f.Fd()))
		p.plan.Files.Names = append(p.plan.Files.Names, f.Name())
	}
	var reasons []string
	for _, reason := range []struct {
		applies bool
		text    string
	}{
		{dirty, "signals were inherited blocked or ignored"},
		{c.NoNewPrivileges && unprotected, "all threads have to give up gaining privileges (NoNewPrivileges)"},
		{p.copy != nil, "the executable was copied"},
		{!c.hasSettings(), "the runtime's settings aren't in force (Environment)"},
	} {
		if reason.applies {
			reasons = append(reasons, reason.text)
		}
	}
	c.explainStaying(p.plan.Situation, reasons)
	if len(reasons) > 0 {
		return nil, errors.Join(fmt.Errorf("execute the program again: %w", c.executeAnew(p)), p.abandon())
	}
	return arrive(p.plan, &opened{p.pidfile, p.lock, slices.Clone(c.FilesPreserve)}, c.Explain)
}

// executeAnew returns only if it failed.
func (c *Context) executeAnew(p *prepared) error {
	// Before all else, so that a handler that runs already has ended by then.
	defer defaultActions(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)()
	// The descriptors' numbers are the same there, so the plan must know its own
	// before it is written: a descriptor that is replaced by it.
	place, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer place.Close()
	p.plan.Files.Plan = int(place.Fd())
	planFile, err := p.plan.write()
	if err != nil {
		return err
	}
	defer planFile.Close()
	if err := syscall.Dup3(int(planFile.Fd()), p.plan.Files.Plan, syscall.O_CLOEXEC); err != nil {
		return err
	}
	if c.NoNewPrivileges {
		if err := setNoNewPrivileges(); err != nil {
			return err
		}
	}
	restore, err := cleanSignals()
	if err != nil {
		return err
	}
	defer restore()
	if err := inherit(p.plan.Files.all()); err != nil {
		return err
	}
	env := append(c.withSettings(os.Environ()), stageSetting(stageDaemon, p.plan.Files.Plan, os.Getpid()))
	err = syscall.Exec(p.path, os.Args, env)
	disinherit(p.plan.Files.all())
	return &os.PathError{Op: "execute", Path: p.path, Err: err}
}
