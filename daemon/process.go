package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Process is what Open made: the daemon, or the command that started it.
type Process struct {
	starter  bool
	pid      int
	plan     *plan
	warnings []string

	opened
	report   *reporter
	receiver *receiver
	reaper   *reaper
	notifier notifier
	askers   net.Listener // of the second lock; nil: it isn't held

	mu     sync.Mutex
	closed bool
}

// opened is what the daemon holds.
type opened struct {
	pidfile   *pidFile
	lock      *os.File
	preserved []*os.File
}

// open takes the files over by number, after an execution.
func (f files) open(pidfile string) *opened {
	var o opened
	if f.PIDFile != 0 {
		o.pidfile = &pidFile{path: pidfile, file: os.NewFile(uintptr(f.PIDFile), pidfile)}
	}
	if f.Lock != 0 {
		o.lock = os.NewFile(uintptr(f.Lock), "lock")
	}
	for i, fd := range f.Preserved {
		o.preserved = append(o.preserved, os.NewFile(uintptr(fd), f.Names[i]))
	}
	return &o
}

// arrive is the last part of becoming a daemon, in the process that stays. It
// explains to the starter, or to explain where there is none.
func arrive(p *plan, o *opened, explain io.Writer) (proc *Process, err error) {
	proc = &Process{pid: os.Getpid(), plan: p, opened: *o, warnings: p.Warnings}
	disinherit(p.Files.all())
	proc.report = &reporter{writer: explain}
	if p.Files.Report != 0 {
		proc.report = &reporter{pipe: os.NewFile(uintptr(p.Files.Report), "report"), explain: p.Explain}
	}
	defer func() {
		if err != nil {
			proc, err = nil, proc.Fail(err)
		}
	}()
	proc.report.send(message{PID: proc.pid})
	if p.Files.Plan != 0 {
		if err := unix.Close(p.Files.Plan); err != nil {
			return proc, fmt.Errorf("close the plan: %w", err)
		}
	}
	terminal, err := hasTerminal(proc.pid)
	if err != nil {
		return proc, err
	}
	if err := proc.settle(); err != nil {
		return proc, err
	}
	if err := proc.answerAskers(); err != nil {
		return proc, err
	}
	proc.report.explainSignals(p.Signals, terminal)
	proc.receiver = receive(p.Signals, terminal)
	proc.reaper = startReaper()
	proc.report.explainChildren(proc.reaper != nil)
	privateVariables = p.Private
	var warning string
	if proc.notifier, warning = newNotifier(); warning != "" {
		proc.Warn(warning)
	}
	return proc, nil
}

// answerAskers makes this process the holder of the second lock, as the user it is
// now, and answers those who ask for it.
func (p *Process) answerAskers() error {
	if p.lock == nil {
		return nil
	}
	if err := claimSocket(int(p.lock.Fd())); err != nil {
		return err
	}
	l, err := net.FileListener(p.lock)
	if err != nil {
		return fmt.Errorf("listen on the second lock: %w", err)
	}
	// The listener has a descriptor of its own.
	if err := p.lock.Close(); err != nil {
		return errors.Join(fmt.Errorf("listen on the second lock: %w", err), l.Close())
	}
	p.lock, p.askers = nil, l
	go answerAskers(l)
	return nil
}

