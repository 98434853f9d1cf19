package exporter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := newExporter(exampleSnapshot(), newClock()).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	parse(t, text)
	for _, prefix := range []string{"process_", "dormouse_context_switches", "go_"} {
		if got := series(text, prefix); got != nil {
			t.Errorf("the text file holds %q", got)
		}
	}
	// The rest is as on the page.
	var kept []string
	for line := range strings.Lines(scrape(newExporter(exampleSnapshot(), newClock()))) {
		if !strings.Contains(line, "process_") && !strings.Contains(line, "dormouse_context_switches") {
			kept = append(kept, line)
		}
	}
	if want := strings.Join(kept, ""); text != want {
		t.Errorf("the text file is\n%s\nwant\n%s", text, want)
	}
	if err := newExporter(exampleSnapshot(), newClock()).WriteText(failing{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a pipe that is closed: %v", err)
	}
}

func TestWriteTextfile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "dormouse.prom")
	o := Options{Build: build, Clock: newClock()}
	for range 2 {
		if err := WriteTextfile(path, exampleSnapshot(), o); err != nil {
			t.Fatal(err)
		}
	}
	var want bytes.Buffer
	if err := Text(&want, exampleSnapshot(), o); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the file holds %d bytes, want %d, %v", len(got), want.Len(), err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("its mode is %v: node_exporter must be able to read it", info.Mode())
	}
	left(t, dir, "dormouse.prom")
}

// left checks that a directory holds these names and nothing else.
func left(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if strings.Join(names, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

func TestWriteTextfileErrors(t *testing.T) {
	o := Options{Clock: newClock()}
	path := filepath.Join(t.TempDir(), "gone", "a.prom")
	err := WriteTextfile(path, exampleSnapshot(), o)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "the directory does not exist") || !strings.Contains(err.Error(), path) {
		t.Errorf("no directory: %v", err)
	}

	// The name is taken by a directory: nothing is left behind.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a.prom"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteTextfile(filepath.Join(dir, "a.prom"), exampleSnapshot(), o); err == nil {
		t.Error("a directory was replaced")
	}
	left(t, dir, "a.prom")

	for _, tt := range []struct {
		errno error
		want  string
	}{
		{unix.ENOSPC, "free some space"}, {unix.EDQUOT, "free some space"}, {unix.EROFS, "read-only"},
		{unix.EACCES, "may not write"}, {unix.EIO, ""},
	} {
		if got := advice(&os.PathError{Op: "write", Path: "a", Err: tt.errno}); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%v: advice is %q, want %q", tt.errno, got, tt.want)
		}
	}
}

// A disk that is full, by the limit on a file's size: the earlier file stands.
func TestWriteTextfileWhereNothingFits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.prom")
	if err := os.WriteFile(path, []byte("earlier"), 0o644); err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err := WriteTextfile(path, exampleSnapshot(), Options{Clock: newClock()})
	if restored := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, unix.EFBIG) {
		t.Errorf("nothing fits: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "earlier" {
		t.Errorf("the earlier file is now %q, %v", got, err)
	}
	left(t, dir, "a.prom")
}
