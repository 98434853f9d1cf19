package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A process as /proc/PID/stat tells of it: proc(5).
type process struct {
	pid, parent, group, session int
	name                        string
	zombie                      bool
}

func (p process) String() string { return fmt.Sprintf("%s (%d)", p.name, p.pid) }

// processes lists those that can be seen. Where /proc isn't there, or hides
// others' processes, some or all are missing.
func processes() []process {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil // of a pattern that is our own: it can't be
	}
	var all []process
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // it is over
		}
		if p, ok := parseStat(string(data)); ok {
			all = append(all, p)
		}
	}
	return all
}

// parseStat reads "PID (NAME) STATE PPID PGRP SESSION …". The name may contain
// anything, brackets and blanks too.
func parseStat(text string) (process, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 2 || end < open {
		return process{}, false
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 4 {
		return process{}, false
	}
	p := process{name: text[open+1 : end], zombie: fields[0] == "Z" || fields[0] == "X"}
	for into, field := range map[*int]string{&p.pid: strings.TrimSpace(text[:open]), &p.parent: fields[1], &p.group: fields[2], &p.session: fields[3]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return process{}, false
		}
		*into = n
	}
	return p, true
}

// members are the processes of a session that aren't over.
func members(session int) []process {
	return slices.DeleteFunc(processes(), func(p process) bool { return p.session != session || p.zombie })
}

func sessionAlive(session int) bool { return len(members(session)) > 0 }

// signalSession signals all processes of a session, whatever their groups. The
// leader is not reaped yet, so that the session's number is its own.
func signalSession(session int, s syscall.Signal) {
	// The leader's group at once: also where /proc shows nothing.
	_ = syscall.Kill(-session, s) // ESRCH: all of them are over
	for _, p := range members(session) {
		if p.group != session {
			signalMember(p.pid, session, s)
		}
	}
}

// signalMember signals a process if it is still one of the session: by a
// descriptor, so that no other can have its number in between.
func signalMember(pid, session int, s syscall.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it is over; Linux before 5.3 has no pidfd, and is older than what this runs on
	}
	defer unix.Close(fd)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	if p, ok := parseStat(string(data)); ok && p.session == session {
		_ = unix.PidfdSendSignal(fd, s, nil, 0) // it may be over by now, or another user's
	}
}

// outsiders are the program's descendants that are in another session. Those
// whose parents have ended can't be told from others.
func outsiders(session int) []string {
	all := processes()
	family := map[int]bool{session: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !family[p.pid] && (family[p.parent] || p.session == session) {
				family[p.pid], grown = true, true
			}
		}
	}
	var names []string
	for _, p := range all {
		if family[p.pid] && p.session != session && !p.zombie {
			names = append(names, p.String())
		}
	}
	return names
}

// holders are the processes outside of the session that hold the other end of a
// pipe of ours, as far as /proc shows them.
func (x *execution) holders() []string {
	if x.reading == 0 {
		return nil
	}
	pipes := map[string]bool{}
	for _, f := range x.mine {
		conn, err := f.SyscallConn() // Fd would make the file block, and its reader with it
		if err != nil {
			continue // it is closed
		}
		_ = conn.Control(func(fd uintptr) {
			if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
				pipes[name] = true
			}
		})
	}
	self := os.Getpid()
	var names []string
	for _, p := range processes() {
		if p.pid == self || p.session == x.pid {
			continue
		}
		fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
		if err != nil {
			continue // of a pattern that is our own: it can't be
		}
		for _, fd := range fds {
			if name, err := os.Readlink(fd); err == nil && pipes[name] {
				names = append(names, p.String())
				break
			}
		}
	}
	return names
}
