package daemon

import (
	"errors"
	"fmt"
)

// Exit statuses of the Linux Standard Base's init script actions: for `status`
// first, for every other action below. LSB Core, "Init Script Actions".
const (
	StatusRunning  = 0
	StatusDead     = 1 // and the pidfile exists
	StatusStopped  = 3
	StatusUnknown  = 4
	ExitFailed     = 1
	ExitUsage      = 2
	ExitPrivileges = 4
	ExitNotRunning = 7
)

// ErrNotRunning is the error of an action on a daemon that doesn't run.
var ErrNotRunning = errors.New("not running")

// RunningError is the refusal to start a second daemon.
type RunningError struct {
	PIDFile string
	PID     int // 0: not known
	// Starting tells that PID is a command that is starting the daemon.
	Starting bool
}

func (e *RunningError) Error() string {
	switch {
	case e.PID == 0:
		return fmt.Sprintf("already running: %s is locked by a process whose number can't be found out here", e.PIDFile)
	case e.Starting:
		return fmt.Sprintf("being started already, by process %d, which holds %s", e.PID, e.PIDFile)
	}
	return fmt.Sprintf("already running as process %d, which holds %s; stop it first", e.PID, e.PIDFile)
}

// FieldError is that what a field of a [Context] asks for is invalid or can't be
// had: a user who doesn't exist, a pidfile that can't be written. Programs name the
// flag that sets the field.
type FieldError struct {
	Field string // "PIDFile", "User"
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }
func (e *FieldError) Unwrap() error { return e.Err }

// inField says which field an error comes from, unless that is known.
func inField(field string, err error) error {
	if _, known := errors.AsType[*FieldError](err); err == nil || known {
		return err
	}
	return &FieldError{field, err}
}

// StartError is a daemon's failure before it was ready, as its starter sees it.
type StartError struct {
	Text string
	Code int // the daemon's exit status
}

func (e *StartError) Error() string { return e.Text }

// ExitCode returns Code.
func (e *StartError) ExitCode() int { return e.Code }

// WithExitCode returns err with the exit status that [ExitCode] finds.
func WithExitCode(err error, code int) error { return &codedError{err, code} }

type codedError struct {
	error
	code int
}

func (e *codedError) Unwrap() error { return e.error }
func (e *codedError) ExitCode() int { return e.code }

// ExitCode returns the exit status that fits err: 0 for nil, that of the first
// error in its tree with a method ExitCode() int, else 1.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return ExitFailed
}
