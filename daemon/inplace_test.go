package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
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

// stay starts a command that doesn't detach, and waits until it is ready.
func (h *helper) stay(cmd *exec.Cmd) *exec.Cmd {
	h.t.Helper()
	log, err := OpenLog(h.log)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // a failed test's
			_ = cmd.Wait()
		}
		if err := log.Close(); err != nil {
			h.t.Error(err)
		}
	})
	h.await("ready")
	return cmd
}

func (h *helper) finish(cmd *exec.Cmd) {
	h.t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		h.t.Errorf("SIGTERM: %v, want exit status 0", err)
	}
}

func TestForegroundIsClean(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	h.plan.PIDFile = ""
	h.plan.Environment = []string{"GOMAXPROCS=1"}
	h.plan.Handover = []byte("read early")
	cmd := h.stay(h.hostile())
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil { // blocked before
		t.Fatal(err)
	}
	d := h.parse(h.await("description "))
	if d.Inspection.PID != cmd.Process.Pid {
		t.Errorf("it is process %d now, and was %d", d.Inspection.PID, cmd.Process.Pid)
	}
	h.meets(d.Inspection, "session") // it stays in the test's
	for _, p := range d.Inspection.Points {
		for _, line := range p.Evidence {
			if strings.Contains(line, "junk") {
				t.Errorf("%s: %s", p.Name, line)
			}
		}
	}
	if !slices.Contains(d.Environment, "GOMAXPROCS=1") || !slices.Contains(d.Environment, "DISPLAY=:0") {
		t.Errorf("the supervisor's environment isn't kept, or ours not set: %.300q", d.Environment)
	}
	if d.Handover != "read early" {
		t.Errorf("handed over %q", d.Handover)
	}
	child := d.child(t)
	if ign, blk := child.signals("SigIgn"), child.signals("SigBlk"); ign != 0 || blk != 0 || d.ChildExit != 7 {
		t.Errorf("a child has ignored %v, blocked %v, exit status %d", ign, blk, d.ChildExit)
	}
	h.finish(cmd)
}

func TestForegroundWithPIDFile(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	for _, release := range []Release{ReleaseNever, ReleaseAlways} {
		h.plan.ReleaseExecutable = release
		if err := os.RemoveAll(h.log); err != nil {
			t.Fatal(err)
		}
		cmd := h.stay(h.command())
		if s := Status(h.pidFile); s.PID != cmd.Process.Pid || s.Code != StatusRunning {
			t.Errorf("status %+v, want process %d", s, cmd.Process.Pid)
		}
		out, code := h.start()
		if code != 1 || !strings.Contains(out, fmt.Sprintf("already running as process %d", cmd.Process.Pid)) {
			t.Errorf("a second one: exit status %d, output %q", code, out)
		}
		if d := h.describe(); (d.Copied == "memory") != (release == ReleaseAlways) {
			t.Errorf("release %s: copied to %q", release, d.Copied)
		}
		h.finish(cmd)
		if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
			t.Errorf("the pidfile is left: %v", err)
		}
	}
}

// Dirty signals alone are reason enough to execute the program again.
func TestForegroundCleansSignals(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	h.plan.NoNewPrivileges = false
	cmd := h.stay(h.hostile())
	child := h.describe().child(t)
	if ign, blk := child.signals("SigIgn"), child.signals("SigBlk"); ign != 0 || blk != 0 {
		t.Errorf("a child has ignored %v, blocked %v", ign, blk)
	}
	h.finish(cmd)
}

// Without anything to change there is no second execution.
func TestForegroundCleanAlready(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	h.plan.NoNewPrivileges = false
	cmd := h.stay(h.command())
	if s := Status(h.pidFile); s.PID != cmd.Process.Pid {
		t.Errorf("status %+v, want process %d", s, cmd.Process.Pid)
	}
	if d := h.describe(); d.Situation == "" {
		t.Error("no situation")
	}
	h.finish(cmd)
}

func TestForegroundFails(t *testing.T) {
	for mode, want := range map[string]int{"fail": 6, "exit": 23} {
		h := newHelper(t)
		h.plan.DetachProcess = DetachNever
		h.plan.Mode = mode
		if out, code := h.start(); code != want {
			t.Errorf("%s: exit status %d, want %d; output %q", mode, code, want, out)
		}
		if s := Status(h.pidFile); s.Running() {
			t.Errorf("%s: status %+v", mode, s)
		}
	}
}

