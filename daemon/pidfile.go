package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// pidFile is an open, locked pidfile. The lock is one of the open file
// description (fcntl(2), F_OFD_SETLK): it goes with the descriptor through fork
// and execution, and ends with the last process that holds it, so it can't be
// stale as a number in a file can.
type pidFile struct {
	path string
	file *os.File
}

const pidFileFlags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// lockPIDFile opens and locks the file, empty, readable to all, and who's if who
// isn't nil. It fails with *RunningError where somebody holds it, else with
// *FieldError.
func lockPIDFile(path string, who *identity) (*pidFile, error) {
	if err := makeDirectory(filepath.Dir(path), who); err != nil {
		return nil, inField("PIDFile", fmt.Errorf("pidfile %s: %w; make the directory it is to be in, or name another place", path, err))
	}
	if err := checkPlace(path, who.orSelf()); err != nil {
		return nil, inField("PIDFile", fmt.Errorf("pidfile %s: %w", path, err))
	}
	for {
		p, err := tryPIDFile(path, who)
		if errors.Is(err, errMoved) {
			continue
		}
		if _, running := errors.AsType[*RunningError](err); running {
			return p, err
		}
		return p, inField("PIDFile", err)
	}
}

// errMoved tells that the file was removed or replaced while it was locked, or
// that its lock was released: it is to be tried again.
var errMoved = errors.New("the file was replaced")

func tryPIDFile(path string, who *identity) (*pidFile, error) {
	fd, err := openRetry(path, pidFileFlags, 0o600) // for others when it is locked: whoever can read it could lock it first
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("pidfile %s is a symbolic link: writing through it could overwrite another file; remove it: %w", path, err)
	case errors.Is(err, unix.EISDIR):
		return nil, fmt.Errorf("pidfile %s is a directory; name a file in it: %w", path, err)
	case errors.Is(err, unix.EACCES):
		return nil, WithExitCode(fmt.Errorf("open pidfile %s: %w; choose another place, or start as a user who may write there", path, err), ExitPrivileges)
	case err != nil:
		return nil, fmt.Errorf("open pidfile %s: %w; name another place, which can be written to", path, err)
	}
	p := &pidFile{path: path, file: os.NewFile(uintptr(fd), path)}
	if err := p.take(who); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// take checks, locks and empties the file.
func (p *pidFile) take(who *identity) error {
	fd := int(p.file.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("pidfile %s: %w", p.path, err)
	}
	if err := checkKind(p.path, &st); err != nil {
		return err
	}
	if err := setLock(fd); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return p.refused()
		}
		return fmt.Errorf("lock pidfile %s: %w", p.path, err)
	}
	// Between open and lock a daemon that was ending may have removed the file.
	// What is locked now would have no name, and the next start would make a new
	// file and lock that: two daemons.
	if moved, err := p.moved(); err != nil {
		return err
	} else if moved {
		return errMoved
	}
	if err := p.file.Chmod(0o644); err != nil {
		return fmt.Errorf("pidfile %s: %w", p.path, err)
	}
	if who != nil {
		if err := p.file.Chown(int(who.UID), int(who.GID)); err != nil {
			return fmt.Errorf("pidfile %s: %w", p.path, err)
		}
	}
	if err := p.file.Truncate(0); err != nil {
		return fmt.Errorf("empty pidfile %s: %w", p.path, err)
	}
	return nil
}

// refused says why the file can't be locked. A lock that others share is no
// daemon's, but of somebody who may only read what a daemon has left there: the
// file is removed, since that process could keep each daemon from starting.
func (p *pidFile) refused() error {
	kind, err := lockKind(int(p.file.Fd()))
	switch {
	case err != nil:
		return fmt.Errorf("lock of pidfile %s: %w", p.path, err)
	case kind == unix.F_WRLCK:
		return runningError(p.path)
	case kind == unix.F_UNLCK: // released meanwhile
		return errMoved
	}
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pidfile %s is locked by a process that may only read it, and no daemon does that: remove the file: %w", p.path, err)
	}
	return errMoved
}

