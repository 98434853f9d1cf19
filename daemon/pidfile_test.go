package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The predecessor removes the file between open and lock.
func TestPIDFileMovedWhileLocking(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := tryPIDFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if moved, err := p.moved(); moved || err != nil {
		t.Errorf("moved: %v, %v", moved, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if moved, err := p.moved(); !moved || err != nil {
		t.Errorf("removed, moved: %v, %v", moved, err)
	}
	if err := os.WriteFile(path, []byte("77"), 0o644); err != nil {
		t.Fatal(err)
	}
	if moved, err := p.moved(); !moved || err != nil {
		t.Errorf("replaced, moved: %v, %v", moved, err)
	}
	if err := p.remove(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "77" {
		t.Errorf("somebody else's file was touched: %q, %v", got, err)
	}
}

func TestLockOutlivesItsRivals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := lockPIDFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	// An ordinary POSIX lock would go with the first close of any descriptor.
	if f, err := os.Open(path); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	if err := p.write(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	var running *RunningError
	if _, err := lockPIDFile(path, nil); !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Errorf("locked twice: %v", err)
	}
	if err := p.remove(); err != nil {
		t.Error(err)
	}
	p, err = lockPIDFile(path, nil)
	if err != nil {
		t.Fatalf("not released: %v", err)
	}
	if err := p.remove(); err != nil {
		t.Error(err)
	}
}

func TestManyLockersOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	var all sync.WaitGroup
	var mu sync.Mutex
	held := 0
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				p, err := tryPIDFile(path, nil)
				if err != nil {
					continue // another holds it, or it moved
				}
				mu.Lock()
				if held++; held != 1 {
					t.Errorf("%d hold the lock", held)
				}
				mu.Unlock()
				if err := p.write(i + 1); err != nil { // or losers wait for a name
					t.Error(err)
				}
				mu.Lock()
				held--
				mu.Unlock()
				if err := p.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	if s := Status(path); s.Code != StatusStopped {
		t.Errorf("no file: %+v", s)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusStopped {
		t.Errorf("empty file: %+v", s)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if s := Status(link); s.Code != StatusUnknown || !strings.Contains(s.Text, link) {
		t.Errorf("link: %+v", s)
	}
	p, err := lockPIDFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusRunning || !s.Starting {
		t.Errorf("locked, not written: %+v", s)
	}
	if _, err := p.file.WriteAt([]byte("junk"), 0); err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusUnknown || !strings.Contains(s.Text, "isn't a process id") {
		t.Errorf("locked junk: %+v", s)
	}
	if err := p.file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	other := victim(t).Process.Pid
	if err := p.write(other); err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusUnknown || s.PID != 0 || !strings.Contains(s.Text, fmt.Sprintf("not by process %d", other)) {
		t.Errorf("locked by another than the file names: %+v", s)
	}
	if err := p.write(math.MaxInt32); err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusUnknown || s.PID != 0 || !strings.Contains(s.Text, "another PID namespace") {
		t.Errorf("locked, with the number of no process: %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if _, err := Stop(ctx, path); err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another PID namespace") {
		t.Errorf("stopped what isn't known: %v", err)
	}
	if err := p.write(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if s := Status(path); s.Code != StatusRunning || s.PID != os.Getpid() {
		t.Errorf("locked by the one that the file names: %+v", s)
	}
	if err := p.remove(); err != nil {
		t.Error(err)
	}
}

func TestLockedByAReaderForGood(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pid")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}); err != nil {
		t.Fatal(err)
	}
	own, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	// What can't be removed is a directory that isn't empty.
	if err := (&pidFile{path: dir, file: own}).refused(); !errors.Is(err, unix.ENOTEMPTY) || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("got %v", err)
	}
}

// Whoever can read what a killed daemon has left can lock it as well, so that
// nobody can lock it to write: that neither looks like a daemon nor keeps one
// from starting.
func TestLockedByAReader(t *testing.T) {
	h := newHelper(t)
	if err := errors.Join(os.MkdirAll(filepath.Dir(h.pidFile), 0o755), os.WriteFile(h.pidFile, []byte("1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(h.pidFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}); err != nil {
		t.Fatal(err)
	}
	if s := Status(h.pidFile); s.Code != StatusDead {
		t.Errorf("status %+v", s)
	}
	pid := h.mustStart()
	if s := Status(h.pidFile); s.Code != StatusRunning || s.PID != pid {
		t.Errorf("status %+v, want running as %d", s, pid)
	}
	h.stop()
}

func TestStopWhatDoesNotRun(t *testing.T) {
	if _, err := Stop(t.Context(), filepath.Join(t.TempDir(), "pid")); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}

func TestStopWaitsNoLongerThanAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := lockPIDFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.remove(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Stop(ctx, path); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "being started") {
		t.Errorf("a start that takes for ever: %v", err)
	}
	// A process that doesn't end by SIGTERM.
	stubborn := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
	out, err := stubborn.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stubborn.ExtraFiles = []*os.File{p.file} // only a process that holds the lock is the daemon
	stubborn.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-stubborn.Process.Pid, syscall.SIGKILL) // the group this test made
		_ = stubborn.Wait()                                      // killed, as it must be
	}()
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if err := p.write(stubborn.Process.Pid); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	pid, err := Stop(ctx, path)
	if pid != stubborn.Process.Pid || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "kill -9 "+strconv.Itoa(pid)) {
		t.Errorf("got %d, %v", pid, err)
	}
}

func TestSocketLockOfAStranger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	self := uint32(os.Getuid())
	lock, warning, err := lockSocket(path, nil)
	if err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	defer lock.Close()
	var running *RunningError
	if _, _, err := lockSocket(path, []uint32{self}); !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Errorf("held by ourselves: %v", err)
	}
	other, warning, err := lockSocket(path, []uint32{self + 1})
	if other != nil || err != nil || !strings.Contains(warning, fmt.Sprintf("process %d of user %d", os.Getpid(), self)) {
		t.Errorf("held by a stranger: %v, %q, %v", other, warning, err)
	}
	// So many ask that the kernel queues no more.
	for range backlog + 1 {
		holderOf(path)
	}
	if h, ok := holderOf(path); ok {
		t.Errorf("still told: %+v", h)
	}
	// Anybody's process can do that to keep the daemon from starting.
	if other, warning, err := lockSocket(path, []uint32{self}); other != nil || err != nil || !strings.Contains(warning, "doesn't answer") {
		t.Errorf("held by somebody: %v, %q, %v", other, warning, err)
	}
}

