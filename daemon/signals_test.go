package daemon

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
	case <-time.After(patience):
		t.Fatal("Done isn't closed while nobody reads the events")
	}
	seen := map[Event]bool{}
	for !seen["one"] || !seen["two"] || !seen[Terminate] {
		select {
		case e := <-r.events:
			seen[e] = true
		case <-time.After(patience):
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

// The kernel itself ends the process by these signals, and no handler that an
// execution could interrupt.
func TestDefaultActions(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	check := func(when string, caught bool) {
		t.Helper()
		status, err := readStatus("/proc/thread-self/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM} {
			if status.signals("SigCgt").has(sig) != caught || status.signals("SigIgn").has(sig) {
				t.Errorf("%s: %v is caught: %t, want %t", when, sig, !caught, caught)
			}
		}
	}
	check("before", true)
	restore := defaultActions(syscall.SIGQUIT, syscall.SIGTERM)
	check("meanwhile", false)
	restore()
	check("afterwards", true)
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	defer defaultActions(syscall.SIGHUP)()
	if status, err := readStatus("/proc/thread-self/status"); err != nil || !status.signals("SigIgn").has(syscall.SIGHUP) {
		t.Errorf("what is ignored doesn't stay so: %v", err)
	}
}
