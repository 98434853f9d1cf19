package daemon

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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

func TestReceiver(t *testing.T) {
	r := receive(map[syscall.Signal]Event{syscall.SIGUSR1: "one", syscall.SIGUSR2: "two", syscall.SIGWINCH: Terminate}, true)
	defer r.stop()
	send := func(sig syscall.Signal) {
		t.Helper()
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // nobody receives: one of each is kept
		send(syscall.SIGUSR1)
	}
	send(syscall.SIGUSR2)
	send(syscall.SIGWINCH)
	select {
	case <-r.done:
	case <-time.After(10 * time.Second):
		t.Fatal("Done isn't closed while nobody reads the events")
	}
	seen := map[Event]bool{}
	for !seen["one"] || !seen["two"] || !seen[Terminate] {
		select {
		case e := <-r.events:
			seen[e] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("only %v", seen)
		}
	}
}

func TestSigset(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string
	}{
		{"0000000000000000", "none"},
		{"0000000000004001", "HUP TERM"},
		{"8000000000000000", "64"},
		{"", "none"},
	} {
		if got := (procStatus{"SigBlk": tt.text}).signals("SigBlk").String(); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
