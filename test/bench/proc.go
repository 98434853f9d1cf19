package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A usage is what the kernel has counted of a process up to one moment.
type usage struct {
	at      time.Time
	wakeups int // voluntary context switches of all threads
	cpu     time.Duration
	threads map[string]bool
}

// usageOf reads the counts of a process. They are of threads that live: one
// that ended takes its own along, which since notices.
func usageOf(pid int) (usage, error) {
	u := usage{threads: map[string]bool{}}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return u, err
	}
	if len(files) == 0 {
		return u, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return u, err
		}
		if strings.Contains(string(text), "\nState:\tZ") {
			return u, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone)
		}
		n, err := field(string(text), "voluntary_ctxt_switches")
		if err != nil {
			return u, fmt.Errorf("%s: %w", file, err)
		}
		u.wakeups += n
		u.threads[file] = true
	}
	u.cpu, err = cpuOf(pid)
	u.at = time.Now()
	return u, err
}

// cpuOf reads the CPU clock of a process: clock_getcpuclockid(3), whose number
// is made as in the kernel's include/linux/posix-timers.h.
func cpuOf(pid int) (time.Duration, error) {
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// field is a number in /proc/PID/status; kB are left out.
func field(status, name string) (int, error) {
	for line := range strings.Lines(status) {
		key, value, ok := strings.Cut(line, ":")
		if ok && key == name {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, fmt.Errorf("no field %s", name)
}

// A load is what a process did in a window.
type load struct {
	window  time.Duration
	wakeups int
	cpu     time.Duration
	lost    bool // a thread ended, and its wake-ups aren't counted
}

func (u usage) since(before usage) load {
	l := load{window: u.at.Sub(before.at), wakeups: u.wakeups - before.wakeups, cpu: u.cpu - before.cpu}
	for thread := range before.threads {
		l.lost = l.lost || !u.threads[thread]
	}
	return l
}

func (l load) plus(m load) load {
	return load{l.window + m.window, l.wakeups + m.wakeups, l.cpu + m.cpu, l.lost || m.lost}
}

// A footprint is the memory of a process in kB, its threads and descriptors.
type footprint struct{ own, rss, shmem, threads, fds int }

// footprintOf counts as the process's own what no file is behind: anonymous and
// shared memory.
func footprintOf(pid int) (footprint, error) {
	var f footprint
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return f, err
	}
	var anon int
	for name, to := range map[string]*int{"RssAnon": &anon, "RssShmem": &f.shmem, "VmRSS": &f.rss, "Threads": &f.threads} {
		if *to, err = field(string(text), name); err != nil {
			return f, fmt.Errorf("process %d: %w", pid, err)
		}
	}
	f.own = anon + f.shmem
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	f.fds = len(fds)
	return f, err
}
