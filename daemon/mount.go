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

// Mount is a mounted file system, proc_pid_mountinfo(5).
type Mount struct {
	ID        int    `json:"id"`
	Point     string `json:"point"`
	Type      string `json:"type"`
	Source    string `json:"source"`
	Device    string `json:"device"`    // major:minor
	Removable bool   `json:"removable"` // can be taken out, or is on USB
}

func (m Mount) String() string { return fmt.Sprintf("%s (%s, %s)", m.Point, m.Type, m.Source) }

// MountOf finds the mount that a path lies on; of a path that doesn't exist yet,
// the one its nearest existing directory lies on.
func MountOf(path string) (Mount, error) {
	for {
		fd, err := openRetry(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
			path = filepath.Dir(path)
			continue
		}
		if err != nil {
			return Mount{}, &os.PathError{Op: "open", Path: path, Err: err}
		}
		m, err := mountOfFile(fd)
		return m, errors.Join(err, unix.Close(fd))
	}
}

func mountOfFile(fd int) (Mount, error) {
	id, err := mountID("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return Mount{}, err
	}
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, err
	}
	m, ok := mounts[id]
	if !ok {
		return Mount{ID: id}, fmt.Errorf("mount %d isn't in this process's mount namespace", id)
	}
	return m, nil
}

// mountID reads the mount from proc_pid_fdinfo(5). It tells mounts apart where
// the device number doesn't: on an overlay, a bind mount, btrfs.
func mountID(fdinfo string) (int, error) {
	info, err := readStatus(fdinfo)
	if err != nil {
		return 0, err
	}
	id, err := strconv.Atoi(info["mnt_id"])
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", fdinfo, err)
	}
	return id, nil
}

func readMounts(file string) (map[int]Mount, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	mounts := map[int]Mount{}
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 2 {
			return nil, fmt.Errorf("read %s: line %q", file, line)
		}
		id, err := strconv.Atoi(left[0])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		mounts[id] = Mount{ID: id, Device: left[2], Point: unescape(left[4]), Type: right[0],
			Source: unescape(right[1]), Removable: removable(left[2])}
	}
	return mounts, nil
}

var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func unescape(s string) string { return mountEscapes.Replace(s) }

// removable asks the kernel whether the disk, or the disk of the partition, is
// one that can be taken out (sysfs-block, "removable"), or is on USB, where the
// drives of most enclosures say that they can't. A mapping is what it maps. A
// device without a disk isn't.
func removable(device string) bool {
	dir, err := filepath.EvalSymlinks("/sys/dev/block/" + device)
	if err != nil {
		return false
	}
	if onUSB(dir) {
		return true
	}
	if below, err := filepath.Glob(filepath.Join(dir, "slaves", "*", "dev")); err == nil { // of device-mapper and md
		for _, file := range below {
			if b, err := os.ReadFile(file); err == nil && removable(strings.TrimSpace(string(b))) {
				return true
			}
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if b, err := os.ReadFile(filepath.Join(d, "removable")); err == nil {
			return strings.TrimSpace(string(b)) == "1"
		}
	}
	return false
}

// onUSB tells whether a device's directory below /sys/devices is below that of a
// USB controller's root hub: usb1, usb2, ….
func onUSB(dir string) bool {
	return slices.ContainsFunc(strings.Split(dir, "/"), func(name string) bool {
		number, ok := strings.CutPrefix(name, "usb")
		_, err := strconv.Atoi(number)
		return ok && err == nil
	})
}

// Stays tells whether the mount is part of the system, so that it may
// stay in use: the root file system, /usr, what the kernel itself provides, and,
// unless they are on a disk that can be taken out, /opt, /home, /var, /root, /srv
// and /run. What is mounted below these may have to be unmounted.
func (m Mount) Stays() bool {
	switch m.Point {
	case "/", "/usr", "/proc", "/sys", "/dev":
		return true
	case "/opt", "/home", "/var", "/var/lib", "/var/log", "/var/tmp", "/root", "/srv", "/run":
		return !m.Removable
	}
	return false
}
