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

// program is what the daemon is executed by.
type program struct {
	path    string
	file    *os.File // keeps a copy open until it is executed; nil: no copy
	copied  string   // where the copy is, in words; empty: no copy
	warning string
	choice  string // why it was copied or not
}

// executable decides by which file the daemon is executed, and copies it.
func (c *Context) executable() (program, error) {
	mount, err := MountOf(self)
	copies, choice := c.releases(mount, err)
	if !copies {
		return program{path: self, choice: choice}, nil
	}
	file, memoryErr := copyToMemory(c.Name)
	if memoryErr == nil {
		return program{path: descriptorPath(file), file: file, copied: "memory", choice: choice}, nil
	}
	file, err = copyToDisk(fallbackDirectory)
	if err == nil {
		return program{path: descriptorPath(file), file: file, copied: fallbackDirectory, choice: choice,
			warning: fmt.Sprintf("the executable can't run from memory (%v; sysctl vm.memfd_noexec=1 allows it): it runs from an unnamed copy in %s, "+
				"which can't be remounted read-only meanwhile", memoryErr, fallbackDirectory)}, nil
	}
	err = fmt.Errorf("copy the executable away from %s: %w", mount.Point, errors.Join(memoryErr, err))
	if c.ReleaseExecutable == ReleaseAlways {
		return program{}, err
	}
	return program{path: self, choice: "not copied: it couldn't be",
		warning: fmt.Sprintf("%s can't be unmounted while this runs: %v", mount.Point, err)}, nil
}

// releases decides whether to copy the executable, which lies on the mount unless
// that wasn't found, and says why.
func (c *Context) releases(mount Mount, err error) (copies bool, choice string) {
	switch {
	case c.ReleaseExecutable == ReleaseNever:
		return false, "not copied: the program asks for it (ReleaseNever)"
	case c.ReleaseExecutable == ReleaseAlways:
		return true, "copied: the program asks for it (ReleaseAlways)"
	case err != nil: // it is from outside this mount namespace
		return false, "not copied: its file system isn't among those of this mount namespace, where it can't be unmounted"
	case mount.Stays():
		return false, fmt.Sprintf("not copied: it lies on %s, which belongs to the system and stays mounted", mount)
	}
	return true, fmt.Sprintf("copied: it lies on %s, which may have to be unmounted", mount)
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
