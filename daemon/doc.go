// Package daemon turns a Go program into a well-behaved Unix daemon, as PEP 3143
// asks for ("Standard daemon process library", section "Correct daemon
// behaviour"). The PEP follows W. Richard Stevens, Unix Network Programming, 1st
// edition (1990), §2.6; the 2nd edition, volume 1 (1998), has fork on page 102 and
// daemon_init with its second fork in §12.4, page 335. daemon(7) and the Linux
// Standard Base add to it. That a daemon releases the mount of its executable is
// this package's own demand. The package knows nothing of what the program is
// for.
//
// [Document] explains each step to somebody who is new to Unix, with commands
// that show what goes wrong without it.
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
// executed again each time:
//
//   - The starter is the command that was typed. It checks everything that can
//     be checked, opens what the daemon needs, and starts the leader. It waits
//     until the daemon says that it is ready, or why it can't be, and passes
//     that on to the terminal and to its own exit status.
//   - The leader calls setsid and so leaves the starter's session, process group
//     and terminal. It starts the daemon, with the daemon's user and groups, and
//     ends.
//   - The daemon is not the leader of its session, so no terminal it may open
//     can become its controlling terminal (Stevens, 2nd edition, §12.4, the second fork).
//
// The second and third run begin in this package's initialisation, before main.
// In the daemon, main runs as usual and reaches Open again, which recognises it.
// What the starter read or decided, and the daemon can't find out again (a file
// on a USB drive that is gone by then), travels as [Context.Handover].
//
// # Already detached
//
// Under init, systemd, a superserver, or as the first process of a container,
// the process has been detached already, and a second time would only hide it
// from whoever supervises it (PEP 3143, "Correct daemon behaviour"). See
// [Detect]. Open then goes on in the same process, and executes the program once
// more, with the same process id, where the signal mask, the environment or the
// executable has to change.
//
// # The attributes of PEP 3143
//
// The fields of [Context] and what [New] sets them to, beside the attributes of
// the PEP's DaemonContext and their defaults:
//
//	PEP 3143          | here                | PEP's default                         | default here                                          | why it differs
//	files_preserve    | FilesPreserve       | None                                  | nil                                                   |
//	chroot_directory  | ChrootDirectory     | None                                  | ""                                                    |
//	working_directory | WorkingDirectory    | '/'                                   | "/"                                                   |
//	umask             | Umask               | 0                                     | 0                                                     |
//	pidfile           | PIDFile             | None                                  | ""                                                    |
//	detach_process    | DetachProcess       | None                                  | "auto"                                                | the same, by a name
//	signal_map        | SignalMap           | TTIN TTOU TSTP None, TERM 'terminate' | TTIN TTOU TSTP Ignore, TERM INT Terminate, HUP Reload | ^C ends what runs in the foreground; HUP reloads, daemon(7)
//	uid               | User                | os.getuid()                           | ""                                                    | the same: "" is the real user
//	gid               | Group               | os.getgid()                           | ""                                                    | the same: "" is the real group
//	prevent_core      | PreventCore         | True                                  | true                                                  |
//	stdin             | Stdin               | None                                  | nil                                                   |
//	stdout            | Stdout              | None                                  | nil                                                   |
//	stderr            | Stderr              | None                                  | nil                                                   |
//	-                 | InitGroups          | -                                     | true                                                  | python-daemon's; a user without its groups can't use what they own
//	-                 | SupplementaryGroups | -                                     | nil                                                   | groups that own devices
//	-                 | AmbientCapabilities | -                                     | nil                                                   | a user other than root may keep single rights of root's
//	-                 | NoNewPrivileges     | -                                     | true                                                  | set-user-ID programs give a daemon's children rights back
//	-                 | Directories         | -                                     | nil                                                   | a daemon's user can't make them in /var/lib or /run
//	-                 | ReleaseExecutable   | -                                     | "auto"                                                | the executable's file system can be unmounted
//	-                 | Environment         | -                                     | nil                                                   | the Go runtime reads its settings when it starts
//	-                 | KeepEnvironment     | -                                     | nil                                                   | daemon(7), step 4: the environment is cleaned
//	-                 | Handover            | -                                     | nil                                                   | what the starter read may be gone when the daemon runs
//	-                 | Name                | -                                     | "ticker"                                              | in messages and as the process's name: here New("ticker")
//	-                 | StartTimeout        | -                                     | 30s                                                   | the starter waits until the daemon is ready
//	-                 | Explain             | -                                     | nil                                                   | tells each step and its reason
package daemon
