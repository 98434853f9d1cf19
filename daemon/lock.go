package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A pidfile removed by hand takes its lock out of sight, and a second daemon
// could start. So the daemon also holds a name in the abstract namespace of unix
// sockets (unix(7)), which nobody can remove, and which ends with the process.
// The kernel also tells who holds it (SO_PEERCRED).
//
// Anybody may take any abstract name. One that another user's process holds is
// therefore no reason to refuse: that user could keep the daemon from starting.

// socketAddress is derived from the pidfile's path, without symbolic links in its
// directory, and from the device it lies on: containers that share a network
// namespace have the same paths, on devices of their own. Where the directory was
// removed, the nearest one above it that is there tells both. The name is the same
// then, unless what was removed is a mount point or a symbolic link.
func socketAddress(path string) (unix.Sockaddr, error) {
	above, rest := filepath.Dir(path), filepath.Base(path)
	dir, err := filepath.EvalSymlinks(above)
	for errors.Is(err, fs.ErrNotExist) && above != filepath.Dir(above) {
		above, rest = filepath.Dir(above), filepath.Join(filepath.Base(above), rest)
		dir, err = filepath.EvalSymlinks(above)
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return &unix.SockaddrUnix{Name: fmt.Sprintf("@daemon-%s", hash(fmt.Sprintf("%d %s", st.Dev, filepath.Join(dir, rest))))}, nil
}

// lockSocket takes the name that belongs to the pidfile. trusted are the users
// whose holding it counts. The file is nil, with a warning in words, where the
// name can't be had for another reason than a daemon of theirs.
func lockSocket(path string, trusted []uint32) (lock *os.File, warning string, err error) {
	const without = "nothing keeps a second daemon from starting if the pidfile is removed by hand"
	address, err := socketAddress(path)
	if err != nil {
		return nil, "", fmt.Errorf("pidfile %s: %w", path, err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Sprintf("no second lock (%v): %s", err, without), nil
	}
	err = unix.Bind(fd, address)
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err == nil {
		return os.NewFile(uintptr(fd), "lock"), "", nil
	}
	closeErr := unix.Close(fd)
	if !errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Sprintf("no second lock (%v): %s", err, without), closeErr
	}
	holder, ok := holderOf(path)
	switch {
	case !ok: // a daemon answers, unless it is stopped and was asked by very many
		return nil, fmt.Sprintf("a process that doesn't answer holds the name of the second lock: %s", without), nil
	case slices.Contains(trusted, holder.UID):
		return nil, "", &RunningError{PIDFile: path, PID: holder.PID}
	}
	return nil, fmt.Sprintf("process %d of user %d holds the name of the second lock: %s", holder.PID, holder.UID, without), nil
}

// backlog is how many may ask for the holder while it is stopped or very busy.
// Later ones learn that the name is held, not by whom.
const backlog = 128

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// A holder is the process that called listen on the name last.
type holder struct {
	PID int // 0: of another PID namespace
	UID uint32
}

// holderOf tells who holds the name of the pidfile. ok is false where nobody
// does, and where so many ask that it takes more than a second, as of a process
// that is stopped.
func holderOf(path string) (h holder, ok bool) {
	err := withHolder(path, func(fd int, found holder) error {
		h = found
		return nil
	})
	return h, err == nil
}

var errNoHolder = errors.New("the kernel reports no owner of the name")

// withHolder calls f with a connection to the holder, which tells who that is.
func withHolder(path string, f func(fd int, h holder) error) error {
	address, err := socketAddress(path)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Where many ask at once, connecting waits for its turn (unix(7), EAGAIN).
	patience := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience); err != nil {
		return err
	}
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Connect(fd, address)
	}
	if err != nil {
		return err
	}
	who, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return err
	}
	return f(fd, holder{int(who.Pid), who.Uid})
}

// openHolder opens the process that holds the name, if it is a process of one of
// the trusted users: anybody can take a name. The error is errNoHolder where that
// can't be told.
func openHolder(path string, trusted []uint32) (found *handle, err error) {
	err = withHolder(path, func(fd int, h holder) error {
		if h.PID == 0 || !slices.Contains(trusted, h.UID) {
			return errNoHolder
		}
		// The process that called listen, even if its number is another's by
		// now; Linux 6.5.
		pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		if errors.Is(err, unix.ENOPROTOOPT) {
			pidfd, err = unix.PidfdOpen(h.PID, 0)
		}
		if err != nil {
			return fmt.Errorf("open process %d: %w", h.PID, err)
		}
		found = &handle{h.PID, pidfd}
		return found.belongsTo(h.UID)
	})
	if err == nil {
		return found, nil
	}
	if found != nil {
		found.close()
	}
	if errors.Is(err, unix.ESRCH) || errors.Is(err, errForeign) {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", errNoHolder, err)
}

// claimSocket makes this process the one that holderOf tells, instead of the
// starter: listening again renews the kernel's note.
func claimSocket(fd int) error {
	if err := unix.Listen(fd, backlog); err != nil {
		return fmt.Errorf("take over the second lock: %w", err)
	}
	return nil
}

// answerAskers accepts the connections of those who ask for the holder, which
// would stay in the queue and fill it, and closes each at once: the kernel has
// told them already. It returns when l is closed. Where there are no descriptors
// left it ends too, rather than try again and again; the queue may fill then.
func answerAskers(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = conn.Close() // nothing was written
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
