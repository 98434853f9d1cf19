package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.org/dormouse/daemon/duration"
	"golang.org/x/sys/unix"
)

// prepared is what the starter opened for the daemon.
type prepared struct {
	plan    *plan
	who     *identity
	path    string   // to execute
	copy    *os.File // the executable's copy, if there is one
	pidfile *pidFile
	lock    *os.File
}

// prepare does what detaching and going on in place have in common: the steps
// that can fail for reasons of the user's, while there is a terminal to say so.
func (c *Context) prepare(s Situation, detached bool) (p *prepared, err error) {
	p = &prepared{plan: &plan{
		Situation: s, Detached: detached, Name: c.Name,
		Chroot: c.ChrootDirectory, Directory: c.workingDirectory(),
		PreventCore: c.PreventCore, Signals: c.SignalMap, PIDFile: c.PIDFile,
		Explain: c.Explain != nil, Private: c.privateVariables(), Handover: c.Handover,
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.abandon())
		}
	}()
	if p.who, err = c.identity(); err != nil {
		return p, err
	}
	inherited := unix.Umask(c.Umask)
	c.step(aboutUmask, fmt.Sprintf("set the file creation mask to %03o", c.Umask),
		fmt.Sprintf("%03o is what the program asks for (Umask); %03o was inherited", c.Umask, inherited))
	for _, dir := range c.Directories {
		c.step(aboutDirectories, "make "+dir+" if it is missing", "the program names it (Directories); it belongs to the daemon's user")
		if err := makeDirectories(dir, p.who); err != nil {
			return p, inField("Directories", fmt.Errorf("make a directory for the daemon: %w", err))
		}
	}
	if c.PIDFile == "" {
		c.step(aboutPIDFile, "use none", "the program names none (PIDFile), so nothing keeps a second daemon from starting")
	} else {
		c.step(aboutPIDFile, "lock "+c.PIDFile, "the program names it (PIDFile); a second lock, a name in the abstract socket namespace, holds where the file is removed by hand")
		if p.pidfile, err = lockPIDFile(c.PIDFile, p.who); err != nil {
			return p, err
		}
		trusted := []uint32{0, uint32(os.Geteuid())}
		if p.who != nil {
			trusted = append(trusted, p.who.UID)
		}
		var warning string
		if p.lock, warning, err = lockSocket(c.PIDFile, trusted); err != nil {
			return p, err
		}
		p.warn(warning)
	}
	r, err := c.executable()
	if err != nil {
		return p, err
	}
	p.path, p.copy, p.plan.Copied = r.path, r.file, r.copied
	p.warn(r.warning)
	c.explainExecutable(r)
	c.explainIdentity(p.who)
	return p, nil
}

func (p *prepared) warn(text string) {
	if text != "" {
		p.plan.Warnings = append(p.plan.Warnings, text)
	}
}

