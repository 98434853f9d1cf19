package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnlikelyStageVariables(t *testing.T) {
	f, err := (&plan{}).write()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unsealed, err := memfd("unsealed", unix.MFD_NOEXEC_SEAL)
	if err != nil {
		t.Fatal(err)
	}
	defer unsealed.Close()
	// Sealed, and yet not a plan.
	other, err := memfd("other", unix.MFD_NOEXEC_SEAL)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := fmt.Fprintf(other, `{"Files":{"Plan":%d}}`, other.Fd()); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(other.Fd(), unix.F_ADD_SEALS, planSeals); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{fmt.Sprintf("daemon:%d:1", other.Fd()), "", "daemon", "daemon:", "daemon:x:1", "daemon:3:x", "daemon:0:1", "daemon:2:1", "daemon:9999:1", "leader:9999:1",
		fmt.Sprintf("other:%d:1", f.Fd()), fmt.Sprintf("daemon:%d:1", f.Fd()), fmt.Sprintf("daemon:%d:1", unsealed.Fd())} {
		if stage, p, err := resume(value); stage != "" || p != nil || err != nil {
			t.Errorf("%q is taken for stage %q, %v", value, stage, err)
		}
	}
	// From the starter itself a plan that can't be read must not start it all over.
	for _, starter := range []int{os.Getpid(), os.Getppid()} {
		value := fmt.Sprintf("daemon:%d:%d", unsealed.Fd(), starter)
		if stage, p, err := resume(value); stage != "" || p != nil || err == nil || !strings.Contains(err.Error(), "not sealed") {
			t.Errorf("%q: stage %q, %v, %v", value, stage, p, err)
		}
	}
}

func TestPlanTravels(t *testing.T) {
	// The plan holds its own descriptor's number.
	place, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	want := &plan{Name: "x", Files: files{Plan: int(place.Fd()), Report: 4, Preserved: []int{7}},
		Signals: DefaultSignals(), Handover: bytes.Repeat([]byte("y"), 1<<20)}
	f, err := want.write()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), want.Files.Plan, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	stage, got, err := resume(fmt.Sprintf("leader:%d:1", want.Files.Plan))
	if stage != stageLeader || got == nil || err != nil {
		t.Fatalf("stage %q, plan %v, %v", stage, got, err)
	}
	a, _ := json.Marshal(want) // it was marshalled before
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) {
		t.Errorf("got %s\nwant %s", b, a)
	}
	if fds := got.Files.all(); !slices.Equal(fds, []int{want.Files.Plan, 4, 7}) {
		t.Errorf("descriptors %v", fds)
	}
}

func TestContextIsChecked(t *testing.T) {
	c := New("")
	c.ChrootDirectory, c.WorkingDirectory, c.PIDFile = "a", "b", "c"
	c.Umask = 0o1000
	c.DetachProcess, c.ReleaseExecutable = "perhaps", "perhaps"
	c.Environment = []string{"novalue"}
	c.SignalMap = map[syscall.Signal]Event{syscall.SIGKILL: Terminate}
	_, err := c.Open()
	for _, want := range []string{"name \"\"", "chroot directory \"a\"", "working directory \"b\"", "pidfile \"c\"", "umask 01000",
		"detach \"perhaps\"", "release of the executable \"perhaps\"", "environment \"novalue\"", "signal killed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestPlanWithoutMemory(t *testing.T) {
	kept := unnamedDirectories
	defer func() { unnamedDirectories = kept }()
	named := filepath.Join(t.TempDir(), "plan")
	unnamedDirectories = []string{filepath.Dir(named)}
	f, err := writeUnnamed([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &st), checkUnchangeable(int(f.Fd()), &st)); err != nil {
		t.Error(err)
	}
	// With a name it could be opened by others, and changed.
	g, err := os.Create(named)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := errors.Join(unix.Fstat(int(g.Fd()), &st), checkUnchangeable(int(g.Fd()), &st)); err == nil || !strings.Contains(err.Error(), "without a name") {
		t.Errorf("a file with a name: %v", err)
	}
	unnamedDirectories = []string{"/proc", named}
	if _, err := writeUnnamed(nil); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("nowhere: %v", err)
	}
}
