package daemon

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Document explains each point to somebody who is new to Unix. Its sections are
// numbered.
const Document = "docs/daemon.md"

// topic is one thing that is asked of a daemon. What a start explains and what
// [Inspect] looks at are both told by this table, in the words of the document's
// section.
type topic struct {
	Name    string
	Section int // of Document
	Why     string
}

// The names of the topics.
const (
	aboutDetaching   = "detaching"
	aboutSignals     = "signals"
	aboutDescriptors = "descriptors"
	aboutUmask       = "umask"
	aboutDirectories = "directories"
	aboutPIDFile     = "pidfile"
	aboutExecutable  = "executable"
	aboutMounts      = "mounts"
	aboutEnvironment = "environment"
	aboutPrivileges  = "privileges"
	aboutSession     = "session"
	aboutTerminal    = "controlling terminal"
	aboutExecution   = "execution"
	aboutName        = "process name"
	aboutRoot        = "root directory"
	aboutDirectory   = "working directory"
	aboutCore        = "core dumps"
	aboutTTY         = "terminal signals"
	aboutChildren    = "SIGCHLD"
	aboutReadiness   = "readiness"
)

// topics are in the order in which a start comes to them.
var topics = []topic{
	{aboutDetaching, 12, "a process that stays in its starter's session ends with it; one whose supervisor has detached it must not do so again, " +
		"because the supervisor would take the parent's end for its own"},
	{aboutSignals, 13, "blocked and ignored signals are inherited; init stops a daemon by SIGTERM, and one that doesn't receive it has to be killed"},
	{aboutDescriptors, 7, "an inherited descriptor keeps a file, a file system, a pipe or a terminal of the starter in use"},
	{aboutUmask, 9, "an inherited mask makes the daemon's files writable to everybody, or unreadable to those who need them"},
	{aboutDirectories, 19, "the daemon's user may not be allowed to make them"},
	{aboutPIDFile, 17, "its lock, not the number in it, proves that the daemon runs; the lock ends with the process, and a second daemon is refused"},
	{aboutExecutable, 16, "the kernel maps the executable and its libraries into memory, and a file system with a mapped file can't be unmounted"},
	{aboutMounts, 16, "a file system that a process uses can't be unmounted, and its disk can't be removed safely"},
	{aboutEnvironment, 18, "the starter's environment belongs to a session that ends, and may contain secrets"},
	{aboutPrivileges, 19, "what a daemon may do, an error in it may do"},
	{aboutSession, 4, "the keys of a terminal signal a process group of its session, and its hang-up signals the session's leader; a shell passes that on to its jobs"},
	{aboutTerminal, 5, "the keys of a controlling terminal signal the process, and its hang-up ends it"},
	{aboutExecution, 15, "only an execution changes the signal mask of all threads, the Go runtime's settings and the mapped executable, and Go can't fork without one"},
	{aboutName, 3, "after an execution by descriptor the kernel shows the descriptor's number as the process's name"},
	{aboutRoot, 19, "files outside the root directory are out of reach of an error in the daemon"},
	{aboutDirectory, 8, "the file system of the working directory can't be unmounted: a system keeps data that grows on a file system of its own, " +
		"and a daemon may have been started from a USB drive"},
	{aboutCore, 19, "a core dump contains all memory of the process, passwords too"},
	{aboutTTY, 10, "they stop a process, and in the background nothing continues it"},
	{aboutChildren, 11, "where SIGCHLD is ignored, the exit statuses of children are lost; a child that is not waited for stays as a zombie"},
	{aboutReadiness, 6, "whoever started the daemon goes on when the parent exits, and relies on a daemon that works by then"},
}

// topicOf is the topic of a name, which is one of those above.
func topicOf(name string) topic {
	for _, t := range topics {
		if t.Name == name {
			return t
		}
	}
	return topic{Name: name}
}

// section is what the topic is marked with: a section of Document.
func (t topic) section() string { return fmt.Sprintf("§%d", t.Section) }

// signalReasons say of each signal that a daemon is concerned with why it is
// treated as it is, and which topic it belongs to.
var signalReasons = []struct {
	signal     syscall.Signal
	topic, why string
}{
	{syscall.SIGTTIN, aboutTTY, "the kernel sends it to a background process that reads from its terminal, and its default action stops the process"},
	{syscall.SIGTTOU, aboutTTY, "the kernel sends it to a background process that writes to its terminal or configures it, and its default action stops the process"},
	{syscall.SIGTSTP, aboutTTY, "a terminal sends it at ^Z, and its default action stops the process"},
	{syscall.SIGHUP, aboutTTY, "a terminal sends it when it hangs up, and its default action ends the process; a daemon has no terminal, so a person sends it"},
	{syscall.SIGTERM, aboutSignals, "init, systemd and kill(1) stop a daemon by it, and kill what is still there some seconds later"},
	{syscall.SIGINT, aboutSignals, "a terminal sends it at ^C; in the foreground it is how a person ends the program"},
	{syscall.SIGPIPE, aboutSignals, "the kernel sends it to a process that writes to a pipe without a reader, such as that of a log reader that has ended, and its default action ends the process"},
	{syscall.SIGCHLD, aboutChildren, topicOf(aboutChildren).Why},
}

// reasonFor tells why a signal has a place in a SignalMap; a signal of the
// program's own is explained by the program.
func reasonFor(sig syscall.Signal) (name, why string) {
	for _, r := range signalReasons {
		if r.signal == sig {
			return r.topic, r.why
		}
	}
	return aboutSignals, fmt.Sprintf("the program gives %s a meaning of its own; its default action would end the process", unix.SignalName(sig))
}
