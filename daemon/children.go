package daemon

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// children are the processes started by StartChild and not waited for yet. The
// lock is held while one is started, so that the reaper never sees a child that
// isn't entered.
var children = struct {
	sync.Mutex
	pids map[int]struct{}
}{pids: map[int]struct{}{}}

// privateVariables aren't for children: see Context.Environment.
var privateVariables []string

// StartChild starts a program as a daemon's child ought to be: no signal ignored
// because the daemon ignores it, none of its supervisor's and runtime's variables
// in the environment (unless cmd.Env sets one), and its exit status safe from the
// reaper that the daemon runs as process 1. Call [WaitChild] afterwards.
//
// A program that is process 1 and starts children otherwise loses their statuses.
func StartChild(cmd *exec.Cmd) error {
	if cmd.Env == nil {
		cmd.Env = without(os.Environ(), append(supervisorVariables, privateVariables...)...)
	}
	children.Lock()
	defer children.Unlock()
	if err := ignored.withDefaults(cmd.Start); err != nil {
		return err
	}
	children.pids[cmd.Process.Pid] = struct{}{}
	return nil
}

// WaitChild waits for a child of [StartChild], as cmd.Wait does.
func WaitChild(cmd *exec.Cmd) error {
	err := cmd.Wait()
	children.Lock()
	defer children.Unlock()
	if cmd.Process != nil {
		delete(children.pids, cmd.Process.Pid)
	}
	return err
}

// reaper waits for processes that became this one's children because their
// parents ended, as happens to process 1 and to a subreaper (prctl(2),
// PR_SET_CHILD_SUBREAPER). Nobody else would, and they stay zombies.
type reaper struct {
	signals chan os.Signal
	done    sync.WaitGroup
}

// startReaper returns nil where no strange children come.
func startReaper() *reaper {
	var subreaper int32
	// On a kernel without the option nobody is one.
	unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0, 0)
	if os.Getpid() != 1 && subreaper == 0 {
		return nil
	}
	r := &reaper{signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, syscall.SIGCHLD)
	r.done.Go(func() {
		reapStrangers() // who ended before
		for range r.signals {
			reapStrangers()
		}
	})
	return r
}

func (r *reaper) stop() {
	signal.Stop(r.signals)
	close(r.signals)
	r.done.Wait()
}

// reapStrangers waits for each ended child that StartChild doesn't know, by its
// number: waiting for any would take the statuses of those it does.
func reapStrangers() {
	for _, pid := range childrenOf(os.Getpid()) {
		children.Lock()
		if _, own := children.pids[pid]; !own {
			var ws syscall.WaitStatus
			// Still running is no error and nothing to do; neither is gone.
			_, _ = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
		}
		children.Unlock()
	}
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) []int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var pids []int
	for _, dir := range dirs {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := readStat(child); err == nil && s.parent == pid {
			pids = append(pids, child)
		}
	}
	return pids
}
