//go:build amd64 || arm64

package main

import (
	"bufio"
	bits "encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleVariable makes this test binary a process that waits for SIGINT.
const idleVariable = "DORMOUSE_TEST_IDLE"

func init() {
	if os.Getenv(idleVariable) == "" {
		return
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	fmt.Println("waiting")
	<-interrupted
	os.Exit(0)
}

// TestMonitorThread asserts what the release build's change of a variable of
// the runtime does: the monitor thread of a sleeping process isn't woken each
// minute. It is the only one that waits with a time-out; what that is, the
// kernel tells: proc_pid_syscall(5).
//
// The daemon itself forbids others to look into it, unless they have
// CAP_SYS_PTRACE. So this package's test binaries wait in its place: the runtime
// and the file that sets its variable are the same.
func TestMonitorThread(t *testing.T) {
	release := filepath.Join(t.TempDir(), "release.test")
	build := exec.Command("go", "test", "-c", "-tags=release", "-ldflags=-checklinkname=0", "-o", release, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a release: %v\n%s", err, out)
	}
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		binary      string
		least, most time.Duration
	}{
		{os.Args[0], time.Second, time.Minute},
		{release, 10 * year, 100 * year},
	} {
		p := newPlace(t)
		cmd := exec.Command(tt.binary)
		cmd.Env = append(os.Environ(), idleVariable+"=1", "GOMAXPROCS=1")
		said, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // has ended, where the test passed
			_ = cmd.Wait()
		})
		// From then on an interrupt ends it without an error.
		if line, err := bufio.NewReader(said).ReadString('\n'); err != nil {
			t.Fatalf("%s said %q: %v", tt.binary, line, err)
		}
		p.eventually(func() error {
			got, err := longestFutex(cmd.Process.Pid)
			if err == nil && (got < tt.least || got > tt.most) {
				err = fmt.Errorf("%s: the longest wait is %v, want %v to %v", tt.binary, got, tt.least, tt.most)
			}
			return err
		})
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// longestFutex is the longest time-out with which a thread of the process waits
// on a futex; 0: none has any.
func longestFutex(pid int) (longest time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil {
		return 0, err
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer memory.Close()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		words := strings.Fields(string(text))
		if words[0] != strconv.Itoa(unix.SYS_FUTEX) {
			continue // running, or waiting for something else
		}
		timeout, err := strconv.ParseInt(words[4], 0, 64)
		if err != nil {
			return 0, err
		}
		if timeout == 0 {
			continue
		}
		var spec [2]int64
		if err := bits.Read(io.NewSectionReader(memory, timeout, 16), bits.NativeEndian, &spec); err != nil {
			return 0, err
		}
		longest = max(longest, time.Duration(spec[0])*time.Second)
	}
	return longest, nil
}
