package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/logging"
)

// A Path is a path that a flag gives.
type Path struct{ Flag, Path string }

// BusyMounts warns of each path that would keep a removable file system from
// being unmounted while the daemon runs. A service manager's own directories
// are left out: in the unit's mount namespace each of them is a mount.
func BusyMounts(paths []Path, mountOf func(path string) (daemon.Mount, error)) []string {
	var warnings []string
	for _, p := range paths {
		if p.Path == "" || p.Path == logging.Syslog || p.Path == logging.Stderr || managed(p.Path) {
			continue
		}
		mount, err := mountOf(p.Path)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s %s: %v", p.Flag, p.Path, err))
			continue
		}
		if p.Flag == "--pid-file" && mount.Type == "tmpfs" {
			continue // in memory, as a user's own runtime directory: it has to be somewhere
		}
		if !mount.Stays() {
			warnings = append(warnings, fmt.Sprintf("%s %s is on %s: choose a path elsewhere, or that can't be unmounted while the daemon runs", p.Flag, p.Path, mount))
		}
	}
	return warnings
}

// managed tells whether a path is in a directory that the service manager has
// made for this unit: systemd.exec(5), StateDirectory=.
func managed(path string) bool {
	for _, name := range []string{"RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY", "CACHE_DIRECTORY"} {
		for _, dir := range filepath.SplitList(os.Getenv(name)) {
			if path == dir || strings.HasPrefix(path, dir+"/") {
				return true
			}
		}
	}
	return false
}

// Unreadable warns of each file that the starter can read, and the daemon's
// user could not read again at a reload.
func (s *Source) Unreadable(d *daemon.Context, in *Inputs) []string {
	files := map[string]string{}
	if s.ConfigFile != "" && s.Builtin == nil {
		files[s.ConfigFile] = "--config.file"
	}
	for path := range in.WebFiles {
		files[path] = "--web.config.file"
	}
	for path := range in.Described {
		files[path] = "description"
	}
	var warnings []string
	for path, flag := range files {
		if err := d.Readable(path); err != nil {
			warnings = append(warnings, fmt.Sprintf("%s: %v: a reload will fail; let that user read it", flag, err))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// TryWrites warns of what will be lost because it can't be written, while the
// warning can still reach the terminal. The daemon starts in any case: the
// sensors can be read, and the disk may have room again.
func TryWrites(p *daemon.Process, log *logging.Logger, stateDirectory string) {
	if err := log.Lost(); err != nil {
		p.Warn(fmt.Sprintf("--log.output: %v: lines are lost until it can be written; free space there, or choose another file", err))
	}
	if err := tryWriting(stateDirectory); err != nil {
		p.Warn(fmt.Sprintf("--state.directory: %v: the counts won't be kept; choose a directory that the daemon's user may write to, on a disk with free space", err))
	}
}

// tryWriting writes a block to a file in dir, and removes it.
func tryWriting(dir string) error {
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
