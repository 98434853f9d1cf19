//go:build system

package inits

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// tormentVariable makes the test binary set up all that a program can inherit
// and suffer from, and then execute the program that the variable names, with
// this process's arguments.
const tormentVariable = "DORMOUSE_TEST_TORMENT"

func torment() error {
	runtime.LockOSThread()
	junk, err := unix.Open(os.Getenv("JUNK"), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	for i := range 40 {
		fd := 20 + i
		if i >= 30 {
			fd = 1001 + i
		}
		if err := unix.Dup3(junk, fd, 0); err != nil {
			return fmt.Errorf("dup to %d: %w", fd, err)
		}
	}
	unix.Umask(0o077)
	signal.Ignore(syscall.SIGCHLD, syscall.SIGHUP)
	var blocked unix.Sigset_t
	blocked.Val[0] |= 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGUSR1-1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return err
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unlimited); err != nil {
		return err
	}
	program := os.Getenv(tormentVariable)
	if err := os.Unsetenv(tormentVariable); err != nil {
		return err
	}
	if os.Getenv("CLOSE_STDIO") != "" {
		for fd := range 3 {
			_ = unix.Close(fd) // some may be closed already
		}
	}
	return syscall.Exec(program, os.Args, os.Environ())
}
