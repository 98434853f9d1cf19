package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// place is a directory whose paths are short enough for a socket: unix(7).
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Nothing but a regular file is opened: a FIFO without a writer would never
// answer, and the kernel's zeros never end.
func TestReadFileRefusesOtherKinds(t *testing.T) {
	dir := place(t)
	fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{fifo: "a pipe", socket: "a socket", dir: "a directory", "/dev/zero": "a device"} {
		data, err := ReadFile(path, 10)
		if kind, ok := errors.AsType[*KindError](err); !ok || kind.Path != path || !strings.Contains(err.Error(), path+" is "+want+":") {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := place(t)
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("0123456789"), 0o644), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		most int64
		want string
		err  error
	}{
		{path, 10, "0123456789", nil},
		{link, 10, "0123456789", nil},
		{path, 9, "", &SizeError{path, 9}},
		{filepath.Join(dir, "none"), 10, "", fs.ErrNotExist},
		// It tells the size 0 and has more.
		{"/proc/self/status", 9, "", &SizeError{"/proc/self/status", 9}},
	} {
		data, err := ReadFile(tt.path, tt.most)
		size, ok := tt.err.(*SizeError)
		same := errors.Is(err, tt.err)
		if ok {
			got, isSize := errors.AsType[*SizeError](err)
			same = isSize && *got == *size
		}
		if string(data) != tt.want || !same {
			t.Errorf("%s, at most %d: %q, %v; want %q, %v", tt.path, tt.most, data, err, tt.want, tt.err)
		}
	}
}
