package service

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors/config"
)

// Exposed warns of files that other users of this machine can write, and so
// have the daemon do what they like, and of keys and passwords that they can
// read.
func (s *Source) Exposed(in *Inputs) []string {
	var warnings []string
	if s.ConfigFile != "" && s.Builtin == nil {
		warnings = exposed("--config.file", s.ConfigFile, "")
	}
	for _, path := range slices.Sorted(maps.Keys(in.WebFiles)) {
		holds := ""
		if web.Secret(in.WebFiles[path]) {
			holds = "holds a key or passwords"
		}
		warnings = append(warnings, exposed("--web.config.file", path, holds)...)
	}
	for _, path := range slices.Sorted(maps.Keys(in.Described)) {
		warnings = append(warnings, exposed("description", path, "")...)
	}
	if in.parsed != nil {
		for _, sensor := range in.parsed.Sensors {
			warnings = append(warnings, exposedPrograms(sensor)...)
		}
	}
	return warnings
}

// exposedPrograms are the warnings about what a sensor runs.
func exposedPrograms(s *config.Sensor) (warnings []string) {
	for _, key := range []string{"argv", "on-failure", "on-recovery"} {
		if argv, _ := s.Options.Value(key).([]string); len(argv) > 0 {
			warnings = append(warnings, exposed(s.Name+": "+key, argv[0], "")...)
		}
	}
	if path, _ := s.Options.Value("environment-file").(string); path != "" {
		warnings = append(warnings, exposed(s.Name+": environment-file", path, "may hold passwords")...)
	}
	return warnings
}

// exposed looks at one file, which a flag or a key names. holds is why other users
// may not read it; empty: they may.
func exposed(key, path, holds string) (warnings []string) {
	file, err := os.Stat(path)
	if err != nil {
		return nil // what can't be read is another warning
	}
	if file.Mode()&0o002 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can change %s: chmod o-w %[2]s", key, path))
	}
	if holds != "" && file.Mode()&0o004 != 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can read %s, which %s: chmod o-r %[2]s", key, path, holds))
	}
	directory := filepath.Dir(path)
	if d, err := os.Stat(directory); err == nil && d.Mode()&0o002 != 0 && d.Mode()&os.ModeSticky == 0 {
		warnings = append(warnings, fmt.Sprintf("%s: every user can replace %s, because its directory is writable: chmod o-w %s", key, path, directory))
	}
	return warnings
}
