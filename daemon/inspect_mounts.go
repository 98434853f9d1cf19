package daemon

import (
	"os"
	"slices"
	"strings"
)

// aPIDFile begins the words for a pin by a locked pidfile.
const aPIDFile = "pidfile, "

// tolerated says why a mount may be kept busy by what pins it; empty: it may not.
// It is a judgement of its own, and not Mount.Stays, by which a daemon of this
// package decides what to keep: an error there would pass unseen.
func tolerated(m Mount, pins []string) string {
	system := func(points ...string) bool { return slices.Contains(points, m.Point) }
	switch {
	case system("/", "/usr"):
		return "tolerated: the system itself runs from it"
	case system("/proc", "/sys", "/dev") && slices.Contains([]string{"proc", "sysfs", "devtmpfs", "tmpfs"}, m.Type):
		return "tolerated: the kernel's own, which stays mounted"
	case m.Type == "debugfs" && system("/sys/kernel/debug"):
		return "tolerated: the kernel's own, where drivers describe their devices"
	case m.Type == "devtmpfs" && strings.HasPrefix(m.Point, "/dev/"): // a container has single devices mounted
		return "tolerated: a device, which the kernel provides"
	case (m.Type == "cgroup" || m.Type == "cgroup2") && strings.HasPrefix(m.Point, "/sys/fs/cgroup"):
		return "tolerated: the kernel's own, where the Go runtime keeps the files of its processor limit open"
	case m.Type == "tmpfs" && hasPIDFile(pins) && !slices.ContainsFunc(pins, isProgram):
		return "tolerated: in memory, and the pidfile has to be somewhere"
	case m.Type == "tmpfs" && system("/run"):
		return "tolerated: in memory, for what runs until the machine is switched off"
	case system("/opt", "/home", "/var", "/root", "/srv") && !m.Removable:
		return "tolerated: of the system, on a disk that is neither removable nor on USB"
	}
	return ""
}

func hasPIDFile(pins []string) bool {
	return slices.ContainsFunc(pins, func(pin string) bool { return strings.HasPrefix(pin, aPIDFile) })
}

// isProgram tells a pin that a daemon needn't have: its executable, a library, a
// directory.
func isProgram(pin string) bool {
	return !strings.HasPrefix(pin, aPIDFile) && !strings.HasPrefix(pin, "descriptor ")
}

// holdsPID tells whether the open file is a regular one that holds a number, as a
// pidfile does.
func holdsPID(link string) bool {
	if info, err := os.Stat(link); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(link)
	if err != nil {
		return false
	}
	defer f.Close()
	pid, err := readPID(f)
	return err == nil && pid > 0
}
