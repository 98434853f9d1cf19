// Package daemon turns a Go program into a well-behaved Unix daemon, as PEP 3143
// asks for ("Standard daemon process library"), after W. Richard Stevens, Unix
// Network Programming, volume 1, 2nd edition (1998), §12.4, and with what
// daemon(7) and the Linux Standard Base add. It knows nothing of what the
// program is for.
//
// A program describes what it wants in a [Context] and calls [Context.Open]:
//
//	d := daemon.New("ticker")
//	d.PIDFile = "/run/ticker/ticker.pid"
//	p, err := d.Open()
//	if err != nil {
//		fmt.Fprintln(os.Stderr, "ticker:", err)
//		os.Exit(daemon.ExitCode(err))
//	}
//	if p.Starter() { // the command that was typed: the daemon is ready
//		return
//	}
//	defer p.Close()
//	// ... open sockets and files ...
//	p.Ready("ticking")
//	for event := range p.Events() { ... }
//
// # Three runs of one program
//
// A C program becomes a daemon by forking twice. A Go program has threads from
// the beginning, and a fork would copy only one of them; so the same program is
// executed anew each time:
//
//   - The starter is the command that was typed. It checks everything that can
//     be checked, opens what the daemon needs, and starts the leader. It waits
//     until the daemon says that it is ready, or why it can't be, and passes
//     that on to the terminal and to its own exit status.
//   - The leader calls setsid and so leaves the starter's session, process group
//     and terminal. It starts the daemon, with the daemon's user and groups, and
//     ends.
//   - The daemon is not the leader of its session, so no terminal it may open
//     can become its controlling terminal (Stevens, §12.4, "why fork twice").
//
// The second and third run begin in this package's initialisation, before main.
// In the daemon, main runs as usual and reaches Open again, which recognises it.
// What the starter read or decided, and the daemon can't find out again (a file
// on a stick that is gone by then), travels as [Context.Handover].
//
// # Already detached
//
// Under init, systemd, a superserver, or as the first process of a container,
// the process has been detached already, and a second time would only hide it
// from whoever supervises it (PEP 3143, "Correct daemon behaviour"). See
// [Detect]. Open then goes on in the same process, and executes the program once
// more, with the same process id, where the signal mask, the environment or the
// executable has to change.
package daemon
