package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// subreap makes the test process adopt orphans, as process 1 does.
func subreap(t *testing.T) {
	t.Helper()
	set := func(on uintptr) {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	t.Cleanup(func() { set(0) })
}

func TestReaperTakesStrangersOnly(t *testing.T) {
	subreap(t)
	r := startReaper()
	if r == nil {
		t.Fatal("no reaper for a subreaper")
	}
	defer r.stop()

	// Own children, each with its status, in a crowd of orphans.
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("(exit 99) & exit %d", i))
			if err := StartChild(cmd); err != nil {
				t.Error(err)
				return
			}
			err := WaitChild(cmd)
			var exit *exec.ExitError
			if i == 0 && err == nil {
				return
			}
			if !errors.As(err, &exit) || exit.ExitCode() != i {
				t.Errorf("child %d: %v", i, err)
			}
		})
	}
	all.Wait()

	// One that has ended and isn't waited for yet is not to be taken either.
	late := exec.Command("/bin/sh", "-c", "exit 5")
	if err := StartChild(late); err != nil {
		t.Fatal(err)
	}
	for {
		s, err := readStat(late.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if s.state == "Z" {
			break
		}
		time.Sleep(time.Millisecond)
	}
	reapStrangers()
	var exit *exec.ExitError
	if err := WaitChild(late); !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("a child that ended before it was waited for: %v", err)
	}

	cmd := exec.Command("/bin/sh", "-c", "sleep 0.05 & echo $!")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := WaitChild(cmd); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := readStat(orphan); err != nil {
			break // reaped
		}
		if time.Now().After(deadline) {
			t.Fatalf("the orphan %d is a zombie", orphan)
		}
	}
	if n := len(children.pids); n != 0 {
		t.Errorf("%d children are entered still", n)
	}
}

func TestNoReaperWithoutStrangers(t *testing.T) {
	if r := startReaper(); r != nil {
		r.stop()
		t.Error("a reaper in a process that nothing becomes a child of")
	}
}

func TestChildCannotStart(t *testing.T) {
	cmd := exec.Command("/nowhere/at-all")
	if err := StartChild(cmd); err == nil {
		t.Error("started")
	}
	if err := WaitChild(cmd); err == nil {
		t.Error("waited for")
	}
}

func TestChildEnvironmentMayBeGiven(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `test "$NOTIFY_SOCKET" = wanted`)
	cmd.Env = []string{"NOTIFY_SOCKET=wanted"}
	if err := StartChild(cmd); err != nil {
		t.Fatal(err)
	}
	if err := WaitChild(cmd); err != nil {
		t.Errorf("the environment given wasn't used: %v", err)
	}
}
