package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// victim is a process that has nothing to do with any daemon.
func victim(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("it was ended: %v", err)
		}
		_ = cmd.Wait() // killed, as it must be
	})
	return cmd
}

// alive fails the test where the process has got a signal that ends it.
func alive(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if s, err := readStat(cmd.Process.Pid); err != nil || s.state == "Z" {
		t.Errorf("process %d was ended: %+v, %v", cmd.Process.Pid, s, err)
	}
}

// overwrite does what the daemon's user can: write another number into the file
// whose lock the daemon holds.
func (h *helper) overwrite(pid int) {
	h.t.Helper()
	if err := os.WriteFile(h.pidFile, fmt.Appendln(nil, pid), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func TestStopEndsTheHolderWhateverTheFileSays(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	other := victim(t)
	h.overwrite(other.Process.Pid)
	if s := Status(h.pidFile); s.PID != pid || !strings.Contains(s.Text, fmt.Sprintf("names process %d", other.Process.Pid)) {
		t.Errorf("status %+v, want process %d, and what the file says", s, pid)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := Stop(ctx, h.pidFile); got != pid || err != nil {
		t.Errorf("stopped %d, %v, want %d", got, err, pid)
	}
	alive(t, other)
}

// suspend stops every thread of the process.
func suspend(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	running := func(file string) bool {
		status, err := readStatus(file)
		return err == nil && !strings.HasPrefix(status["State"], "T")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, running) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d isn't stopped", pid)
		}
	}
}

// A stopped daemon answers nobody, and the kernel queues only so many who ask.
func TestStopWhereTheHolderIsNotTold(t *testing.T) {
	h := newHelper(t)
	h.plan.PreventCore = false // or only root could look at its descriptors
	pid := h.mustStart()
	suspend(t, pid)
	address, err := socketAddress(h.pidFile)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		err = unix.Connect(fd, address)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	if s := Status(h.pidFile); s.Code != StatusRunning || s.PID != pid {
		t.Errorf("status %+v, want process %d", s, pid)
	}
	other := victim(t)
	h.overwrite(other.Process.Pid)
	if s := Status(h.pidFile); s.Code != StatusUnknown || s.PID != 0 {
		t.Errorf("status %+v, want that the process isn't known", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := Stop(ctx, h.pidFile); !errors.Is(err, errForeign) || !strings.Contains(err.Error(), fmt.Sprintf("not by process %d", other.Process.Pid)) {
		t.Errorf("got %v, want that the process doesn't hold the file", err)
	}
	alive(t, other)
	h.overwrite(pid)
	if got, err := Stop(ctx, h.pidFile); got != pid || err != nil {
		t.Errorf("stopped %d, %v, want %d", got, err, pid)
	}
}

func TestManyAskForTheHolder(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	h.overwrite(victim(t).Process.Pid)
	for i := range 3 * backlog {
		// Whoever asks waits a second for a turn, which a stalled machine takes longer
		// to give.
		s := Status(h.pidFile)
		for end := time.Now().Add(patience); s.PID != pid && time.Now().Before(end); {
			s = Status(h.pidFile)
		}
		if s.PID != pid {
			t.Fatalf("status %d: %+v, want process %d", i, s, pid)
		}
	}
}

// The number of a process that held the name may be another's by now, or the
// process may have become another user's.
func TestProcessOfAnotherUser(t *testing.T) {
	h, err := openProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	own := uint32(os.Getuid())
	if err := h.belongsTo(own); err != nil {
		t.Error(err)
	}
	if err := h.belongsTo(own + 1); !errors.Is(err, errForeign) {
		t.Errorf("got %v", err)
	}
	h.pid = 1 << 30
	if err := h.belongsTo(own); !errors.Is(err, unix.ESRCH) {
		t.Errorf("no such process: %v", err)
	}
}

func TestPlacesOthersCanChangeAreRefused(t *testing.T) {
	h := newHelper(t)
	if err := os.Mkdir(filepath.Dir(h.pidFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(h.pidFile), 0o777); err != nil {
		t.Fatal(err)
	}
	if out, code := h.start(); code != 1 || !strings.Contains(out, "chmod go-w "+filepath.Dir(h.pidFile)) {
		t.Errorf("start: exit status %d, output %q", code, out)
	}
	s := Status(h.pidFile)
	if s.Code != StatusUnknown || !strings.Contains(s.Text, "chmod go-w") {
		t.Errorf("status %+v", s)
	}
	var place *FieldError
	if _, err := Stop(t.Context(), h.pidFile); !errors.As(err, &place) {
		t.Errorf("stop: %v", err)
	}
	if err := os.Chmod(filepath.Dir(h.pidFile), 0o755); err != nil { // for the clean-up
		t.Fatal(err)
	}
}
