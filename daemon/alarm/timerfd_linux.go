package alarm

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timerfd is a descriptor of timerfd_create(2) in the network poller: waiting
// for it parks a goroutine, not a thread. Its calls are raw ones (see Now): the
// descriptor is non-blocking, so none of them can hold up a thread.
type timerfd struct {
	file *os.File
	conn syscall.RawConn

	expirations uint64
	errno       syscall.Errno
	read        func(fd uintptr) bool // made once: a wait doesn't allocate

	spec     unix.ItimerSpec
	flags    uintptr
	setErrno syscall.Errno
	set      func(fd uintptr)
}

func newTimerfd(clock int, name string) (*timerfd, error) {
	fd, err := unix.TimerfdCreate(clock, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a timer on %s: %w", name, err)
	}
	return useTimerfd(fd, name)
}

// useTimerfd takes over a non-blocking descriptor.
func useTimerfd(fd int, name string) (t *timerfd, err error) {
	t = &timerfd{file: os.NewFile(uintptr(fd), name)}
	if t.conn, err = t.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("reach the timer on %s: %w", name, err), t.file.Close())
	}
	// Where the poller didn't take the descriptor, this says so.
	if err = t.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, errors.Join(fmt.Errorf("poll the timer on %s: %w", name, err), t.file.Close())
	}
	t.read = func(fd uintptr) bool {
		for {
			_, _, t.errno = unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&t.expirations)), 8)
			if t.errno != unix.EINTR {
				return t.errno != unix.EAGAIN
			}
		}
	}
	t.set = func(fd uintptr) {
		_, _, t.setErrno = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, t.flags,
			uintptr(unsafe.Pointer(&t.spec)), 0, 0, 0)
	}
	return t, nil
}

// wait parks the goroutine until the timer fires. It returns ECANCELED where
// the clock of a TFD_TIMER_CANCEL_ON_SET timer was set, and os.ErrClosed after
// close.
func (t *timerfd) wait() error {
	if t.conn.Read(t.read) != nil {
		return os.ErrClosed // the poller has no other error for a descriptor it took
	}
	if t.errno != 0 {
		return t.errno
	}
	return nil
}

// arm sets the timer to fire once at the absolute time ns of its clock; 0
// disarms it. Calls must not overlap.
func (t *timerfd) arm(ns int64, flags int) error {
	t.spec.Value = unix.NsecToTimespec(ns)
	t.flags = uintptr(unix.TFD_TIMER_ABSTIME | flags)
	if t.conn.Control(t.set) != nil {
		return os.ErrClosed
	}
	if t.setErrno != 0 {
		return fmt.Errorf("set the timer on %s: %w", t.file.Name(), t.setErrno)
	}
	return nil
}

// close ends a wait in progress.
func (t *timerfd) close() error { return t.file.Close() }
