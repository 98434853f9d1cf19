package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// OpenLog opens a file to append log lines to, for Context.Stderr: created with
// mode 0640, whatever the umask, and belonging to the daemon's user, who has to
// open it again when it has been rotated. It is never opened through a symbolic
// link and never a terminal; anything but a regular file is refused. Its
// directory is made where it is one of Directories.
func (c *Context) OpenLog(path string) (*os.File, error) {
	who, err := c.identity()
	if err != nil {
		return nil, err
	}
	if dir := filepath.Dir(path); slices.Contains(c.Directories, dir) {
		if err := makeDirectories(dir, who); err != nil {
			return nil, inField("Directories", fmt.Errorf("make a directory for the daemon: %w", err))
		}
	}
	f, err := openLog(path, who)
	return f, inField("Stderr", err)
}

// CheckLog tells whether OpenLog could open the file, and makes none.
func (c *Context) CheckLog(path string) error {
	dir := filepath.Dir(path)
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		var f *os.File
		if f, err = openLog(path, nil); err == nil {
			err = f.Close()
		}
	case errors.Is(err, fs.ErrNotExist) && slices.Contains(c.Directories, dir):
		err = canBeMade(dir)
	case errors.Is(err, fs.ErrNotExist):
		if err = isDirectory(dir); err == nil {
			err = canWrite(dir)
		}
	}
	if err != nil {
		err = fmt.Errorf("log file %s: %w", path, err)
	}
	return inField("Stderr", err)
}

// OpenLog opens a log file as Context.OpenLog does, in the daemon itself.
func OpenLog(path string) (*os.File, error) { return openLog(path, nil) }

func openLog(path string, who *identity) (*os.File, error) {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := openRetry(path, flags|unix.O_CREAT|unix.O_EXCL, 0o640)
	created := err == nil
	if errors.Is(err, unix.EEXIST) {
		fd, err = openRetry(path, flags|unix.O_CREAT, 0o640) // it may have been rotated just now
	}
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("log file %s is a symbolic link, which another user could point elsewhere; name the file itself: %w", path, err)
	case errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("log file %s isn't a regular file; name another: %w", path, err)
	case err != nil:
		return nil, fmt.Errorf("open the log file %s: %w; choose a file in a directory that exists and that the daemon's user may write to", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := ownLog(f, created, who); err != nil {
		return nil, errors.Join(fmt.Errorf("log file %s: %w", path, err), f.Close())
	}
	return f, nil
}

func ownLog(f *os.File, created bool, who *identity) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("isn't a regular file; name another")
	}
	if !created {
		return nil
	}
	if err := f.Chmod(0o640); err != nil {
		return err
	}
	if who == nil {
		return nil
	}
	return f.Chown(int(who.UID), int(who.GID))
}
