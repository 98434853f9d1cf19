package daemon

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseOnExec marks every descriptor from 3 on, those that were inherited among
// them, to be closed in the programs that this process executes.
func CloseOnExec() error { return cloexecAll() }

// cloexecAll marks every descriptor from 3 on to be closed when the next program
// is executed. It closes none itself: some belong to the Go runtime.
func cloexecAll() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Linux before 5.11, or a sandbox that doesn't know the call.
	fds, err := openDescriptors()
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if fd >= 3 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// openDescriptors lists this process's descriptors; where /proc isn't mounted,
// by asking for each that there can be.
func openDescriptors() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err == nil {
		fds := make([]int, 0, len(entries))
		for _, entry := range entries {
			if fd, err := strconv.Atoi(entry.Name()); err == nil {
				fds = append(fds, fd)
			}
		}
		return fds, nil
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("find the open descriptors: %w", err)
	}
	var fds []int
	for fd := range int(min(limit.Max, 1<<20)) {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	return fds, nil
}

// closeInherited closes the descriptors that came with the execution of this
// program, but for 0, 1, 2 and those to keep. They are told apart by having no
// close-on-exec flag: all that a Go program opens have it.
func closeInherited(keep []int) error {
	fds, err := openDescriptors()
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if fd < 3 || slices.Contains(keep, fd) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // not open any more: it listed the directory
		}
		// Whatever close says, the descriptor is gone (close(2)), and the error
		// belongs to somebody else's file.
		_ = unix.Close(fd)
	}
	return nil
}

// inherit lets the next program have the descriptors.
func inherit(fds []int) error {
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d: %w", fd, err)
		}
	}
	return nil
}

// disinherit keeps descriptors from the programs that this one starts.
func disinherit(fds []int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}

func openRetry(path string, flags int, mode uint32) (fd int, err error) {
	for {
		if fd, err = unix.Open(path, flags, mode); err != unix.EINTR {
			return fd, err
		}
	}
}
