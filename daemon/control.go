package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a pidfile and its lock tell of a daemon.
type State struct {
	Code     int    `json:"code"` // an LSB status: StatusRunning, StatusDead, …
	PID      int    `json:"pid,omitempty"`
	Starting bool   `json:"starting,omitempty"` // it isn't ready yet
	Text     string `json:"text"`
}

// Running reports whether the daemon runs, be it ready or not.
func (s State) Running() bool { return s.Code == StatusRunning }

// Status tells whether the daemon that uses the pidfile runs. The lock decides,
// not the number in the file, which may be another process's by now. It needs no
// privileges but to read the file.
func Status(pidFile string) State {
	f, err := openToRead(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		if h, ok := socketHolder(pidFile); ok {
			return State{StatusRunning, h.PID, false, fmt.Sprintf("process %d runs, but its pidfile %s was removed", h.PID, pidFile)}
		}
		return State{Code: StatusStopped, Text: "not running"}
	}
	if err != nil {
		return State{Code: StatusUnknown, Text: fmt.Sprintf("can't tell: %v", err)}
	}
	defer f.Close()
	held, err := locked(int(f.Fd()))
	if err != nil {
		return State{Code: StatusUnknown, Text: fmt.Sprintf("can't tell: lock of %s: %v", pidFile, err)}
	}
	pid, err := readPID(f)
	switch {
	case held && err != nil:
		return State{Code: StatusRunning, Text: fmt.Sprintf("running, but %v", err)}
	case held && pid == 0:
		h, _ := socketHolder(pidFile)
		return State{StatusRunning, h.PID, true, "being started"}
	case held:
		return State{StatusRunning, pid, false, fmt.Sprintf("running as process %d", pid)}
	}
	// The file may be a new one, beside the one the daemon holds.
	if h, ok := socketHolder(pidFile); ok {
		return State{StatusRunning, h.PID, false, fmt.Sprintf("process %d runs, but its pidfile %s was replaced", h.PID, pidFile)}
	}
	if err == nil && pid == 0 {
		return State{Code: StatusStopped, Text: "not running"} // emptied at its end
	}
	return State{Code: StatusDead, PID: pid, Text: fmt.Sprintf("not running; it ended without removing %s", pidFile)}
}

func openToRead(pidFile string) (*os.File, error) {
	fd, err := openRetry(pidFile, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: pidFile, Err: err}
	}
	return os.NewFile(uintptr(fd), pidFile), nil
}

// handle is a running daemon that can't be confused with another process.
type handle struct {
	pid   int
	pidfd int
}

func (h *handle) close() { _ = unix.Close(h.pidfd) } // nothing is written to it

// grasp finds the daemon. Between reading the number and opening the process it
// may have ended and the number have been given away; so the lock and the number
// are looked at again afterwards. A daemon that is being started is waited for.
func grasp(ctx context.Context, pidFile string) (*handle, error) {
	for {
		s := Status(pidFile)
		if s.Code == StatusUnknown {
			return nil, &PIDFileError{errors.New(s.Text)}
		}
		if !s.Running() {
			return nil, ErrNotRunning
		}
		if s.PID != 0 && !s.Starting {
			h, err := openProcess(s.PID)
			if err == nil {
				if again := Status(pidFile); again.Running() && again.PID == s.PID {
					return h, nil
				}
				h.close()
			} else if !errors.Is(err, unix.ESRCH) {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", s.Text, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond): // the command that was typed may use Go's timers
		}
	}
}

func openProcess(pid int) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &handle{pid, fd}, nil
}

func (h *handle) signal(sig syscall.Signal) error {
	err := unix.PidfdSendSignal(h.pidfd, sig, nil, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return ErrNotRunning
	case errors.Is(err, unix.EPERM):
		return WithExitCode(fmt.Errorf("send %v to process %d: %w; it belongs to another user, try as root", sig, h.pid, err), ExitPrivileges)
	case err != nil:
		return fmt.Errorf("send %v to process %d: %w", sig, h.pid, err)
	}
	return nil
}

// Signal sends the daemon a signal. The error is [ErrNotRunning] where there is
// none; ctx bounds the wait for one that is being started.
func Signal(ctx context.Context, pidFile string, sig syscall.Signal) (pid int, err error) {
	h, err := grasp(ctx, pidFile)
	if err != nil {
		return 0, err
	}
	defer h.close()
	return h.pid, h.signal(sig)
}

// Stop asks the daemon to end by SIGTERM and waits until it has, or ctx ends. The
// error is [ErrNotRunning] where there was none.
func Stop(ctx context.Context, pidFile string) (pid int, err error) {
	h, err := grasp(ctx, pidFile)
	if err != nil {
		return 0, err
	}
	defer h.close()
	if err := h.signal(syscall.SIGTERM); err != nil {
		return h.pid, err
	}
	// One that is stopped (SIGSTOP) would get the other only when it goes on.
	if err := h.signal(syscall.SIGCONT); err != nil && !errors.Is(err, ErrNotRunning) {
		return h.pid, err
	}
	return h.pid, h.wait(ctx)
}

// wait waits until the process has ended: a pidfd becomes readable then.
func (h *handle) wait(ctx context.Context) error {
	const step = 50 // ms between looks at ctx
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(h.pidfd), Events: unix.POLLIN}}, step)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for process %d: %w", h.pid, err)
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("process %d hasn't ended: %w; kill -9 %d ends it without its cleaning up", h.pid, context.Cause(ctx), h.pid)
		}
	}
}
