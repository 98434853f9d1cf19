package daemon

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name        string
		pid, parent int
		noTerminal  bool
		env         map[string]string
		socket      bool
		want        Situation
	}{
		{"shell", 50, 40, false, nil, false, Shell},
		{"script without terminal", 50, 40, true, nil, false, Shell},
		{"process 1", 1, 0, true, map[string]string{"NOTIFY_SOCKET": "x"}, true, FirstProcess},
		{"init", 50, 1, true, nil, false, Init},
		{"orphan in a terminal", 50, 1, false, nil, false, Shell},
		{"parent outside the namespace", 50, 0, true, nil, false, Init},
		{"systemd", 50, 1, true, map[string]string{"SYSTEMD_EXEC_PID": "50"}, false, Systemd},
		{"systemd, of a parent", 50, 40, true, map[string]string{"SYSTEMD_EXEC_PID": "40"}, false, Shell},
		{"notify socket", 50, 40, true, map[string]string{"NOTIFY_SOCKET": "/run/x"}, false, Systemd},
		{"socket activation", 50, 40, true, map[string]string{"LISTEN_PID": "50", "LISTEN_FDS": "1"}, false, Systemd},
		{"socket activation of a parent", 50, 40, false, map[string]string{"LISTEN_PID": "40"}, false, Shell},
		{"superserver", 50, 40, true, nil, true, Superserver},
	} {
		got := detect(tt.pid, tt.parent, tt.noTerminal, func(k string) string { return maps.Clone(tt.env)[k] }, tt.socket)
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhetherToDetach(t *testing.T) {
	for _, tt := range []struct {
		detach    Detach
		situation Situation
		want      bool
	}{
		{DetachAuto, Shell, true}, {DetachAuto, Init, false}, {DetachAuto, Systemd, false}, {DetachAuto, Superserver, false},
		{DetachAlways, Systemd, true}, {DetachAlways, FirstProcess, false}, {DetachNever, Shell, false},
	} {
		c := New("x")
		c.DetachProcess = tt.detach
		if got := c.detaches(tt.situation); got != tt.want {
			t.Errorf("%s under %s: %v", tt.detach, tt.situation, got)
		}
	}
}

func TestSocketsOfASuperserver(t *testing.T) {
	bound := func(family int, address unix.Sockaddr) int {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, address); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tt := range []struct {
		name string
		fd   int
		want bool
	}{
		{"internet", bound(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), true},
		{"unix, by a path", bound(unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}), true},
		{"unix, by an abstract name", bound(unix.AF_UNIX, &unix.SockaddrUnix{Name: fmt.Sprintf("@daemon-test-%d", os.Getpid())}), true},
		{"a pair", pair[0], false}, {"no socket", int(null.Fd()), false}, {"closed", 1 << 20, false},
	} {
		if got := isServed(tt.fd); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
