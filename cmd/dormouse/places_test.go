package main

import (
	"slices"
	"testing"

	"example.org/dormouse/daemon"
)

// A removable file system that would be busy is a warning; a directory that
// systemd has made for the unit, which is a mount there, isn't.
func TestBusyMounts(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/var/lib/dormouse:/var/lib/private")
	t.Setenv("RUNTIME_DIRECTORY", "/run/dormouse")
	s := &settings{logOutput: "syslog", textfile: "/var/lib/dormouse/dormouse.prom", stateDirectory: "/var/lib/dormouse",
		pidFile: "/run/dormouse/dormouse.pid", workingDirectory: "/media/stick"}
	mounts := func(path string) (daemon.Mount, error) {
		return daemon.Mount{Point: path, Type: "vfat", Source: "/dev/sda1", Removable: true}, nil
	}
	want := []string{"--working-directory /media/stick is on /media/stick (vfat, /dev/sda1): choose a path elsewhere, or that can't be unmounted while the daemon runs"}
	if got := s.busyMounts(mounts); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s.stateDirectory, s.logOutput = "/var/lib/dormouse2", "/media/stick/log"
	if got := s.busyMounts(mounts); len(got) != 3 {
		t.Errorf("%q, want three", got)
	}
}
