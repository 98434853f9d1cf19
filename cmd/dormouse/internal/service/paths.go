package service

import (
	"fmt"
	"os"
	"path/filepath"

	"example.org/dormouse/daemon"
)

// DefaultPIDFile is the pidfile where no flag names one: root's is the system's, a
// user's their own, and what the service manager has set up wins.
func DefaultPIDFile() string {
	return filepath.Join(runtimeDirectory(), "dormouse.pid")
}

// SystemPIDFile is that of the units and of root.
const SystemPIDFile = "/run/dormouse/dormouse.pid"

// Elsewhere tells, where no daemon runs by the pidfile of a user who named none,
// that the system's does, which they may have meant; empty: it doesn't, either.
func Elsewhere(pidFile, system string) string {
	if pidFile == system || pidFile != DefaultPIDFile() {
		return ""
	}
	state := daemon.Status(system)
	if !state.Running() {
		return ""
	}
	return fmt.Sprintf("; the system's daemon runs as process %d: use sudo, or --pid-file=%s", state.PID, system)
}

func runtimeDirectory() string {
	if d := os.Getenv("RUNTIME_DIRECTORY"); d != "" {
		return firstOf(d)
	}
	if os.Geteuid() == 0 {
		return "/run/dormouse"
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "dormouse")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("dormouse-%d", os.Geteuid()))
}

// DefaultStateDirectory is the state directory where no flag names one, by the
// same rule; empty: there is none.
func DefaultStateDirectory() string {
	if d := os.Getenv("STATE_DIRECTORY"); d != "" {
		return firstOf(d)
	}
	if os.Geteuid() == 0 {
		return "/var/lib/dormouse"
	}
	if d := os.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "dormouse")
	}
	if home := os.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "dormouse")
	}
	return ""
}

// firstOf is the first of the directories that systemd gives, colon-separated.
func firstOf(list string) string {
	first := filepath.SplitList(list)[0]
	return first
}
