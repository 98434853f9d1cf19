package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a pidfile and its lock tell of a daemon.
type State struct {
	Code     int    `json:"code"`               // an LSB status: StatusRunning, StatusDead, …
	PID      int    `json:"pid,omitempty"`      // 0: not known for sure
	Starting bool   `json:"starting,omitempty"` // it isn't ready yet
	Text     string `json:"text"`
}

// Running reports whether the daemon runs, be it ready or not.
func (s State) Running() bool { return s.Code == StatusRunning }

// Status tells whether the daemon that uses the pidfile runs. The lock decides,
// not the number in the file, which may be another process's by now, and the
// kernel tells which process holds it. It needs no privileges but to read the
// file.
func Status(pidFile string) State {
	q := inquire(pidFile)
	q.close()
	return q.State
}

// An inquiry is what could be found out about the daemon of a pidfile.
type inquiry struct {
	State
	file     *os.File // nil: there is none
	trusted  []uint32 // whose process may hold the pidfile
	reported bool     // the kernel reported the process; else its number is that in the file
	unsure   error    // why the process that holds the file isn't known
}

func (q *inquiry) close() {
	if q.file != nil {
		_ = q.file.Close() // it was only read
	}
}

func inquire(pidFile string) *inquiry {
	q := &inquiry{}
	unknown := func(err error) *inquiry {
		q.State = State{Code: StatusUnknown, Text: fmt.Sprintf("unknown: %v", err)}
		return q
	}
	var err error
	if q.file, err = openToRead(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unknown(err)
	}
	if err := q.trust(pidFile); err != nil {
		return unknown(fmt.Errorf("pidfile %s: %w", pidFile, err))
	}
	h, ok := holderOf(pidFile)
	q.reported = ok && slices.Contains(q.trusted, h.UID)
	switch {
	case q.file != nil:
	case q.reported:
		q.State = q.lost(h, "was removed", pidFile)
		return q
	case ok: // the daemon, whose user can't be known without the file, or anybody else
		return unknown(fmt.Errorf("there is no pidfile %s, and process %d of user %d holds the name of its second lock: end it if it is the daemon", pidFile, h.PID, h.UID))
	default:
		q.State = State{Code: StatusStopped, Text: "not running"}
		return q
	}
	held, err := locked(int(q.file.Fd()))
	if err != nil {
		return unknown(fmt.Errorf("lock of %s: %w", pidFile, err))
	}
	pid, err := readPID(q.file)
	switch {
	case held:
		q.State = q.running(h, pid, err)
	case q.reported: // the file may be a new one, beside the one the daemon holds
		q.State = q.lost(h, "was replaced", pidFile)
	case err == nil && pid == 0: // emptied at its end
		q.State = State{Code: StatusStopped, Text: "not running"}
	default:
		q.State = State{Code: StatusDead, PID: pid, Text: fmt.Sprintf("not running; it ended without removing %s", pidFile)}
	}
	return q
}

// lost is the state of a daemon whose pidfile isn't where it was.
func (q *inquiry) lost(h holder, how, pidFile string) State {
	if h.PID == 0 {
		q.unsure = errElsewhere
		return State{Code: StatusRunning, Text: fmt.Sprintf("running %s, but its pidfile %s %s", elsewhere, pidFile, how)}
	}
	return State{StatusRunning, h.PID, false, fmt.Sprintf("process %d runs, but its pidfile %s %s", h.PID, pidFile, how)}
}

// running is the state of a daemon whose pidfile is locked. pid is the number in
// the file, 0 where none is written yet, and err why it can't be read.
func (q *inquiry) running(h holder, pid int, err error) State {
	if err == nil && pid == 0 {
		if !q.reported {
			h.PID = 0
		}
		return State{StatusRunning, h.PID, true, "being started"}
	}
	switch {
	case q.reported && h.PID == 0:
		q.unsure = errElsewhere
		return State{Code: StatusRunning, Text: "running " + elsewhere}
	case !q.reported:
		return q.named(pid, err)
	case err != nil:
		return State{StatusRunning, h.PID, false, fmt.Sprintf("running as process %d, but %v", h.PID, err)}
	case pid != h.PID:
		return State{StatusRunning, h.PID, false, fmt.Sprintf("running as process %d, but %s names process %d", h.PID, q.file.Name(), pid)}
	}
	return State{StatusRunning, pid, false, fmt.Sprintf("running as process %d", pid)}
}

// named is the state where only the number in the locked file can tell which
// process holds it, which counts if that process has the file open.
func (q *inquiry) named(pid int, err error) State {
	if err == nil {
		var h *handle
		if h, err = openByFile(q.file, pid); err == nil {
			h.close()
			return State{StatusRunning, pid, false, fmt.Sprintf("running as process %d", pid)}
		}
	} else {
		err = fmt.Errorf("pidfile %s is locked, but it isn't known by which process: %w", q.file.Name(), err)
	}
	if again, _ := readPID(q.file); again != pid { // a start had locked it, and not emptied it yet
		return State{Code: StatusRunning, Starting: true, Text: "being started"}
	}
	q.unsure = err
	switch {
	case errors.Is(err, unix.ESRCH):
		return State{Code: StatusDead, PID: pid, Text: fmt.Sprintf("not running; process %d has just ended", pid)}
	case errors.Is(err, fs.ErrPermission): // nothing speaks against it
		return State{Code: StatusRunning, Text: fmt.Sprintf("running: %s is locked; only root can find out whether by process %d, which it names", q.file.Name(), pid)}
	}
	return State{Code: StatusUnknown, Text: fmt.Sprintf("unknown: %v", err)}
}

