package daemon

import (
	"os"
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