// abandon undoes what was prepared, where there is no daemon to have it.
func (p *prepared) abandon() error {
	var errs []error
	if p.pidfile != nil {
		errs = append(errs, p.pidfile.remove())
	}
	for _, f := range []*os.File{p.lock, p.copy} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// detach starts the daemon and waits until it is ready.
func (c *Context) detach() (*Process, error) {
	// Signal mask and no_new_privs are a thread's, and the child gets those of
	// the thread that forks it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	c.step(aboutSignals, "unblock every signal and give each its default action", "all of them, whatever was inherited (daemon(7), steps 2 and 3)")
	restore, err := cleanSignals()
	if err != nil {
		return nil, err
	}
	defer restore()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(interrupted)
	c.step(aboutDescriptors, "mark every descriptor above 2 to be closed when the daemon is executed", c.descriptorsChoice(true, 0))
	if err := cloexecAll(); err != nil {
		return nil, err
	}
	p, err := c.prepare(Shell, true)
	if err != nil {
		return nil, err
	}
	child, err := c.launch(p)
	if err != nil {
		return nil, errors.Join(err, p.abandon())
	}
	if err := child.wait(c.StartTimeout, interrupted, c.Explain); err != nil {
		return nil, errors.Join(err, p.abandon())
	}
	// The daemon holds the locks now; these copies go without removing anything.
	var errs []error
	// The leader's go with it. It is about to end, but might outlive a daemon that
	// is stopped at once, whose lock would then still be held.
	if _, err := waitPID(child.leader); err != nil && !errors.Is(err, unix.ECHILD) {
		errs = append(errs, fmt.Errorf("wait for the session's leader: %w", err))
	}
	if p.pidfile != nil {
		errs = append(errs, p.pidfile.file.Close())
	}
	for _, f := range []*os.File{p.lock, p.copy} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return &Process{starter: true, pid: child.daemon, plan: p.plan, warnings: append(p.plan.Warnings, child.warnings...)}, errors.Join(errs...)
}

// child is the leader and the daemon, as the starter sees them.
type child struct {
	leader, daemon int
	pipe           *os.File
	warnings       []string
	failure        error
	ready          bool
}

// launch executes the leader.
func (c *Context) launch(p *prepared) (_ *child, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the daemon's report: %w", err)
	}
	defer w.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()

	or := func(f *os.File) *os.File {
		if f == nil {
			return null
		}
		return f
	}
	pass := []*os.File{or(c.Stdin), or(c.Stdout), or(c.Stderr)}
	add := func(f *os.File) int {
		pass = append(pass, f)
		return len(pass) - 1
	}
	p.plan.Files.Plan = add(nil) // known only when the plan is written
	p.plan.Files.Report = add(w)
	if p.pidfile != nil {
		p.plan.Files.PIDFile = add(p.pidfile.file)
	}
	if p.lock != nil {
		p.plan.Files.Lock = add(p.lock)
	}
	for _, f := range c.FilesPreserve {
		p.plan.Files.Preserved = append(p.plan.Files.Preserved, add(f))
		p.plan.Files.Names = append(p.plan.Files.Names, f.Name())
	}
	p.plan.Become = p.who
	planFile, err := p.plan.write()
	if err != nil {
		return nil, err
	}
	defer planFile.Close()
	pass[p.plan.Files.Plan] = planFile

	c.step(aboutEnvironment, "make one of what a daemon needs",
		"kept: language, time zone and what the program names; PATH is a safe one, HOME, USER and LOGNAME are those of the daemon's user (daemon(7), step 4)")
	env := append(c.cleanEnvironment(os.Environ(), p.who),
		stageSetting(stageLeader, p.plan.Files.Plan, os.Getpid()))
	c.explainNoNewPrivileges()
	if c.NoNewPrivileges {
		if err := setNoNewPrivileges(); err != nil {
			return nil, err
		}
	}
	c.step(aboutExecution, "execute the program twice more: as the leader of a new session, and as the daemon",
		"an execution takes the place of each of the two forks of a C program")
	c.step(aboutSession, "start a new process in the directory /, which leads a new session and process group (setsid)",
		"a new process, because setsid fails in one that leads a process group, as a command that was typed does")
	c.step(aboutReadiness, "wait until the daemon reports that it works",
		fmt.Sprintf("at most %s (StartTimeout); after that, or at ^C, the daemon is ended and its pidfile removed", duration.Format(c.StartTimeout)))
	fds := make([]uintptr, len(pass))
	for i, f := range pass {
		fds[i] = f.Fd()
	}
	leader, err := forkExec(p.path, os.Args, fds, env, &syscall.SysProcAttr{Setsid: true})
	if err != nil {
		return nil, fmt.Errorf("execute %s: %w", p.path, err)
	}
	runtime.KeepAlive(pass)
	return &child{leader: leader, pipe: r}, nil
}

func forkExec(path string, args []string, fds []uintptr, env []string, attr *syscall.SysProcAttr) (int, error) {
	return syscall.ForkExec(path, args, &syscall.ProcAttr{Dir: "/", Files: fds, Env: env, Sys: attr})
}

// wait receives the daemon's report until it is ready, fails or ends.
func (c *child) wait(timeout time.Duration, interrupted <-chan os.Signal, explain io.Writer) error {
	messages := make(chan message)
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		defer close(messages)
		for d := json.NewDecoder(c.pipe); ; {
			var m message
			if d.Decode(&m) != nil { // the daemon closed its end, or wait did ours
				return
			}
			select {
			case messages <- m:
			case <-quit:
				return
			}
		}
	}()
	defer c.pipe.Close()
	var late <-chan time.Time
	if timeout > 0 {
		late = time.After(timeout) // the starter isn't the process that sleeps
	}
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return c.ended()
			}
			c.take(m, explain)
			if c.ready {
				return nil
			}
		case sig := <-interrupted:
			c.kill(messages)
			return fmt.Errorf("start interrupted (%v): the daemon was ended too", sig)
		case <-late:
			c.kill(messages)
			return fmt.Errorf("the daemon wasn't ready within %s, and was ended; its log may have the reason", duration.Format(timeout))
		}
	}
}

