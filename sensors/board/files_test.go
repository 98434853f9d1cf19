package board

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

func TestReadAndWriteFiles(t *testing.T) {
	root := t.TempDir()
	f := newFiles(root)
	for _, content := range []string{"", "23125\n", strings.Repeat("x", 4096), strings.Repeat("y", 1<<20)} {
		makeFile(t, root, "/sys/temp", content)
		got, err := f.ReadFile(t.Context(), "/sys/temp")
		if err != nil || string(got) != content {
			t.Errorf("read %d bytes, want %d: %v", len(got), len(content), err)
		}
	}
	check(t, f.WriteFile(t.Context(), "/sys/temp", []byte("trigger\n")))
	if got, err := os.ReadFile(filepath.Join(root, "/sys/temp")); err != nil || string(got) != "trigger\n" {
		t.Errorf("wrote %q, %v", got, err)
	}
	if len(f.busy) != 0 {
		t.Errorf("still busy: %v", f.busy)
	}
}

func TestReadAtOnce(t *testing.T) {
	root := t.TempDir()
	f := newFiles(root)
	for _, content := range []string{"", "48312\n", strings.Repeat("x", mostAtOnce-1)} {
		makeFile(t, root, "/sys/temp", content)
		got, inode, err := f.ReadAtOnce("/sys/temp")
		if err != nil || string(got) != content {
			t.Errorf("read %q, want %q: %v", got, content, err)
		}
		var st unix.Stat_t
		check(t, unix.Stat(filepath.Join(root, "/sys/temp"), &st))
		if inode != uint64(st.Ino) {
			t.Errorf("inode %d, want %d", inode, st.Ino)
		}
	}
	makeFile(t, root, "/sys/big", strings.Repeat("x", mostAtOnce))
	for path, want := range map[string]error{"/sys/missing": unix.ENOENT, "/sys": unix.EISDIR, "/sys/big": unix.EFBIG, "/sys/\x00": unix.EINVAL} {
		if got, _, err := f.ReadAtOnce(path); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: got %q, %v; want %v", path, got, err, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _, _ = f.ReadAtOnce("/sys/temp") }); n > 5 {
		t.Errorf("%v allocations", n)
	}
}

func TestGlobFiles(t *testing.T) {
	root := t.TempDir()
	makeFile(t, root, "/sys/bus/w1/devices/28-1/temperature", "")
	makeFile(t, root, "/sys/bus/w1/devices/28-2/temperature", "")
	got, err := newFiles(root).Glob("/sys/bus/w1/devices/28-*")
	if want := []string{"/sys/bus/w1/devices/28-1", "/sys/bus/w1/devices/28-2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := newFiles("/").Glob("/proc/self/statu?"); err != nil || !slices.Equal(got, []string{"/proc/self/status"}) {
		t.Errorf("at the real root: %q, %v", got, err)
	}
	if _, err := newFiles(root).Glob("/sys/["); !errors.Is(err, filepath.ErrBadPattern) {
		t.Errorf("bad pattern: %v", err)
	}
}

func TestFileErrors(t *testing.T) {
	root := t.TempDir()
	f := newFiles(root)
	makeFile(t, root, "/sys/big", strings.Repeat("x", 1<<20+1))
	makeFile(t, root, "/sys/file", "")
	_, missing := f.ReadFile(t.Context(), "/sys/missing")
	_, big := f.ReadFile(t.Context(), "/sys/big")
	_, folder := f.ReadFile(t.Context(), "/sys")
	_, relative := f.ReadFile(t.Context(), "sys/file")
	for _, tt := range []struct {
		name   string
		err    error
		is     error
		reason sensors.Reason
		want   string
	}{
		{"missing", missing, fs.ErrNotExist, sensors.NoAnswer, "read /sys/missing: it isn't there: check that the sensor is connected"},
		{"written missing", f.WriteFile(t.Context(), "/sys/missing", nil), fs.ErrNotExist, sensors.NoAnswer, "write /sys/missing"},
		{"too big", big, unix.EFBIG, sensors.IO, "more than 1048576 bytes"},
		{"a folder", folder, unix.EISDIR, sensors.IO, "read /sys: "},
		{"relative", relative, nil, sensors.IO, "not an absolute path"},
		{"not allowed", FileError("write", "/x", unix.EACCES), unix.EACCES, sensors.IO, "udev rule or a group"},
		{"read-only", FileError("write", "/x", unix.EROFS), unix.EROFS, sensors.IO, "ProtectKernelTunables"},
		{"broken", FileError("read", "/x", unix.EIO), unix.EIO, sensors.IO, "check its wiring"},
		{"gone", FileError("read", "/x", unix.ENODEV), unix.ENODEV, sensors.NoAnswer, "it isn't there"},
		{"not ready", FileError("read", "/x", unix.EAGAIN), unix.EAGAIN, sensors.Busy, "read /x: "},
		{"hung", FileError("read", "/x", unix.ETIMEDOUT), unix.ETIMEDOUT, sensors.Timeout, "read /x: "},
	} {
		if tt.err == nil || sensors.ReasonOf(tt.err) != tt.reason || !strings.Contains(tt.err.Error(), tt.want) || tt.is != nil && !errors.Is(tt.err, tt.is) {
			t.Errorf("%s: got %v (%s), want %q", tt.name, tt.err, sensors.ReasonOf(tt.err), tt.want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.ReadFile(ended, "/sys/file"); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
}

// An access that hangs is left behind; the next one to the file waits for it,
// and doesn't take its late result for its own.
func TestHungAccessIsLeftBehind(t *testing.T) {
	f := newFiles(t.TempDir())
	release := make(chan struct{})
	inFlight := 0
	var results []string
	access := func(ctx context.Context, path, result string, hangs bool) chan error {
		done := make(chan error)
		go func() {
			done <- f.access(ctx, "read", path, func(string) (func(), error) {
				if inFlight++; inFlight != 1 {
					t.Error("two at once")
				}
				if hangs {
					<-release
				}
				inFlight--
				return func() { results = append(results, result) }, nil
			})
		}()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := access(ctx, "/hung", "stale", true)
	for busy(f) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "read /hung: the kernel has not answered yet") {
		t.Errorf("first: %v, want Canceled", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	second := access(ctx, "/hung", "never", false)
	letOthersRun()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) || busy(f) != 1 {
		t.Errorf("second: %v, %d in flight, want one", err, busy(f))
	}
	if err := f.access(t.Context(), "read", "/other", func(string) (func(), error) { return func() {}, nil }); err != nil {
		t.Errorf("another file: %v", err)
	}
	third := access(t.Context(), "/hung", "fresh", false)
	letOthersRun()
	close(release)
	check(t, <-third)
	if !slices.Equal(results, []string{"fresh"}) {
		t.Errorf("results %q", results)
	}
}

// letOthersRun gives a mistake its chance; without one it changes nothing.
func letOthersRun() {
	for range 1000 {
		runtime.Gosched()
	}
}

func busy(f *files) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.busy)
}

// The caller may use its buffer again when ctx has ended.
func TestWrittenDataIsItsOwn(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "/hung")
	check(t, unix.Mkfifo(path, 0o600))
	f := newFiles(root)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	data := []byte("trigger")
	go func() { done <- f.WriteFile(ctx, "/hung", data) }()
	for busy(f) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	copy(data, "garbage")
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "trigger" {
		t.Errorf("written: %q, %v", got, err)
	}
}
