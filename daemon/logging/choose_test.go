package logging

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	// The path of a socket has at most 107 bytes: unix(7).
	dir, err := os.MkdirTemp("", "log")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	before := devLog
	defer func() { devLog = before }()
	devLog = filepath.Join(dir, "log")

	for _, tt := range []struct {
		output, directory string
		detaches          bool
		chosen, warning   string
		refused           bool
	}{
		{Syslog, "/var/lib/dormouse", true, "/var/lib/dormouse/dormouse.log", "the log is /var/lib/dormouse/dormouse.log", false},
		{Syslog, "/var/lib/dormouse", false, Stderr, "standard error", false},
		{Syslog, "", true, Syslog, "", false},
		{Stderr, "/var/lib/dormouse", true, "", "", true},
		{Stderr, "/var/lib/dormouse", false, Stderr, "", false},
		{"/var/log/x", "/var/lib/dormouse", true, "/var/log/x", "", false},
	} {
		chosen, warning, err := Choose(tt.output, tt.directory, tt.detaches)
		if chosen != tt.chosen || !strings.Contains(warning, tt.warning) || (warning == "") != (tt.warning == "") || (err != nil) != tt.refused {
			t.Errorf("%+v: %q, %q, %v", tt, chosen, warning, err)
		}
	}
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: devLog, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if chosen, warning, err := Choose(Syslog, "/var/lib/dormouse", true); chosen != Syslog || warning != "" || err != nil {
		t.Errorf("with a syslog daemon: %q, %q, %v", chosen, warning, err)
	}
}
