package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The tests run the real binary, which the daemon's three runs need.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "dormouse")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "dormouse")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// A place is a directory of one test's own, for its files and its daemon.
type place struct {
	testing.TB
	dir string
}

func newPlace(t testing.TB) *place { return &place{t, t.TempDir()} }

func (p *place) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p *place) read(name string) string {
	p.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.Fatal(err)
	}
	return string(data)
}

func (p *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "XDG_RUNTIME_DIR=" + filepath.Join(p.dir, "run"),
		"RUNTIME_DIRECTORY=" + filepath.Join(p.dir, "run"), "STATE_DIRECTORY=" + filepath.Join(p.dir, "state")}
	return cmd
}

// run runs the binary to its end.
func (p *place) run(args ...string) (stdout, stderr string, code int) {
	p.Helper()
	cmd := p.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is run where nothing but success will do.
func (p *place) must(args ...string) string {
	p.Helper()
	stdout, stderr, code := p.run(args...)
	if code != 0 {
		p.Fatalf("dormouse %q: exit status %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// eventually waits until f has no more to complain of, and fails the test with
// its last complaint after minutes, which only a hang takes.
func (p *place) eventually(f func() error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			p.Fatal(err)
		case <-tick.C:
		}
	}
}
