//go:build system

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// must stops a test at an error of something that isn't its subject.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually repeats ask until it returns nil. Package kit's, which rests on this
// one, does the same.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	for end := time.Now().Add(callPatience); ; time.Sleep(20 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still after %s: %v", callPatience, err)
		}
	}
}

func TestCommandsAndFiles(t *testing.T) {
	pushed := filepath.Join(t.TempDir(), "tool")
	must(t, os.WriteFile(pushed, []byte("#!/bin/sh\necho from $0\n"), 0o755))
	start := time.Now()
	m := Start(t, Options{Files: map[string]string{"usr/local/bin/early": pushed}})
	t.Logf("kernel %s served %s after its start, %s on the host", m.Release, m.BootTime, time.Since(start))
	ctx := t.Context()

	t.Run("exit status and output", func(t *testing.T) {
		e, err := m.Exec(ctx, "sh", "-c", "echo out; echo err >&2; exit 3")
		if err != nil || e.Status != 3 || string(e.Stdout) != "out\n" || string(e.Stderr) != "err\n" {
			t.Errorf("%+v, %v", e, err)
		}
	})
	t.Run("stdin, environment, directory, user", func(t *testing.T) {
		p, err := m.Start(ctx, Command{
			Argv: []string{"/bin/sh", "-c", "cat; echo $X; pwd; id -u; id -G"}, Env: []string{"X=y", "PATH=/bin"},
			Dir: "/tmp", UID: 990, GID: 990, Groups: []uint32{991, 992},
		}, []byte("in\n"))
		must(t, err)
		e, err := p.Wait(ctx)
		if err != nil || string(e.Stdout) != "in\ny\n/tmp\n990\n990 991 992\n" {
			t.Errorf("%+v, %v: %s", e, err, e.Stdout)
		}
		if _, err := p.Wait(ctx); err == nil {
			t.Error("a process was waited for twice")
		}
	})
	t.Run("no stdin", func(t *testing.T) {
		e, err := m.Exec(ctx, "readlink", "/proc/self/fd/0")
		if err != nil || string(e.Stdout) != "/dev/null\n" {
			t.Errorf("%+v, %v: %s", e, err, e.Stdout)
		}
	})
	t.Run("signals", func(t *testing.T) {
		p, err := m.Start(ctx, Command{Argv: []string{"sleep", "1000"}}, nil)
		must(t, err)
		must(t, p.Kill(ctx, syscall.SIGTERM))
		if e, err := p.Wait(ctx); err != nil || e.Signal != syscall.SIGTERM || e.Status != -1 {
			t.Errorf("%+v, %v", e, err)
		}
		if err := m.Kill(ctx, p.PID, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("killing the dead: %v", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		p, err := m.Start(ctx, Command{Argv: []string{"sh", "-c", "echo begun; : >/tmp/begun; sleep 1000"}}, nil)
		must(t, err)
		eventually(t, func() error {
			_, err := m.ReadFile(ctx, "/tmp/begun")
			return err
		})
		e, err := p.wait(ctx, time.Millisecond)
		if !errors.Is(err, context.DeadlineExceeded) || string(e.Stdout) != "begun\n" {
			t.Errorf("%+v, %v", e, err)
		}
	})
	t.Run("a daemon doesn't hold its starter", func(t *testing.T) {
		e, err := m.Exec(ctx, "sh", "-c", "sleep 1000 & echo $!")
		if err != nil || len(e.Stdout) == 0 {
			t.Fatalf("%+v, %v", e, err)
		}
		if _, err := m.Exec(ctx, "kill", strings.TrimSpace(string(e.Stdout))); err != nil {
			t.Error(err)
		}
	})
	t.Run("orphans are reaped", func(t *testing.T) {
		_, err := m.Exec(ctx, "sh", "-c", "(sleep 0.1 &) ; sleep 0.3")
		must(t, err)
		eventually(t, func() error {
			e, err := m.Exec(ctx, "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status")
			if err != nil || e.Status != 1 {
				return fmt.Errorf("zombies: %s, %v", e.Stdout, err)
			}
			return nil
		})
	})
	t.Run("files", func(t *testing.T) {
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		must(t, m.Mkdir(ctx, "/tmp/d/e", 0o700))
		start := time.Now()
		must(t, m.WriteFile(ctx, "/tmp/d/e/big", big, 0o640))
		t.Logf("16 MB in %s", time.Since(start))
		got, err := m.ReadFile(ctx, "/tmp/d/e/big")
		if err != nil || !bytes.Equal(got, big) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		must(t, m.PushFile(ctx, pushed, "/tmp/d/tool"))
		for argv, want := range map[string]string{"/tmp/d/tool": "from /tmp/d/tool\n", "early": "from /usr/local/bin/early\n"} {
			if e, err := m.Exec(ctx, argv); err != nil || string(e.Stdout) != want {
				t.Errorf("%s: %+v, %v", argv, e, err)
			}
		}
		entries, err := m.List(ctx, "/tmp/d")
		if err != nil || len(entries) != 2 || entries[1].Name != "tool" || fs.FileMode(entries[1].Mode) != 0o755 {
			t.Errorf("%+v, %v", entries, err)
		}
		must(t, m.Remove(ctx, "/tmp/d"))
		if _, err := m.ReadFile(ctx, "/tmp/d/tool"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after its removal: %v", err)
		}
		if err := m.WriteFile(ctx, "/sys/nothing", nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a wrong name in sysfs: %v", err)
		}
	})
	t.Run("processes", func(t *testing.T) {
		p, err := m.Start(ctx, Command{Argv: []string{"sh", "-c", "exec 7</etc/hosts; cd /run; while :; do sleep 0.05; done"}}, nil)
		must(t, err)
		from, err := m.Clocks(ctx)
		must(t, err)
		before, err := m.Inspect(ctx, p.PID)
		must(t, err)
		var after ProcessInfo
		eventually(t, func() (err error) {
			if after, err = m.Inspect(ctx, p.PID); err == nil && after.Voluntary-before.Voluntary < 20 {
				err = fmt.Errorf("a loop of naps has woken %d times", after.Voluntary-before.Voluntary)
			}
			return err
		})
		to, err := m.Clocks(ctx)
		must(t, err)
		if after.Name != "sh" || after.Threads != 1 || after.Files[7] != "/etc/hosts" || after.Cwd != "/run" || after.Exe != "/bin/busybox" {
			t.Errorf("%+v", after)
		}
		// A nap lasts 50 ms at least, and the shell and its naps sleep thrice in one.
		if n, most := after.Voluntary-before.Voluntary, 3*((to.Monotonic-from.Monotonic)/(50*time.Millisecond)+2); n > int64(most) {
			t.Errorf("a loop of naps woke %d times, want %d at most", n, most)
		}
		must(t, p.Kill(ctx, syscall.SIGKILL))
		if _, err := p.Wait(ctx); err != nil {
			t.Error(err)
		}
		if _, err := m.Inspect(ctx, p.PID); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("inspecting the dead: %v", err)
		}
	})
	t.Run("HTTP from the host", func(t *testing.T) {
		must(t, m.WriteFile(ctx, "/tmp/index.html", []byte("hello\n"), 0o644))
		_, err := m.Exec(ctx, "httpd", "-p", "127.0.0.1:9367", "-h", "/tmp")
		must(t, err)
		proxy := httptest.NewServer(&httputil.ReverseProxy{
			Transport: m.Transport(""),
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:9367"})
			},
		})
		defer proxy.Close()
		r, err := http.Get(proxy.URL + "/index.html")
		must(t, err)
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK || string(body) != "hello\n" {
			t.Errorf("%s %q %v", r.Status, body, err)
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:1/", nil)
		must(t, err)
		if _, err := m.Transport("").RoundTrip(q); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
	})
	t.Run("kernel", func(t *testing.T) {
		log, err := m.KernelLog(ctx)
		if err != nil || !strings.Contains(log, "] Linux version 6.1.") {
			t.Errorf("%v: %s", err, tail(log, 500))
		}
		c, err := m.Clocks(ctx)
		if err != nil || c.Boottime < m.BootTime || c.Boottime < c.Monotonic {
			t.Errorf("%+v, %v", c, err)
		}
		if !strings.HasSuffix(m.Release, "-amd64") || m.BootTime <= 0 {
			t.Errorf("release %q, boot time %s", m.Release, m.BootTime)
		}
		if err := m.Modprobe(ctx, "no-such", ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a module that isn't there: %v", err)
		}
	})
}

func TestAMachineThatEndsFailsItsCallers(t *testing.T) {
	m, err := Boot(t.Context(), Options{Memory: 128})
	must(t, err)
	p, err := m.Start(t.Context(), Command{Argv: []string{"sleep", "1000"}}, nil)
	must(t, err)
	waited := make(chan error, 1)
	go func() {
		_, err := p.Wait(t.Context())
		waited <- err
	}()
	if _, err := m.Exec(t.Context(), "poweroff", "-f"); err == nil || !strings.Contains(err.Error(), "the machine has ended") {
		t.Errorf("the command that ended it: %v", err)
	}
	if err := <-waited; err == nil || !strings.Contains(err.Error(), "the machine has ended") {
		t.Errorf("the one that waited: %v", err)
	}
	if _, err := m.Clocks(t.Context()); err == nil {
		t.Error("a machine that ended tells the time")
	}
	must(t, m.Close())
	if _, err := os.Stat(m.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the initramfs is still there: %v", err)
	}
}

func TestABootThatFailsSaysWhatTheConsoleSaid(t *testing.T) {
	_, err := Boot(t.Context(), Options{Append: "rdinit=/nothing panic_on_oops=1"})
	if err == nil || !strings.Contains(err.Error(), "Kernel panic") {
		t.Errorf("got %v", err)
	}
}

func TestDebianPackages(t *testing.T) {
	root, err := DebianPackage(t.Context(), "prometheus")
	must(t, err)
	for _, program := range []string{"prometheus", "promtool"} {
		out, err := command(t.Context(), "", filepath.Join(root, "usr/bin", program), "--version")
		if err != nil || !strings.HasPrefix(string(out), program+", version 2.") {
			t.Errorf("%s: %q, %v", program, out, err)
		}
	}
	if _, err := DebianPackage(t.Context(), "no-such-package-anywhere"); err == nil || !strings.Contains(err.Error(), "no-such-package-anywhere") {
		t.Errorf("a package that isn't there: %v", err)
	}
	arm, err := QEMUUser(t.Context(), "arm")
	must(t, err)
	if out, err := command(t.Context(), "", arm, "--version"); err != nil || !strings.HasPrefix(string(out), "qemu-arm version") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := QEMUUser(t.Context(), "abacus"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an architecture that isn't there: %v", err)
	}
}
