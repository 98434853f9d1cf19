package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Check finds what would keep Open from succeeding, as far as that can be told
// without doing it, and changes nothing: to be asked before another daemon is
// ended, whose place this one is to take. That a daemon holds the pidfile is no
// error. Each error in the tree is a [*FieldError].
func (c *Context) Check() error {
	if err := errors.Join(c.check(), needsProc()); err != nil {
		return err
	}
	who, err := c.identity()
	if err != nil {
		return err
	}
	errs := []error{
		inField("ChrootDirectory", isDirectory(c.ChrootDirectory)),
		inField("WorkingDirectory", who.mayEnter(filepath.Join(c.ChrootDirectory, c.workingDirectory()))),
		inField("ReleaseExecutable", c.canBeCopied()),
	}
	for _, dir := range c.Directories {
		errs = append(errs, inField("Directories", canBeMade(dir)))
	}
	if c.PIDFile != "" {
		errs = append(errs, inField("PIDFile", checkPIDFile(c.PIDFile, who)))
	}
	return errors.Join(errs...)
}

// needsProc fails where the process file system isn't mounted: by it a program
// executes itself again, and finds out what it has inherited.
func needsProc() error {
	if _, err := os.Stat("/proc/thread-self/status"); err != nil {
		return fmt.Errorf("become a daemon: %w: /proc has to be mounted: mount -t proc proc /proc", err)
	}
	return nil
}

func isDirectory(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: name a directory that exists", err)
	}
	if !info.IsDir() {
		return &os.PathError{Op: "enter", Path: path, Err: syscall.ENOTDIR}
	}
	return nil
}

// mayEnter tells whether the directory is there and the daemon's user may make it
// the working directory.
func (who *identity) mayEnter(path string) error {
	if err := isDirectory(path); err != nil || who == nil {
		return err
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if err := who.reach(path); err != nil {
		return fmt.Errorf("user %s can't enter %s: %w: let that user search it, or name another", who.Name, path, err)
	}
	return nil
}

// canBeCopied tries the copy of the executable where Open insists on it.
func (c *Context) canBeCopied() error {
	if c.ReleaseExecutable != ReleaseAlways {
		return nil
	}
	p, err := c.executable()
	if p.file != nil {
		err = errors.Join(err, p.file.Close())
	}
	return err
}

// canBeMade tells whether the directory is there, or this process may make it and
// those that lead to it.
func canBeMade(dir string) error {
	info, err := os.Stat(dir)
	switch above := filepath.Dir(dir); {
	case errors.Is(err, fs.ErrNotExist) && above != dir:
		if err := canBeMade(above); err != nil {
			return err
		}
		if err := canWrite(above); !errors.Is(err, fs.ErrNotExist) { // where it is missing too it was asked for
			return err
		}
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return &os.PathError{Op: "make directory", Path: dir, Err: syscall.ENOTDIR}
	}
	return nil
}

// canWrite asks by the effective user, as opening does; access(2).
func canWrite(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &os.PathError{Op: "write to", Path: path, Err: err}
	}
	return nil
}

func checkPIDFile(path string, who *identity) error {
	dir := filepath.Dir(path)
	err := isDirectory(dir)
	if errors.Is(err, fs.ErrNotExist) { // Open makes the last one
		err = errors.Join(isDirectory(filepath.Dir(dir)), canWrite(filepath.Dir(dir)))
	}
	if err == nil {
		err = checkPlace(path, who.orSelf())
	}
	if err != nil {
		return fmt.Errorf("pidfile %s: %w", path, err)
	}
	var st unix.Stat_t
	err = unix.Lstat(path, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := canWrite(dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case err != nil:
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return errors.Join(checkKind(path, &st), canWrite(path))
}

// check finds what is wrong with the fields, all of it.
func (c *Context) check() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, wrong(field, fmt.Errorf("daemon: "+format, args...)))
	}
	if c.Name == "" || strings.ContainsAny(c.Name, "/\x00\n") {
		bad("Name", "name %q: give the program's plain name", c.Name)
	}
	for _, p := range []struct{ field, what, path string }{
		{"ChrootDirectory", "chroot directory", c.ChrootDirectory},
		{"WorkingDirectory", "working directory", c.WorkingDirectory},
		{"PIDFile", "pidfile", c.PIDFile},
	} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			bad(p.field, "%s %q: give an absolute path; the daemon's working directory is another", p.what, p.path)
		}
	}
	if c.Umask < 0 || c.Umask > 0o777 {
		bad("Umask", "umask %#o: give a value from 0 to 0777", c.Umask)
	}
	switch c.DetachProcess {
	case DetachAuto, DetachAlways, DetachNever:
	default:
		bad("DetachProcess", "detach %q: give auto, always or never", c.DetachProcess)
	}
	switch c.ReleaseExecutable {
	case ReleaseAuto, ReleaseAlways, ReleaseNever:
	default:
		bad("ReleaseExecutable", "release of the executable %q: give auto, always or never", c.ReleaseExecutable)
	}
	for _, setting := range c.Environment {
		if key, _, ok := strings.Cut(setting, "="); !ok || key == "" {
			bad("Environment", "environment %q: give KEY=value", setting)
		}
	}
	for sig := range c.SignalMap {
		if sig == syscall.SIGKILL || sig == syscall.SIGSTOP || sig == syscall.SIGCHLD {
			bad("SignalMap", "signal %v can't be mapped", sig)
		}
	}
	return errors.Join(errs...)
}
