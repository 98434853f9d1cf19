package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPinoutCommand(t *testing.T) {
	p := newPlace(t)
	text := p.must("pinout", "--board=sim", "--sensor=door=switch,pin=GPIO27")
	if !strings.Contains(text, "door  GPIO27 ● 13") || strings.Contains(text, "\x1b") {
		t.Errorf("pinout draws\n%s", text)
	}
	stdout, stderr, code := p.run("pinout", "--board=sim", "--sensor=door=switch,pin=GPIO27", "--sensor=gate=switch,pin=27")
	if code != 6 || !strings.Contains(stdout, "door / gate  GPIO27 ! 13") || !strings.Contains(stderr, "taken by sensor door") {
		t.Errorf("of a wrong configuration, exit status %d:\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code := p.run("pinout", "--config.file=missing.yml"); code != 6 || !strings.Contains(stderr, "missing.yml") {
		t.Errorf("of a file that isn't there, exit status %d:\n%s", code, stderr)
	}
}

// A terminal gets colours unless its user doesn't want them.
func TestWantsColour(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		name, noColour, term string
		to                   *os.File
		want                 bool
	}{
		{"terminal", "", "xterm", tty, true},
		{"NO_COLOR", "1", "xterm", tty, false},
		{"dumb", "", "dumb", tty, false},
		{"file", "", "xterm", file, false},
	} {
		t.Setenv("NO_COLOR", tt.noColour)
		t.Setenv("TERM", tt.term)
		if got := wantsColour(tt.to); got != tt.want {
			t.Errorf("%s: colours %v", tt.name, got)
		}
	}
	if wantsColour(&bytes.Buffer{}) {
		t.Error("what is no file gets colours")
	}
}