// settle sets what belongs to the process itself.
func (p *Process) settle() error {
	p.report.step(aboutName, "name the process "+p.plan.Name, "the program's own name (Name), for each of its threads")
	if err := setName(p.plan.Name); err != nil {
		return err
	}
	who := p.plan.Become
	if p.plan.Chroot != "" {
		p.report.step(aboutRoot, "make "+p.plan.Chroot+" the root directory", "the program names it (ChrootDirectory)")
		if err := unix.Chroot(p.plan.Chroot); err != nil {
			return inField("ChrootDirectory", fmt.Errorf("change the root directory to %s: %w", p.plan.Chroot, err))
		}
		if err := unix.Chdir("/"); err != nil { // until then ".." leads out
			return fmt.Errorf("enter the root directory %s: %w", p.plan.Chroot, err)
		}
	}
	// Executing a set-user-ID program gives back what was given up before.
	if who != nil && (p.plan.Chroot != "" || !p.plan.Detached || !who.inForce()) {
		p.report.step(aboutPrivileges, who.describe(), who.choice())
		if err := who.become(); err != nil {
			return err
		}
	}
	p.report.step(aboutDirectory, "change it to "+p.plan.Directory, directoryChoice(p.plan.Directory))
	if err := unix.Chdir(p.plan.Directory); err != nil {
		return inField("WorkingDirectory", fmt.Errorf("change the working directory to %s: %w", p.plan.Directory, err))
	}
	if p.plan.PreventCore {
		p.report.step(aboutCore, "forbid them, and attaching to the process", "the program asks for it (PreventCore)")
		return forbidCore()
	}
	p.report.step(aboutCore, "leave the limit as it was inherited", "the program wants no change (PreventCore)")
	return nil
}

// setName gives every thread the program's name. The kernel named them after the
// file that was executed, which was a descriptor; prctl would name one thread.
func setName(name string) error {
	tasks, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		return err
	}
	for _, comm := range tasks {
		err := os.WriteFile(comm, []byte(name), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) { // the thread ended
			return fmt.Errorf("name the process: %w", err)
		}
	}
	return nil
}

// Starter reports whether this process is the command that was typed, and the
// daemon another one that is ready now.
func (p *Process) Starter() bool { return p.starter }

// PID returns the daemon's process id.
func (p *Process) PID() int { return p.pid }

// Situation tells how the daemon was started.
func (p *Process) Situation() Situation { return p.plan.Situation }

// Detached reports whether the daemon left the session it was started in.
func (p *Process) Detached() bool { return p.plan.Detached }

// Copied says where the executable was copied to ("memory" or a directory), or ""
// where it runs from its file.
func (p *Process) Copied() string { return p.plan.Copied }

// Warnings are what isn't as it should be and yet no reason not to start. The
// daemon logs them, the starter prints them.
func (p *Process) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.warnings)
}

// Preserved returns Context.FilesPreserve, in their order.
func (p *Process) Preserved() []*os.File { return slices.Clone(p.preserved) }

// Events receives what signals ask for.
func (p *Process) Events() <-chan Event { return p.receiver.events }

// Done is closed when the daemon is asked to end, whoever reads Events.
func (p *Process) Done() <-chan struct{} { return p.receiver.done }

// Warn adds a warning. Before Ready the starter prints it too.
func (p *Process) Warn(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warnings = append(p.warnings, text)
	p.report.send(message{Warning: text})
}

// Ready tells that the daemon does its work: its process id is written to the
// pidfile, the starter's command ends with status 0, a supervisor is notified.
// Call it when sockets listen and files are open, and not before: who waits for
// it goes on then. status is for people.
func (p *Process) Ready(status string) error {
	if p.pidfile != nil {
		if err := p.pidfile.write(p.pid); err != nil {
			return p.Fail(err)
		}
	}
	if err := p.notifier.ready(status); err != nil {
		p.Warn(err.Error())
	}
	p.explainReadiness()
	p.report.send(message{Ready: true})
	p.report.close()
	return nil
}

// Fail tells the starter that the daemon can't be, and with which exit status
// its command is to end. It releases what the daemon holds and returns err, joined
// with what went wrong doing so.
func (p *Process) Fail(err error) error {
	p.report.fail(err)
	return errors.Join(err, p.Close())
}

// Close removes the pidfile and releases both locks, as the last thing before
// the process ends. Signals stay caught. Closing twice is no error.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.starter {
		return nil
	}
	p.closed = true
	p.report.close()
	if p.receiver != nil {
		p.receiver.stop()
	}
	if p.reaper != nil {
		p.reaper.stop()
	}
	var errs []error
	if p.pidfile != nil {
		errs = append(errs, p.pidfile.remove())
	}
	if p.lock != nil {
		errs = append(errs, p.lock.Close())
	}
	if p.askers != nil {
		errs = append(errs, p.askers.Close())
	}
	return errors.Join(errs...)
}