// checkKind refuses a file that writing a number into could harm.
func checkKind(path string, st *unix.Stat_t) error {
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		return fmt.Errorf("pidfile %s is a symbolic link: writing through it could overwrite another file; remove it: %w", path, unix.ELOOP)
	case kind == unix.S_IFDIR:
		return fmt.Errorf("pidfile %s is a directory; name a file in it: %w", path, unix.EISDIR)
	case kind != unix.S_IFREG:
		return fmt.Errorf("pidfile %s isn't a regular file but a %s; remove it or name another", path, fs.FileMode(modeType(st.Mode)))
	case st.Nlink > 1:
		return fmt.Errorf("pidfile %s is a hard link, the same file has %d names; remove it or name another", path, st.Nlink)
	}
	return nil
}

func modeType(mode uint32) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

// makeDirectories makes a directory, if missing, for who, and those that lead
// to it.
func makeDirectories(dir string, who *identity) error {
	err := makeDirectory(dir, who)
	if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
		return err
	}
	if err := makeDirectories(filepath.Dir(dir), who); err != nil {
		return err
	}
	return makeDirectory(dir, who)
}

// makeDirectory makes the last directory of a path, if missing, for who.
func makeDirectory(dir string, who *identity) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return WithExitCode(err, ExitPrivileges)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask
		return err
	}
	if who == nil {
		return nil
	}
	return os.Chown(dir, int(who.UID), int(who.GID))
}

// moved tells whether the path leads to another file than the open one.
func (p *pidFile) moved() (bool, error) {
	held, err := p.file.Stat()
	if err != nil {
		return false, fmt.Errorf("pidfile %s: %w", p.path, err)
	}
	named, err := os.Lstat(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("pidfile %s: %w", p.path, err)
	}
	return !os.SameFile(held, named), nil
}

// write puts the process id into the file, in place: the lock is on the inode,
// and a new file moved over it would have none.
func (p *pidFile) write(pid int) error {
	text := strconv.Itoa(pid) + "\n"
	if _, err := p.file.WriteAt([]byte(text), 0); err != nil {
		return inField("PIDFile", fmt.Errorf("write pidfile %s: %w; free space there, or name another place", p.path, err))
	}
	if err := p.file.Truncate(int64(len(text))); err != nil {
		return inField("PIDFile", fmt.Errorf("write pidfile %s: %w; free space there, or name another place", p.path, err))
	}
	return nil
}

// remove removes the file while it is locked, unless the path leads to somebody
// else's by now. Where the directory doesn't let it, the file is emptied, which
// says the same to whoever reads it.
func (p *pidFile) remove() error {
	moved, err := p.moved()
	if err == nil && !moved {
		if err = os.Remove(p.path); errors.Is(err, fs.ErrPermission) {
			err = p.file.Truncate(0)
		}
	}
	return errors.Join(err, p.file.Close())
}

// setLock locks the whole file; EAGAIN or EACCES where somebody holds it.
func setLock(fd int) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// locked tells whether somebody else holds the lock: that to write, since anybody
// who can read the file can take the other.
func locked(fd int) (bool, error) {
	kind, err := lockKind(fd)
	return kind == unix.F_WRLCK, err
}

// lockKind is which lock of the file somebody else holds: F_WRLCK, F_RDLCK or
// F_UNLCK.
func lockKind(fd int) (int16, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock)
	return lock.Type, err
}

// readPID reads the process id; 0 where none is written yet.
func readPID(f *os.File) (int, error) {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	text := bytes.TrimSpace(b[:n])
	if n == 0 || len(text) == 0 {
		return 0, nil
	}
	pid, convErr := strconv.Atoi(string(text))
	if convErr != nil || pid <= 0 {
		return 0, errors.Join(fmt.Errorf("pidfile %s holds %q, which isn't a process id", f.Name(), text), ignoreEOF(err))
	}
	return pid, nil
}

// runningError says who holds the pidfile. A start in progress has locked it and
// not written yet; its process is asked for by the socket, which it takes within
// microseconds of the lock.
func runningError(path string) error {
	e := &RunningError{PIDFile: path}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s := Status(path)
		if e.PID, e.Starting = s.PID, s.Starting; e.PID > 0 || !e.Starting && s.Code != StatusUnknown {
			break
		}
	}
	return e
}