func TestSocketLockByPlace(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	a, err := socketAddress(filepath.Join(dir, "real", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := socketAddress(filepath.Join(link, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if a.(*unix.SockaddrUnix).Name != b.(*unix.SockaddrUnix).Name {
		t.Errorf("one place, two names: %v, %v", a, b)
	}
	// The name outlives the directory.
	if err := os.Remove(filepath.Join(dir, "real")); err != nil {
		t.Fatal(err)
	}
	c, err := socketAddress(filepath.Join(dir, "real", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if a.(*unix.SockaddrUnix).Name != c.(*unix.SockaddrUnix).Name {
		t.Errorf("one place, two names: %v, %v without the directory", a, c)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := socketAddress(filepath.Join(dir, "file", "none", "pid")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestRunningErrorText(t *testing.T) {
	for want, e := range map[string]*RunningError{
		"already running as process 7, which holds /p; stop it first":                     {"/p", 7, false},
		"being started already, by process 7, which holds /p":                             {"/p", 7, true},
		"already running: /p is locked by a process whose number can't be found out here": {"/p", 0, false},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDirectoriesAreMadeWithTheirParents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 { // the second time it is there
		if err := makeDirectories(dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%s: %v, %v", dir, info, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeDirectories(filepath.Join(file, "below"), nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v, want ENOTDIR", err)
	}
}
