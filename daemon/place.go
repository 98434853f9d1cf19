package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkPlace refuses a path that somebody else could make lead to another file:
// each directory and symbolic link on the way to it, and what is there, must
// belong to root or to one of the users, and must not be writable to others. In a
// directory with the sticky bit only a file's owner can replace it (chmod(2)), so
// that one may be writable. What doesn't exist is no error.
func checkPlace(path string, users []uint32) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	users = append(outsiders(), append(users, 0)...)
	rest := strings.Split(strings.Trim(path, "/"), "/")
	for dir, links := "/", 0; len(rest) > 0; {
		next := filepath.Join(dir, rest[0])
		rest = rest[1:]
		var st unix.Stat_t
		switch err := unix.Lstat(next, &st); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return &os.PathError{Op: "stat", Path: next, Err: err}
		}
		if err := checkOwner(next, &st, users); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			dir = next
			continue
		}
		const most = 40 // path_resolution(7)
		if links++; links > most {
			return &os.PathError{Op: "follow", Path: path, Err: unix.ELOOP}
		}
		target, err := os.Readlink(next)
		if err != nil {
			return err
		}
		if filepath.IsAbs(target) {
			dir = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return nil
}

func checkOwner(path string, st *unix.Stat_t, users []uint32) error {
	if !slices.Contains(users, st.Uid) {
		return fmt.Errorf("%s belongs to user %d, who could put another file in the place: choose a place that belongs to root or to you, "+
			"or make that user the daemon's", path, st.Uid)
	}
	kind := st.Mode & unix.S_IFMT
	sticky := kind == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	if kind != unix.S_IFLNK && !sticky && st.Mode&0o022 != 0 {
		return fmt.Errorf("%s has mode %04o, so that others than its owner could put another file in the place: chmod go-w %s, or choose another place",
			path, st.Mode&0o7777, path)
	}
	return nil
}

// outsiders is the user whom a user namespace shows in place of all that it
// doesn't map, as a container does with root's files outside it. Nobody inside
// can be that user (user_namespaces(7), "Unmapped user and group IDs").
func outsiders() []uint32 {
	maps, err := os.ReadFile("/proc/self/uid_map")
	if fields := strings.Fields(string(maps)); err != nil || len(fields) == 3 && fields[2] == "4294967295" {
		return nil
	}
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return nil
	}
	return []uint32{uint32(uid)}
}
