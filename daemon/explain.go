package daemon

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// step explains a step that the process itself takes.
func (c *Context) step(topic, what, choice string) {
	step{Topic: topic, What: what, Choice: choice}.print(c.Explain)
}

// explainDetaching begins the explanation.
func (c *Context) explainDetaching(s Situation, detaches bool) {
	if c.Explain == nil {
		return
	}
	// A closed terminal is told nothing of the steps either.
	_, _ = io.WriteString(c.Explain, explainHeader)
	what := "start the daemon as another process, in a session of its own"
	if !detaches {
		what = "go on in this process"
	}
	c.step(aboutDetaching, what, c.detachingChoice(s))
}

// detachingChoice says why detaches answers as it does.
func (c *Context) detachingChoice(s Situation) string {
	switch {
	case s == FirstProcess:
		return "not detached: this is process 1, of a container for instance, and the container ends when it does"
	case c.DetachProcess == DetachNever:
		return "not detached: the program asks for it (DetachNever)"
	case c.DetachProcess == DetachAlways:
		return "detached: the program asks for it (DetachAlways)"
	case s == Init:
		return "not detached: the parent is init, and there is no controlling terminal, so init has started this process and watches it"
	case s == Systemd:
		return fmt.Sprintf("not detached: %s is set, so systemd has started this process and watches it", systemdVariable(os.Getpid(), os.Getenv))
	case s == Superserver:
		return "not detached: standard input is a socket, so a superserver has started this process and watches it"
	}
	return "detached: a person or a script has started it, and neither init, systemd, a superserver nor a container"
}

// descriptorsChoice says which descriptors the daemon has.
func (c *Context) descriptorsChoice(detached bool, sockets int) string {
	var kept []string
	if detached {
		kept = append(kept, "/dev/null or a log as standard input, output and error", "the pipe of its report")
	} else {
		kept = append(kept, "standard input, output and error, as whoever has started this process has set them")
	}
	if c.PIDFile != "" {
		kept = append(kept, "the locked pidfile")
	}
	if sockets > 0 {
		kept = append(kept, fmt.Sprintf("sockets from systemd: %d", sockets))
	}
	if n := len(c.FilesPreserve); n > 0 {
		kept = append(kept, fmt.Sprintf("files that the program preserves: %d", n))
	}
	return "kept: " + strings.Join(kept, "; ")
}

func (c *Context) explainExecutable(r program) {
	what := "run from the executable's own file"
	if r.copied != "" {
		what = "run from a copy of the executable in " + r.copied
	}
	c.step(aboutExecutable, what, r.choice)
}

// explainIdentity says who the daemon is where it doesn't become another.
func (c *Context) explainIdentity(who *identity) {
	if who == nil {
		c.step(aboutPrivileges, fmt.Sprintf("stay user %d, group %d", os.Geteuid(), os.Getegid()), c.identityChoice())
	}
}

func (c *Context) identityChoice() string {
	if c.User == "" && c.Group == "" {
		return "the program names no other user (User, Group)"
	}
	return "the user that the program names (User, Group) is this one already"
}

func (c *Context) explainNoNewPrivileges() {
	if c.NoNewPrivileges {
		c.step(aboutPrivileges, "give up gaining any (no_new_privs)",
			"the program asks for it (NoNewPrivileges): neither the daemon nor a child becomes another user by executing a set-user-ID program")
	}
}

// explainOwnTerminal says what becomes of a terminal that the process has. A
// process that can't look it up fails for that later.
func (c *Context) explainOwnTerminal() {
	if terminal, err := hasTerminal(os.Getpid()); terminal && err == nil {
		c.step(aboutTerminal, "keep it", "the program runs in the foreground, and ends when the terminal hangs up")
		return
	}
	c.step(aboutTerminal, "stay without one", "there is none, and the log and the pidfile are opened so that none is acquired (O_NOCTTY)")
}

// explainStaying explains what isn't done where the process isn't detached.
func (c *Context) explainStaying(s Situation, reasons []string) {
	starter := "whoever runs the program in the foreground"
	if s != Shell {
		starter = "whoever has started this process and watches it"
	}
	c.step(aboutSession, "stay in the session and the process group", starter+" has made them")
	c.explainOwnTerminal()
	c.step(aboutEnvironment, "keep the environment", starter+" has made it for this program; what is meant for the process alone isn't passed to its children")
	c.explainNoNewPrivileges()
	if len(reasons) == 0 {
		c.step(aboutExecution, "go on without another execution", "nothing has to change that only an execution changes")
		return
	}
	c.step(aboutExecution, "execute the program again, with the same process id", strings.Join(reasons, "; "))
}

// explainSignals says of each signal what becomes of it. At a terminal those that
// stop a process keep their action.
func (r *reporter) explainSignals(signals map[syscall.Signal]Event, terminal bool) {
	all := maps.Clone(signals)
	if all == nil {
		all = map[syscall.Signal]Event{}
	}
	all[syscall.SIGPIPE] = Ignore // whatever the program asks for: see receive
	for _, sig := range inOrder(all) {
		event, name := all[sig], unix.SignalName(sig)
		topic, why := reasonFor(sig)
		s := step{Topic: topic, What: "catch " + name, Why: why, Choice: fmt.Sprintf("the program receives it as the event %q", event)}
		switch {
		case sig == syscall.SIGPIPE:
			s.Choice = "caught and dropped: the write fails instead; ignoring it would be inherited by children"
		case event == Ignore && terminal:
			s.What, s.Choice = "leave "+name+" as it is", "not ignored: there is a terminal, and ^Z is for the person at it"
		case event == Ignore:
			s.What, s.Choice = "ignore "+name, "ignored by the daemon alone: its children get the default action"
		case event == Terminate:
			s.Choice = "the daemon ends its work, removes its pidfile and exits with status 0"
		case event == Reload:
			s.Choice = "the daemon reads its configuration again, as is the custom (daemon(7))"
		}
		r.explainStep(s)
	}
}

// inOrder sorts signals as signalReasons has them, others after them.
func inOrder(signals map[syscall.Signal]Event) []syscall.Signal {
	place := func(sig syscall.Signal) int {
		for i, r := range signalReasons {
			if r.signal == sig {
				return i
			}
		}
		return len(signalReasons) + int(sig)
	}
	return slices.SortedFunc(maps.Keys(signals), func(a, b syscall.Signal) int { return place(a) - place(b) })
}

// explainChildren says who is waited for.
func (r *reporter) explainChildren(strangers bool) {
	choice := "the program waits for the children it starts; no others come to this process"
	if strangers {
		choice = "the program waits for the children it starts; this process inherits orphans, too, and waits for each of those by its number"
	}
	r.step(aboutChildren, "don't ignore it", choice)
}

// explainReadiness says who is told that the daemon works.
func (p *Process) explainReadiness() {
	ready := "no starter waits: the process was not detached, and no supervisor listens (NOTIFY_SOCKET)"
	switch {
	case p.plan.Detached:
		ready = "the command that was typed exits with status 0"
	case p.notifier.active:
		ready = "the supervisor is notified by NOTIFY_SOCKET"
	}
	p.report.step(aboutReadiness, "report that the daemon works",
		ready+"; the program reports it when its sockets listen and its files are open")
}

// directoryChoice says what the working directory keeps in use.
func directoryChoice(dir string) string {
	if dir == "/" {
		return "the root file system is in use as long as the system runs"
	}
	return "the program asks for it (WorkingDirectory); its file system can't be unmounted while the daemon runs"
}
