package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Situation is how a process was started.
type Situation string

// What [Detect] tells apart. All but Shell mean that the process is detached
// already, or that its parent wants to keep it.
const (
	Shell        Situation = "shell"         // by a user, or by a script of theirs
	FirstProcess Situation = "first process" // process 1: of a container, or in place of init
	Init         Situation = "init"          // by System V init or its like
	Systemd      Situation = "systemd"       // as a service
	Superserver  Situation = "superserver"   // inetd: standard input is a socket with a name
)

// Detect finds out how this process was started. PEP 3143, "Correct daemon
// behaviour", asks that a process started by init or by a superserver isn't
// detached again; systemd's variables are those of sd_listen_fds(3), sd_notify(3)
// and systemd.exec(5).
func Detect() Situation {
	if resumed != nil {
		return resumed.Situation
	}
	tty, err := hasTerminal(os.Getpid())
	return detect(os.Getpid(), os.Getppid(), err == nil && !tty, os.Getenv, isServed(0))
}

func detect(pid, ppid int, noTerminal bool, env func(string) string, stdinSocket bool) Situation {
	switch {
	case pid == 1:
		return FirstProcess
	case systemdVariable(pid, env) != "":
		return Systemd
	case stdinSocket:
		return Superserver
	case ppid <= 1 && noTerminal: // 0: the parent is outside the PID namespace
		return Init
	}
	return Shell
}

// systemdVariable is the variable by which systemd shows that it has started the
// process; "" where there is none.
func systemdVariable(pid int, env func(string) string) string {
	for _, name := range []string{"SYSTEMD_EXEC_PID", "LISTEN_PID"} {
		if env(name) == strconv.Itoa(pid) {
			return name
		}
	}
	if env("NOTIFY_SOCKET") != "" {
		return "NOTIFY_SOCKET"
	}
	return ""
}

// isServed tells whether the descriptor is a socket that a superserver may have
// passed: of the internet, or a unix socket with a name. A nameless unix socket is
// one end of a pair, as Node.js and others give their children instead of pipes.
func isServed(fd int) bool {
	address, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		return true
	case *unix.SockaddrUnix:
		return a.Name != "" && a.Name != "@" // which package unix makes of no name
	}
	return false
}

// procStat is what /proc/PID/stat tells, proc_pid_stat(5).
type procStat struct {
	state                   string
	parent, group, sid, tty int
}

func readStat(pid int) (s procStat, err error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	b, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	// The name stands in parentheses and may hold anything, parentheses too.
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	if _, err := fmt.Sscan(rest, &s.state, &s.parent, &s.group, &s.sid, &s.tty); err != nil {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	return s, nil
}

// hasTerminal tells whether the process has a controlling terminal.
func hasTerminal(pid int) (bool, error) {
	s, err := readStat(pid)
	return s.tty != 0, err
}
