package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/output"
	"example.org/dormouse/test/rig/protocol"
)

const guestPath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

// child is a process that the rig started.
type child struct {
	done           chan struct{}
	err            error // of Wait, after done
	stdout, stderr output.Buffer
}

// start runs a command in a session of its own, without a terminal.
func (g *guest) start(c protocol.Command, stdin []byte) (any, []byte, error) {
	if len(c.Argv) == 0 {
		return nil, nil, errors.New("a command needs a name")
	}
	path, err := lookPath(c.Argv[0])
	if err != nil {
		return nil, nil, err
	}
	p := &child{done: make(chan struct{})}
	cmd := &exec.Cmd{
		Path: path, Args: c.Argv, Env: c.Env, Dir: c.Dir,
		Stdout: &p.stdout, Stderr: &p.stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		// A daemon inherits the pipes unless it closes them: don't wait for it. A
		// machine that stands still for a moment loses no output.
		WaitDelay: 5 * time.Second,
	}
	if len(stdin) > 0 { // else /dev/null
		cmd.Stdin = bytes.NewReader(stdin)
	}
	if c.Env == nil {
		cmd.Env = []string{"PATH=" + guestPath, "HOME=/root"}
	}
	if c.UID != 0 || c.GID != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting %s: %w", path, err)
	}
	g.mu.Lock()
	g.children[cmd.Process.Pid] = p
	g.mu.Unlock()
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return protocol.Started{PID: cmd.Process.Pid}, nil, nil
}

// lookPath searches the guest's path: the server's own environment isn't the command's.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	return exec.LookPath(name)
}

func (g *guest) wait(q protocol.Process) (any, error) {
	g.mu.Lock()
	p := g.children[q.PID]
	g.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("process %d wasn't started by the rig or was waited for", q.PID)
	}
	var expired <-chan time.Time
	if q.Timeout > 0 {
		timer := time.NewTimer(q.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	var exit protocol.Exit
	select {
	case <-p.done:
	case <-expired:
		exit.TimedOut = true
		if err := unix.Kill(-q.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("killing process group %d: %w", q.PID, err)
		}
		<-p.done
	}
	g.mu.Lock()
	delete(g.children, q.PID)
	g.mu.Unlock()
	exit.Stdout, exit.Stderr = p.stdout.Bytes(), p.stderr.Bytes()
	if err := p.err; err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			return nil, err
		}
		exit.Status = failed.ExitCode()
		if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			exit.Signal = status.Signal()
		}
	}
	return exit, nil
}

func kill(s protocol.Signal) error {
	if err := unix.Kill(s.PID, s.Signal); err != nil {
		return fmt.Errorf("sending %s to %d: %w", unix.SignalName(s.Signal), s.PID, err)
	}
	return nil
}

// process tells what /proc tells of one process, all of its threads together.
func process(q protocol.Process) (any, error) {
	dir := filepath.Join("/proc", strconv.Itoa(q.PID))
	info := protocol.ProcessInfo{Files: map[int]string{}}
	own, err := status(filepath.Join(dir, "status"))
	if err != nil {
		return nil, err
	}
	info.Name = own["Name"]
	if info.Parent, err = strconv.Atoi(own["PPid"]); err != nil {
		return nil, err
	}
	tasks, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		fields, err := status(filepath.Join(dir, "task", t.Name(), "status"))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			continue // the thread has ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		info.Threads++
		if !strings.HasPrefix(fields["State"], "S") {
			info.Awake++
		}
		for key, sum := range map[string]*int64{"voluntary_ctxt_switches": &info.Voluntary, "nonvoluntary_ctxt_switches": &info.Involuntary} {
			n, err := strconv.ParseInt(fields[key], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s of thread %s: %w", key, t.Name(), err)
			}
			*sum += n
		}
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			return nil, err
		}
		link, err := os.Readlink(filepath.Join(dir, "fd", f.Name()))
		if errors.Is(err, unix.ENOENT) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		info.Files[fd] = link
	}
	if info.Cwd, err = os.Readlink(filepath.Join(dir, "cwd")); err != nil {
		return nil, err
	}
	if info.Exe, err = os.Readlink(filepath.Join(dir, "exe")); err != nil {
		return nil, err
	}
	return info, nil
}

// status parses a status file into its fields.
func status(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields, nil
}
