package daemon

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Context says what the daemon's process is to be like. [New] fills in what PEP
// 3143 has as defaults. The fields of the PEP's DaemonContext come first, by its
// names.
type Context struct {
	// ChrootDirectory becomes the daemon's root directory. It confines a
	// process that isn't root; PEP 3143 chroot_directory. Empty: none. /proc and
	// the supervisor's socket are out of reach then, too: such a process neither
	// reaps orphans nor notifies a supervisor.
	ChrootDirectory string

	// WorkingDirectory becomes the daemon's. Anything else than "/" keeps a file
	// system busy that somebody may want to unmount; PEP 3143 working_directory,
	// Stevens, 2nd edition, §12.4. Inside ChrootDirectory, if that is set.
	WorkingDirectory string

	// Umask is the daemon's file creation mask. An inherited one makes its files
	// unreadable to others, or writable to all; PEP 3143 umask. New sets 0, as the
	// PEP does: the modes that the program gives its files are the ones they have.
	Umask int

	// PIDFile names the file that holds the daemon's process id and whose lock
	// proves that it runs; PEP 3143 pidfile. Its directory is made if missing,
	// and belongs to the daemon's user, who could not remove the file otherwise.
	// Empty: none, and nothing then keeps a second daemon from starting.
	PIDFile string

	// Directories are made if missing, with their parents, and belong to the
	// daemon's user, who could not make them: for what it keeps between runs.
	Directories []string

	// DetachProcess says whether to leave the starter's session; PEP 3143
	// detach_process. New sets DetachAuto, as the PEP does.
	DetachProcess Detach

	// SignalMap says which Event a signal stands for; PEP 3143 signal_map. New
	// sets DefaultSignals().
	SignalMap map[syscall.Signal]Event

	// User and Group are names or numbers; PEP 3143 uid and gid. An empty User
	// leaves the process what it is, an empty Group is the user's own.
	User, Group string

	// InitGroups gives the process the groups that User is a member of;
	// initgroups, an attribute of the python-daemon library that the PEP doesn't
	// have. Otherwise it has none but Group and SupplementaryGroups. New sets it.
	InitGroups bool

	// PreventCore forbids core dumps, which may hold secrets, and attaching to
	// the process; PEP 3143 prevent_core. New sets it.
	PreventCore bool

	// FilesPreserve are open files that the daemon keeps; it finds them in
	// Process.Preserved. Every other descriptor is closed, because it would pin
	// files, mounts and pipes of whoever started the daemon; PEP 3143
	// files_preserve.
	FilesPreserve []*os.File

	// Stdin, Stdout and Stderr are what the detached daemon has as such; nil is
	// /dev/null. PEP 3143 stdin, stdout, stderr. Not used where the process isn't
	// detached: its supervisor has set them.
	Stdin, Stdout, Stderr *os.File

	// Name is the program's, in messages and as the process's name. After an
	// execution by descriptor the kernel would show "exe" or a number there.
	Name string

	// SupplementaryGroups are names of groups that the daemon gets besides, where
	// they exist (a group that owns a device, say). Only where User is set.
	SupplementaryGroups []string

	// AmbientCapabilities are numbers from capabilities(7) that the daemon keeps
	// when it becomes User, and all that it keeps.
	AmbientCapabilities []uintptr

	// NoNewPrivileges keeps the daemon and its children from gaining privileges
	// by executing setuid programs; prctl(2), PR_SET_NO_NEW_PRIVS. New sets it.
	NoNewPrivileges bool

	// ReleaseExecutable says whether to run from a copy in memory, so that the
	// file system that holds the executable can be unmounted. New sets
	// ReleaseAuto.
	ReleaseExecutable Release

	// Environment are KEY=value settings for the daemon, which win over inherited
	// ones: the place for GOMAXPROCS and its like, which the runtime reads at its
	// start only. Its children don't get them.
	Environment []string

	// KeepEnvironment are names of variables that a detached daemon inherits,
	// besides those for language and time zone. PATH is a safe one, HOME, USER
	// and LOGNAME are those of the daemon's user. Others are dropped: daemon(7),
	// "Sanitize the environment block".
	KeepEnvironment []string

	// Handover is carried from the starter to the daemon, which reads it by
	// [Handover]: configuration and certificates from a file system that may be
	// gone when the daemon runs.
	Handover []byte

	// StartTimeout is how long the starter waits for the daemon to be ready. New
	// sets 30 s.
	StartTimeout time.Duration

	// Explain, if set, is told each step as it is taken: what is done, why, and
	// which choice was made.
	Explain io.Writer
}

// Detach says whether to detach.
type Detach string

// DetachAuto detaches unless [Detect] finds that somebody has done so already.
const (
	DetachAuto   Detach = "auto"
	DetachAlways Detach = "always"
	DetachNever  Detach = "never"
)

// New returns a Context with the defaults of PEP 3143 for the program name; the
// table in the package's documentation has them all.
func New(name string) *Context {
	return &Context{
		Name:              name,
		WorkingDirectory:  "/",
		Umask:             0,
		DetachProcess:     DetachAuto,
		SignalMap:         DefaultSignals(),
		InitGroups:        true,
		PreventCore:       true,
		NoNewPrivileges:   true,
		ReleaseExecutable: ReleaseAuto,
		StartTimeout:      30 * time.Second,
	}
}

// Open makes the process a daemon.
//
// In the command that was typed, where it is right to detach, Open starts the
// daemon, waits until it is ready, and returns a Process whose Starter method
// tells true. In the daemon itself, and where detaching isn't right, it returns
// the Process to go on with.
//
// [ExitCode] gives the exit status that fits the error. A daemon that runs
// already is [*RunningError]; one that failed before it was ready, [*StartError].
func (c *Context) Open() (*Process, error) {
	if resumed != nil {
		return arrive(resumed, resumed.Files.open(resumed.PIDFile), c.Explain)
	}
	if err := errors.Join(c.check(), needsProc()); err != nil {
		return nil, err
	}
	situation := Detect()
	detaches := c.detaches(situation)
	c.explainDetaching(situation, detaches)
	if detaches {
		return c.detach()
	}
	return c.inPlace()
}

// Detaches tells whether Open will start a daemon beside this process, rather
// than go on in it.
func (c *Context) Detaches() bool { return c.detaches(Detect()) }

func (c *Context) detaches(s Situation) bool {
	switch {
	case s == FirstProcess:
		return false // nothing would be left of the container
	case c.DetachProcess == DetachAuto:
		return s == Shell
	}
	return c.DetachProcess == DetachAlways
}

// workingDirectory is where the daemon goes.
func (c *Context) workingDirectory() string {
	if c.WorkingDirectory == "" {
		return "/"
	}
	return c.WorkingDirectory
}
