package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Release says whether to run from a copy of the executable.
type Release string

// A running program's executable is mapped into memory, and its file system can't
// be unmounted while it is. ReleaseAuto copies where the executable lies on a
// file system that may have to be unmounted, as [Mount.Stays] tells.
const (
	ReleaseAuto   Release = "auto"
	ReleaseAlways Release = "always"
	ReleaseNever  Release = "never"
)

// self is this process's executable, whatever became of its name.
const self = "/proc/self/exe"

// fallbackDirectory is where a copy goes that can't be in memory.
const fallbackDirectory = "/var/tmp"

// executable returns the path to execute the daemon by. Where it is a copy, file
// keeps it open until then, and where says in words where it went.
func (c *Context) executable() (path string, file *os.File, where, warning string, err error) {
	mount, err := MountOf(self)
	switch {
	case c.ReleaseExecutable == ReleaseNever:
		return self, nil, "", "", nil
	case c.ReleaseExecutable == ReleaseAuto && err != nil:
		// From outside this mount namespace: nothing can be said, nor unmounted.
		return self, nil, "", "", nil
	case c.ReleaseExecutable == ReleaseAuto && mount.Stays():
		return self, nil, "", "", nil
	}
	if file, err = copyToMemory(c.Name); err == nil {
		return descriptorPath(file), file, "memory", "", nil
	}
	memoryErr := err
	if file, err = copyToDisk(fallbackDirectory); err == nil {
		return descriptorPath(file), file, fallbackDirectory,
			fmt.Sprintf("the executable can't run from memory (%v; sysctl vm.memfd_noexec=1 allows it): it runs from an unnamed copy in %s, "+
				"which can't be remounted read-only meanwhile", memoryErr, fallbackDirectory), nil
	}
	err = fmt.Errorf("copy the executable away from %s: %w", mount.Point, errors.Join(memoryErr, err))
	if c.ReleaseExecutable == ReleaseAlways {
		return "", nil, "", "", err
	}
	return self, nil, "", fmt.Sprintf("%s can't be unmounted while this runs: %v", mount.Point, err), nil
}

func descriptorPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// copyToMemory copies the executable to a sealed memfd. Where vm.memfd_noexec is
// 2 the error is EACCES.
func copyToMemory(name string) (*os.File, error) {
	w, err := memfd(name, unix.MFD_EXEC)
	if err != nil {
		return nil, err
	}
	err = copyExecutable(w)
	if err == nil {
		_, err = unix.FcntlInt(w.Fd(), unix.F_ADD_SEALS, planSeals)
	}
	return readOnly(w, err)
}

// copyToDisk copies it to a file without a name, which is gone with the last
// process that runs it.
func copyToDisk(dir string) (*os.File, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if st.Flags&unix.ST_NOEXEC != 0 {
		return nil, fmt.Errorf("nothing in %s can be executed, it is mounted noexec", dir)
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		return nil, fmt.Errorf("%s is mounted read-only", dir)
	}
	fd, err := openRetry(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o500)
	if err != nil {
		return nil, &os.PathError{Op: "make an unnamed file in", Path: dir, Err: err}
	}
	w := os.NewFile(uintptr(fd), filepath.Join(dir, "copy"))
	return readOnly(w, copyExecutable(w))
}

// readOnly opens w again for reading and closes it: the kernel doesn't execute
// what is open for writing (execve(2), ETXTBSY).
func readOnly(w *os.File, err error) (*os.File, error) {
	if err == nil {
		err = w.Chmod(0o555)
	}
	var r *os.File
	if err == nil {
		r, err = os.Open(descriptorPath(w))
	}
	err = errors.Join(err, w.Close())
	if err != nil && r != nil {
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func copyExecutable(w *os.File) error {
	r, err := os.Open(self)
	if err != nil {
		return err
	}
	defer r.Close()
	return copyLoadable(w, r)
}

// copyLoadable copies what of the executable is needed to run it: a copy in
// memory is memory that can't be used for anything else.
func copyLoadable(w io.WriterAt, r io.ReaderAt) error {
	data, err := readLoadable(r)
	if err != nil {
		return fmt.Errorf("read the executable: %w", err)
	}
	if n, err := w.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write %d of %d bytes: %w", n, len(data), err)
	}
	return nil
}