// trust finds out whose process may hold the pidfile: root's, the caller's, and
// that of whoever owns the file, or the directory where there is none, which is
// the daemon's user. It fails where anybody else could have put the file there.
func (q *inquiry) trust(pidFile string) error {
	q.trusted = []uint32{0, uint32(os.Geteuid())}
	var st unix.Stat_t
	var err error
	if q.file != nil {
		err = unix.Fstat(int(q.file.Fd()), &st)
	} else {
		for dir := filepath.Dir(pidFile); ; dir = filepath.Dir(dir) {
			if err = unix.Stat(dir, &st); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	q.trusted = append(q.trusted, st.Uid)
	if q.file != nil && st.Nlink > 1 {
		return fmt.Errorf("the file has %d names, so it may be another daemon's: remove it, or name the other", st.Nlink)
	}
	return checkPlace(pidFile, q.trusted)
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

// openDaemon opens the daemon's process, if it is sure to be that. A daemon that
// is being started is waited for.
func openDaemon(ctx context.Context, pidFile string) (*handle, error) {
	for {
		h, s, err := tryDaemon(pidFile)
		if h != nil || err != nil {
			return h, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", s.Text, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond): // the command that was typed may use Go's timers
		}
	}
}

// tryDaemon returns neither a process nor an error where it has to be tried again.
func tryDaemon(pidFile string) (*handle, State, error) {
	q := inquire(pidFile)
	defer q.close()
	s := q.State
	switch {
	case errors.Is(q.unsure, unix.ESRCH):
		return nil, s, nil
	case q.unsure != nil:
		return nil, s, inField("PIDFile", q.unsure)
	case s.Code == StatusUnknown:
		return nil, s, inField("PIDFile", errors.New(s.Text))
	case !s.Running():
		return nil, s, ErrNotRunning
	case s.Starting || s.PID == 0:
		return nil, s, nil
	}
	var h *handle
	var err error
	if q.reported {
		h, err = openHolder(pidFile, q.trusted)
	} else {
		h, err = openByFile(q.file, s.PID)
	}
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, errNoHolder): // it has just ended
		return nil, s, nil
	case err != nil:
		return nil, s, err
	}
	// Until it was opened the daemon may have ended.
	if again := Status(pidFile); again.Running() && again.PID == h.pid {
		return h, s, nil
	}
	h.close()
	return nil, s, nil
}

func openProcess(pid int) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	return &handle{pid, fd}, nil
}

// errForeign is that a process isn't the daemon's.
var errForeign = errors.New("nothing was sent to it")

const elsewhere = "in another PID namespace, such as a container's"

// errElsewhere is that the kernel has no number for the process here.
var errElsewhere = errors.New("the daemon runs " + elsewhere + ": send it signals there")

// belongsTo fails where the process isn't the user's, be it that its number was
// given to another, be it that it has executed a set-user-ID program.
func (h *handle) belongsTo(uid uint32) error {
	status, err := readStatus(fmt.Sprintf("/proc/%d/status", h.pid))
	if errors.Is(err, fs.ErrNotExist) {
		return unix.ESRCH
	}
	if err != nil {
		return err
	}
	if !allAre(status["Uid"], uid) {
		return fmt.Errorf("process %d took the second lock as user %d, and has the users %s now: %w", h.pid, uid, status["Uid"], errForeign)
	}
	return nil
}

// openByFile opens the process whose number is in the pidfile, if it holds the
// file's lock. The number alone proves nothing: a daemon's user may write any.
func openByFile(file *os.File, pid int) (*handle, error) {
	h, err := openProcess(pid)
	if errors.Is(err, unix.ESRCH) {
		// A process closes its files before its number is free.
		if held, lockErr := locked(int(file.Fd())); lockErr != nil || held {
			return nil, errors.Join(lockErr, fmt.Errorf("pidfile %s is locked, but there is no process %d, which it names: the process that holds it may be %s", file.Name(), pid, elsewhere))
		}
	}
	if err != nil {
		return nil, err
	}
	holds, err := h.holds(file)
	switch {
	case errors.Is(err, fs.ErrPermission):
		err = WithExitCode(fmt.Errorf("find out whether process %d holds %s: %w: try as root", pid, file.Name(), err), ExitPrivileges)
	case err == nil && !holds:
		err = inField("PIDFile", fmt.Errorf("pidfile %s is locked, but not by process %d, which it names: %w; end the process that holds it", file.Name(), pid, errForeign))
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// holds tells whether the process has the file open with a lock on it,
// proc_pid_fdinfo(5).
func (h *handle) holds(file *os.File) (bool, error) {
	want, err := file.Stat()
	if err != nil {
		return false, err
	}
	dir := fmt.Sprintf("/proc/%d/fd", h.pid)
	fds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, unix.ESRCH
	}
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		got, err := os.Stat(filepath.Join(dir, fd.Name()))
		if err != nil || !os.SameFile(want, got) {
			continue // closed meanwhile, or another
		}
		info, err := readStatus(fmt.Sprintf("/proc/%d/fdinfo/%s", h.pid, fd.Name()))
		if err == nil && strings.Contains(info["lock"], "OFDLCK") {
			return true, nil
		}
	}
	return false, nil
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
	h, err := openDaemon(ctx, pidFile)
	if err != nil {
		return 0, err
	}
	defer h.close()
	return h.pid, h.signal(sig)
}

// Stop asks the daemon to end by SIGTERM and waits until it has, or ctx ends. The
// error is [ErrNotRunning] where there was none.
func Stop(ctx context.Context, pidFile string) (pid int, err error) {
	h, err := openDaemon(ctx, pidFile)
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
