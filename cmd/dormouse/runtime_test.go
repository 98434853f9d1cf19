//go:build amd64 || arm64

package main

import (
	bits "encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMonitorThread asserts what the release build's change of a variable of
// the runtime does: the monitor thread of a sleeping process isn't woken each
// minute. It is the only one that waits with a time-out; what that is, the
// kernel tells: proc_pid_syscall(5).
func TestMonitorThread(t *testing.T) {
	release := filepath.Join(t.TempDir(), "dormouse")
	build := exec.Command("go", "build", "-tags=release", "-ldflags=-checklinkname=0", "-o", release, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a release: %v\n%s", err, out)
	}
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		binary      string
		least, most time.Duration
	}{
		{binary, time.Second, time.Minute},
		{release, 10 * year, 100 * year},
	} {
		p := newPlace(t)
		cmd := p.command("run", "--no-web", "--board=sim", "--every=24h", "--sensor=t=tmp102,addr=0x48")
		cmd.Path = tt.binary
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
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
