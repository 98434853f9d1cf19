package service

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter/web"
)

// A removable file system that would be busy is a warning; a directory that
// systemd has made for the unit, which is a mount there, isn't.
func TestBusyMounts(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/var/lib/dormouse:/var/lib/private")
	t.Setenv("RUNTIME_DIRECTORY", "/run/dormouse")
	paths := []Path{{"--log.output", "syslog"}, {"--textfile", "/var/lib/dormouse/dormouse.prom"}, {"--state.directory", "/var/lib/dormouse"},
		{"--pid-file", "/run/dormouse/dormouse.pid"}, {"--working-directory", "/media/stick"}}
	mounts := func(path string) (daemon.Mount, error) {
		return daemon.Mount{Point: path, Type: "vfat", Source: "/dev/sda1", Removable: true}, nil
	}
	want := []string{"--working-directory /media/stick is on /media/stick (vfat, /dev/sda1): choose a path elsewhere, or that can't be unmounted while the daemon runs"}
	if got := BusyMounts(paths, mounts); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	paths[0].Path, paths[2].Path = "/media/stick/log", "/var/lib/dormouse2"
	if got := BusyMounts(paths, mounts); len(got) != 3 {
		t.Errorf("%q, want three", got)
	}
}

// A reload reads every file again that the start reads. Whoever asks needn't be
// able to become that user.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	d := daemon.New("dormouse")
	d.User, d.Group = "4000000001", "4000000001" // numbers need no account
	s := &Source{ConfigFile: path("dormouse.yml")}
	in := &Inputs{
		WebFiles:  web.Files{path("web.yml"): nil},
		Described: map[string][]byte{path("chip.yml"): nil},
	}
	got := s.Unreadable(d, in)
	for i, flag := range []string{"--config.file", "--web.config.file", "description"} {
		if len(got) != 3 || !strings.HasPrefix(got[i], flag+": ") || !strings.Contains(got[i], "user 4000000001 won't be able to read") {
			t.Errorf("no warning about %s in %q", flag, got)
		}
	}
}
