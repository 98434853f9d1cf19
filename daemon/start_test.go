package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSecondStartIsRefused(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	out, code := h.start()
	if code != 1 || !strings.Contains(out, fmt.Sprintf("already running as process %d, which holds %s", pid, h.pidFile)) {
		t.Errorf("exit status %d, output %q", code, out)
	}
	if s := Status(h.pidFile); s.Code != StatusRunning || s.PID != pid {
		t.Errorf("the refused start disturbed the daemon: %+v", s)
	}
}

func TestPIDFileRemovedByHand(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	for _, replace := range []bool{false, true} {
		if err := os.Remove(h.pidFile); err != nil {
			t.Fatal(err)
		}
		if replace {
			if err := os.WriteFile(h.pidFile, []byte("1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if s := Status(h.pidFile); s.Code != StatusRunning || s.PID != pid {
			t.Errorf("status %+v, want running as %d", s, pid)
		}
		out, code := h.start()
		if code != 1 || !strings.Contains(out, fmt.Sprintf("already running as process %d", pid)) {
			t.Errorf("exit status %d, output %q", code, out)
		}
		// The refused start tidied up its own file; make the next round the same.
		if err := os.WriteFile(h.pidFile, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.stop()
	if s := Status(h.pidFile); s.Running() {
		t.Errorf("status %+v after stop", s)
	}
}

// Its directory may be removed as well, and those above, and be made anew by a
// second start.
func TestPIDFileDirectoryRemovedByHand(t *testing.T) {
	h := newHelper(t)
	h.pidFile = filepath.Join(h.dir, "run", "helper", "helper.pid")
	h.plan.PIDFile = h.pidFile
	if err := os.MkdirAll(filepath.Dir(h.pidFile), 0o755); err != nil {
		t.Fatal(err)
	}
	pid := h.mustStart()
	for _, dir := range []string{filepath.Dir(h.pidFile), filepath.Join(h.dir, "run")} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if s := Status(h.pidFile); s.Code != StatusRunning || s.PID != pid || !strings.Contains(s.Text, "was removed") {
			t.Errorf("without %s: status %+v, want running as %d", dir, s, pid)
		}
	}
	if err := os.MkdirAll(filepath.Dir(h.pidFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, code := h.start(); code != 1 || !strings.Contains(out, fmt.Sprintf("already running as process %d", pid)) {
		t.Errorf("a second start: exit status %d, output %q", code, out)
	}
	if err := os.RemoveAll(filepath.Join(h.dir, "run")); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if s := Status(h.pidFile); s.Code != StatusStopped {
		t.Errorf("status %+v after stop", s)
	}
}

func TestFiveStartsAtOnce(t *testing.T) {
	h := newHelper(t)
	type result struct {
		out  string
		code int
	}
	results := make([]result, 5)
	var cmds []*exec.Cmd
	for range results {
		cmds = append(cmds, h.command())
	}
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			out, _ := cmds[i].CombinedOutput()
			results[i] = result{string(out), cmds[i].ProcessState.ExitCode()}
		})
	}
	all.Wait()
	winners := 0
	for _, r := range results {
		switch {
		case r.code == 0:
			winners++
		case !strings.Contains(r.out, "already running as process ") && !strings.Contains(r.out, "being started already, by process "):
			t.Errorf("a loser says %q", r.out)
		}
	}
	if winners != 1 {
		t.Errorf("%d starts won, want 1: %+v", winners, results)
	}
	if s := Status(h.pidFile); !s.Running() || s.PID == 0 {
		t.Errorf("status %+v", s)
	}
}

func TestStaleAndReusedPID(t *testing.T) {
	for name, content := range map[string]string{
		"dead":      "4194303\n",                  // no such process
		"reused":    fmt.Sprintln(os.Getpid()),    // alive, and not the daemon
		"junk":      "not a number\n",             // half written
		"long junk": strings.Repeat("12345\n", 9), // longer than any pid: must be cut off
	} {
		t.Run(name, func(t *testing.T) {
			h := newHelper(t)
			if err := os.Mkdir(filepath.Dir(h.pidFile), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(h.pidFile, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if s := Status(h.pidFile); s.Code != StatusDead {
				t.Errorf("status %+v, want dead", s)
			}
			if _, err := Signal(t.Context(), h.pidFile, syscall.SIGTERM); !errors.Is(err, ErrNotRunning) {
				t.Errorf("Signal: %v, want ErrNotRunning", err)
			}
			pid := h.mustStart()
			if got, err := os.ReadFile(h.pidFile); err != nil || string(got) != fmt.Sprintln(pid) {
				t.Errorf("the pidfile holds %q, %v", got, err)
			}
		})
	}
}

func TestKilledThenStarted(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	handle, err := openProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.close()
	if err := handle.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := handle.wait(ctx); err != nil {
		t.Fatal(err)
	}
	if s := Status(h.pidFile); s.Code != StatusDead || s.PID != pid {
		t.Errorf("status %+v, want dead", s)
	}
	h.mustStart()
}

func TestPIDFileOfAnotherKind(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		make func(path string) error
		want string
	}{
		"symbolic link": {func(p string) error { return os.Symlink(victim, p) }, "is a symbolic link"},
		"dangling link": {func(p string) error { return os.Symlink(victim+"x", p) }, "is a symbolic link"},
		"hard link":     {func(p string) error { return os.Link(victim, p) }, "is a hard link, the same file has 2 names"},
		"FIFO":          {func(p string) error { return unix.Mkfifo(p, 0o600) }, "isn't a regular file"},
		"directory":     {func(p string) error { return os.Mkdir(p, 0o700) }, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHelper(t)
			h.plan.PIDFile = filepath.Join(h.dir, "pid")
			if err := tt.make(h.plan.PIDFile); err != nil {
				t.Fatal(err)
			}
			out, code := h.start()
			if code != 1 || !strings.Contains(out, tt.want) || !strings.Contains(out, h.plan.PIDFile) {
				t.Errorf("exit status %d, output %q, want %q", code, out, tt.want)
			}
			if _, err := os.Lstat(h.plan.PIDFile); err != nil {
				t.Errorf("it was removed: %v", err)
			}
		})
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "precious" {
		t.Errorf("the file linked to was written: %q, %v", got, err)
	}
}

func TestPIDFileWithoutDirectory(t *testing.T) {
	h := newHelper(t)
	h.plan.PIDFile = filepath.Join(h.dir, "a", "b", "pid")
	out, code := h.start()
	if code != 1 || !strings.Contains(out, "no such file or directory") {
		t.Errorf("exit status %d, output %q", code, out)
	}
}

func TestBurstOfSignals(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	for i := range 1000 {
		if err := syscall.Kill(pid, []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGTSTP, syscall.SIGTTIN}[i%4]); err != nil {
			t.Fatal(err)
		}
	}
	h.await("event reload")
	if s := Status(h.pidFile); s.PID != pid {
		t.Fatalf("status %+v", s)
	}
	h.stop()
	log, err := os.ReadFile(h.log)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "event terminate"); n != 1 {
		t.Errorf("%d terminations in\n%s", n, log)
	}
}

func TestStopOfAStoppedDaemon(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.stop()
	if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
		t.Errorf("the pidfile is left: %v", err)
	}
}