func (c *child) take(m message, explain io.Writer) {
	switch {
	case m.PID != 0:
		c.daemon = m.PID
	case m.Step != nil:
		m.Step.print(explain)
	case m.Warning != "":
		c.warnings = append(c.warnings, m.Warning)
	case m.Error != "":
		c.failure = &StartError{Text: m.Error, Code: m.Code}
		if m.Field != "" {
			c.failure = inField(m.Field, c.failure)
		}
	case m.Ready:
		c.ready = true
	}
}

// kill ends leader and daemon. Both are this process's children (the daemon by
// CLONE_PARENT) and not waited for, so the numbers can't be somebody else's.
func (c *child) kill(messages <-chan message) {
	// The leader may have started the daemon and not told yet.
	for late := time.After(time.Second); c.daemon == 0; {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				late = time.After(0)
			}
			c.take(m, nil)
			continue
		case <-late:
		}
		break
	}
	for _, pid := range []int{c.leader, c.daemon} {
		if pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
	c.reap()
}

// ended says why the report ended before the daemon was ready.
func (c *child) ended() error {
	how, code := c.reap()
	if c.failure != nil {
		return c.failure
	}
	return &StartError{Text: "the daemon ended before it was ready: " + how, Code: code}
}

// reap waits for both, and says how they ended and the exit status for that.
func (c *child) reap() (how string, code int) {
	code = ExitFailed
	var all []string
	for _, p := range []struct {
		name string
		pid  int
	}{{"the session leader", c.leader}, {"the daemon", c.daemon}} {
		if p.pid == 0 {
			continue
		}
		ws, err := waitPID(p.pid)
		switch {
		case err != nil:
			all = append(all, fmt.Sprintf("%s: %v", p.name, err))
		case ws.Signaled():
			all = append(all, fmt.Sprintf("%s was killed by %s (%v)", p.name, unix.SignalName(ws.Signal()), ws.Signal()))
		case ws.ExitStatus() != 0:
			code = ws.ExitStatus()
			fallthrough
		case p.pid == c.daemon:
			all = append(all, fmt.Sprintf("%s exited with status %d", p.name, ws.ExitStatus()))
		}
	}
	if len(all) == 0 {
		return "it said nothing", code
	}
	return strings.Join(all, "; "), code
}

func waitPID(pid int) (ws syscall.WaitStatus, err error) {
	for {
		if _, err = syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
			return ws, err
		}
	}
}

// lead is the whole life of the session leader: it starts the daemon and ends. It
// returns its exit status.
func lead(p *plan) int {
	runtime.LockOSThread()
	r := &reporter{pipe: os.NewFile(uintptr(p.Files.Report), "report"), explain: p.Explain}
	if err := startDaemon(p, r); err != nil {
		r.fail(fmt.Errorf("start the daemon from its session's leader: %w", err))
		return ExitFailed
	}
	return 0
}

func startDaemon(p *plan, r *reporter) error {
	if _, err := cleanSignals(); err != nil {
		return err
	}
	if err := cloexecAll(); err != nil {
		return err
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT}
	if p.Become != nil && p.Chroot == "" {
		r.step(aboutPrivileges, p.Become.describe(), p.Become.choice())
		attr.Credential = p.Become.credential()
		attr.AmbientCaps = p.Become.Ambient
	}
	r.step(aboutTerminal, "start the daemon as a second process of the new session, and end its leader",
		"a second process, because only the leader of a session acquires a controlling terminal by opening one (the second fork)")
	var pass []uintptr // the same descriptors by the same numbers
	for fd := range slices.Max(p.Files.all()) + 1 {
		pass = append(pass, uintptr(fd))
	}
	env := append(without(os.Environ(), stageVariable), stageSetting(stageDaemon, p.Files.Plan, os.Getppid()))
	pid, err := forkExec(self, os.Args, pass, env, attr)
	if err != nil {
		return fmt.Errorf("execute %s: %w", self, err)
	}
	r.send(message{PID: pid})
	return nil
}