// supervisor listens as systemd does.
func supervisor(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn, socket
}

func received(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSupervisorIsNotified(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachAuto // finds the supervisor
	conn, socket := supervisor(t)
	cmd := h.command()
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=2000000")
	h.stay(cmd)
	if got := received(t, conn); got != "READY=1\nSTATUS=serving" {
		t.Errorf("received %q", got)
	}
	if s := Status(h.pidFile); s.PID != cmd.Process.Pid {
		t.Errorf("it detached under its supervisor: %+v", s)
	}
	d := h.describe()
	if d.Situation != Systemd {
		t.Errorf("situation %q", d.Situation)
	}
	if strings.Contains("\n"+d.ChildEnvironment, "\nNOTIFY_SOCKET") || strings.Contains("\n"+d.ChildEnvironment, "\nWATCHDOG") {
		t.Errorf("a child could speak to the supervisor:\n%s", d.ChildEnvironment)
	}
	h.signal(syscall.SIGHUP)
	if got := received(t, conn); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("received %q", got)
	}
	if got := received(t, conn); got != "READY=1\nSTATUS=reloaded  twice" {
		t.Errorf("received %q", got)
	}
	if got := received(t, conn); got != "WATCHDOG=1" {
		t.Errorf("received %q", got)
	}
	h.finish(cmd)
	if got := received(t, conn); got != "STOPPING=1" {
		t.Errorf("received %q", got)
	}
	if log, err := os.ReadFile(h.log); err != nil || !strings.Contains(string(log), "watchdog 2s") {
		t.Errorf("the watchdog's interval isn't 2s: %v\n%.500s", err, log)
	}
}

func TestSocketsFromSupervisor(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachAuto
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := h.command()
	// LISTEN_PID must be the process's own, which a shell that execs knows.
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{f}
	// A supervisor that is gone is no reason not to start, nor is what it asked for.
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(h.dir, "nobody"), "WATCHDOG_USEC=junk")
	h.stay(cmd)
	if got := h.await("listening on "); got != l.Addr().String() {
		t.Errorf("listening on %s, want %s", got, l.Addr())
	}
	if got := h.await("warning NOTIFY_SOCKET: "); !strings.Contains(got, "the supervisor won't learn") {
		t.Errorf("warned of %q", got)
	}
	h.finish(cmd)
}

// A socket pair as standard input, as Node.js gives, is no superserver's.
func TestSocketPairAsStandardInput(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachAuto
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	given, kept := os.NewFile(uintptr(pair[0]), "given"), os.NewFile(uintptr(pair[1]), "kept")
	defer given.Close()
	defer kept.Close()
	cmd := h.command()
	cmd.Stdin = given
	h.ready(h.runCommand(cmd))
	if d := h.describe(); d.Situation != Shell {
		t.Errorf("situation %q", d.Situation)
	}
}

func TestSuperserver(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachAuto
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := h.command()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdin = f
	h.stay(cmd)
	if got := h.await("listening on "); got != l.Addr().String() {
		t.Errorf("listening on %s, want %s", got, l.Addr())
	}
	if d := h.describe(); d.Situation != Superserver {
		t.Errorf("situation %q", d.Situation)
	}
	h.finish(cmd)
}

// A dead standard error must not end the daemon.
func TestBrokenPipe(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	cmd := h.command()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	for !strings.Contains(seen.String(), "ready") {
		if _, err := io.CopyN(&seen, r, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil { // logged, into the broken pipe
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := Stop(ctx, h.pidFile); err != nil {
		t.Errorf("it didn't live on: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended by %v, want exit status 0", err)
	}
}

// A program in the foreground ends with its terminal, though SIGHUP from
// somebody makes it reload.
func TestForegroundTerminalHangsUp(t *testing.T) {
	h := newHelper(t)
	h.plan.DetachProcess = DetachNever
	master, slave := pty(t)
	cmd := h.command()
	cmd.Stdin, cmd.Stdout = slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	h.stay(cmd)
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	h.signal(syscall.SIGHUP)
	h.await("event reload")
	if err := master.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v, want exit status 0", err)
	}
	h.await("event terminate")
}
