package command

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// A launch is how a program is to be started and ended.
type launch struct {
	cmd       *exec.Cmd
	killAfter time.Duration
	umask     int // negative: the daemon's
	nice      int // added to the daemon's own
}

// start starts the program. A umask and a nice value are given to a thread of
// their own, from which the program inherits them: Linux has both by thread,
// the former once the thread shares its file-system attributes with no other.
func (l launch) start(e sensors.Env) error {
	if l.umask < 0 && l.nice == 0 {
		return e.Start(l.cmd)
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := l.setThread()
		if err == nil {
			err = e.Start(l.cmd)
		}
		started <- err
	}()
	return <-started
}

func (l launch) setThread() error {
	if l.umask >= 0 {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return &sensors.OptionError{Key: "umask", Err: fmt.Errorf("a thread can't get its own: %w", err)}
		}
		unix.Umask(l.umask)
	}
	if l.nice == 0 {
		return nil
	}
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return &sensors.OptionError{Key: "nice", Err: err}
	}
	// The system call gives 20 minus the nice value: getpriority(2).
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 20-own+l.nice); err != nil {
		advice := ""
		if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
			advice = ": only root, or CAP_SYS_NICE, can make it less; and a unit's SystemCallFilter= must allow setpriority"
		}
		return &sensors.OptionError{Key: "nice", Err: fmt.Errorf("%w%s", err, advice)}
	}
	return nil
}
