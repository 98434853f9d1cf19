package service

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"example.org/dormouse/exporter/web"
)

// Exposed warns of files that other users of this machine can write, and so
// have the daemon do what they like, and of keys and passwords that they can
// read.
func (s *Source) Exposed(in *Inputs) []string {
	var warnings []string
	if s.ConfigFile != "" && s.Builtin == nil {
		warnings = exposed("--config.file", s.ConfigFile, false)
	}
	for _, path := range slices.Sorted(maps.Keys(in.WebFiles)) {
		warnings = append(warnings, exposed("--web.config.file", path, web.Secret(in.WebFiles[path]))...)
	}
	return warnings
}

func exposed(flag, path string, secret bool) (warnings []string) {
	file, err := os.Stat(path)
	if err != nil {
		return nil // what can't be read is another warning
	}
	if file.Mode()&0o002 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can change %s: chmod o-w %[2]s", flag, path))
	}
	if secret && file.Mode()&0o004 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can read %s, which holds a key or passwords: chmod o-r %[2]s", flag, path))
	}
	directory := filepath.Dir(path)
	if d, err := os.Stat(directory); err == nil && d.Mode()&0o002 != 0 && d.Mode()&os.ModeSticky == 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can replace %s, because its directory is writable: chmod o-w %s", flag, path, directory))
	}
	return warnings
}
