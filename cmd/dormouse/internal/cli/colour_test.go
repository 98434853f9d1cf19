package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

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
		if got := WantsColour(tt.to); got != tt.want {
			t.Errorf("%s: colours %v", tt.name, got)
		}
	}
	if WantsColour(&bytes.Buffer{}) {
		t.Error("what is no file gets colours")
	}
}