func TestTerminateWhileStarting(t *testing.T) {
	h := newHelper(t)
	h.plan.Mode = "hang"
	cmd := h.command()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h.await("waiting")
	s := Status(h.pidFile)
	if !s.Starting || s.PID == 0 || s.PID == cmd.Process.Pid {
		t.Fatalf("status %+v; the starter is %d", s, cmd.Process.Pid)
	}
	if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "ended before it was ready") {
		t.Errorf("%v: %s", err, out.String())
	}
	if s := Status(h.pidFile); s.Code != StatusStopped {
		t.Errorf("status %+v", s)
	}
}

func TestReadStat(t *testing.T) {
	s, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s.parent != os.Getppid() || s.group != syscall.Getpgrp() {
		t.Errorf("got %+v", s)
	}
	if _, err := readStat(1 << 30); !os.IsNotExist(err) {
		t.Errorf("no such process: %v", err)
	}
}

func TestStartIsReady(t *testing.T) {
	h := newHelper(t)
	h.plan.Handover = []byte("read early")
	out, code := h.start()
	pid := h.ready(out, code)
	if !strings.Contains(out, "warning: a warning from the daemon") {
		t.Errorf("the daemon's warning didn't reach the terminal:\n%s", out)
	}
	if got, err := os.ReadFile(h.pidFile); err != nil || strings.TrimSpace(string(got)) != strconv.Itoa(pid) {
		t.Errorf("pidfile holds %q (%v), want %d", got, err, pid)
	}
	d := h.describe()
	if d.Handover != "read early" {
		t.Errorf("handed over %q", d.Handover)
	}
	h.meets(d.Inspection)
	h.stop()
	if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
		t.Errorf("the pidfile is left: %v", err)
	}
}
