package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A pidfile removed by hand takes its lock out of sight, and a second daemon
// could start. So the daemon also holds a name in the abstract namespace of unix
// sockets (unix(7)), which nobody can remove, and which ends with the process.
// The kernel also tells who holds it (SO_PEERCRED).
//
// Anybody may take any abstract name. One held by a stranger is therefore no
// reason to refuse: they could keep the daemon from starting.

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
	holder, ok := socketHolder(path)
	if !ok {
		return nil, "", &RunningError{PIDFile: path}
	}
	for _, uid := range trusted {
		if holder.UID == uid {
			return nil, "", &RunningError{PIDFile: path, PID: holder.PID}
		}
	}
	return nil, fmt.Sprintf("process %d of user %d holds the name of the second lock: %s", holder.PID, holder.UID, without), nil
}

// backlog is how many may ask for the holder, since nobody accepts their
// connections. Later ones learn that the name is held, not by whom.
const backlog = 128

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

type holder struct {
	PID int
	UID uint32
}

// socketHolder tells who called listen on the name last.
func socketHolder(path string) (holder, bool) {
	address, err := socketAddress(path)
	if err != nil {
		return holder{}, false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return holder{}, false
	}
	f := os.NewFile(uintptr(fd), "lock")
	defer f.Close()
	if err := unix.Connect(fd, address); err != nil {
		return holder{}, false
	}
	who, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || who.Pid == 0 {
		return holder{}, false // 0: it is in another PID namespace
	}
	return holder{int(who.Pid), who.Uid}, true
}

// claimSocket makes this process the one that socketHolder tells, instead of the
// starter: listening again renews the kernel's note.
func claimSocket(fd int) error {
	if err := unix.Listen(fd, backlog); err != nil {
		return fmt.Errorf("take over the second lock: %w", err)
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
