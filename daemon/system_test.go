//go:build system

// Tests that need root: they mount file systems, change users and make
// namespaces. Run them on a machine that can spare it.

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stick mounts a file system and copies the test binary there.
func usbDrive(t *testing.T, kind string) (point, binary string) {
	t.Helper()
	point = filepath.Join(t.TempDir(), "stick")
	if err := os.Mkdir(point, 0o755); err != nil {
		t.Fatal(err)
	}
	mounted := false
	switch kind {
	case "tmpfs":
		if err := unix.Mount("stick", point, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		mounted = true
	case "ext4":
		image := filepath.Join(t.TempDir(), "image")
		run(t, "truncate", "-s", "64M", image)
		run(t, "mkfs.ext4", "-q", image)
		run(t, "mount", "-o", "loop", image, point)
		mounted = true
	}
	t.Cleanup(func() {
		if mounted {
			_ = unix.Unmount(point, unix.MNT_DETACH) // gone already, where the test passed
		}
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(point, "helper")
	run(t, "cp", self, binary)
	return point, binary
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestStickIsReleased(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		for _, foreground := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s foreground %v", kind, foreground), func(t *testing.T) {
				h := newHelper(t)
				point, binary := usbDrive(t, kind)
				// Everything is on the stick: executable, working directory, what
				// the starter reads, and the junk it inherits.
				if err := os.WriteFile(filepath.Join(point, "junk"), []byte("junk"), 0o600); err != nil {
					t.Fatal(err)
				}
				h.plan.Handover = []byte("from the drive")
				cmd := h.hostile()
				cmd.Path, cmd.Args[0], cmd.Dir = binary, binary, point
				cmd.Env = append(cmd.Env, "JUNK="+filepath.Join(point, "junk"))
				if foreground {
					h.plan.DetachProcess = DetachNever
					again := h.command()
					cmd.Env = append(cmd.Env, again.Env...)
					h.stay(cmd)
				} else {
					h.ready(h.runCommand(cmd))
				}
				device := ""
				if kind == "ext4" {
					device = strings.TrimSpace(run(t, "findmnt", "-no", "SOURCE", point))
				}
				if err := unix.Unmount(point, 0); err != nil {
					h.signal(syscall.SIGUSR1)
					t.Fatalf("umount: %v\n%.3000s", err, h.await("description "))
				}
				if device != "" {
					// The loop device is detached by itself when nothing uses it.
					for deadline := time.Now().Add(patience); strings.Contains(run(t, "losetup", "-a"), device+":"); time.Sleep(10 * time.Millisecond) {
						if time.Now().After(deadline) {
							t.Fatalf("the device %s is busy", device)
						}
					}
				}
				d := h.describe() // it lives on
				if d.Copied != "memory" || d.Handover != "from the drive" {
					t.Errorf("copied to %q, handed over %q", d.Copied, d.Handover)
				}
				for _, p := range d.Inspection.Points {
					if p.Name == "mounts" && p.Verdict != Pass {
						t.Errorf("%+v", p)
					}
				}
				if foreground {
					if _, err := Stop(t.Context(), h.pidFile); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func TestStickIsKeptWhereAskedTo(t *testing.T) {
	h := newHelper(t)
	h.plan.ReleaseExecutable = ReleaseNever
	point, binary := usbDrive(t, "tmpfs")
	cmd := h.command()
	cmd.Path, cmd.Args[0] = binary, binary
	h.ready(h.runCommand(cmd))
	if err := unix.Unmount(point, 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("umount: %v, want EBUSY", err)
	}
	if p := h.describe().point(t, "mounts"); p.Verdict != Fail || !strings.Contains(strings.Join(p.Evidence, "\n"), point) {
		t.Errorf("inspect doesn't find it: %+v", p)
	}
	h.stop()
	if err := unix.Unmount(point, 0); err != nil {
		t.Errorf("umount after stop: %v", err)
	}
}

func TestMemoryMayNotExecute(t *testing.T) {
	// The setting is a PID namespace's own, so a new one is used.
	h := newHelper(t)
	point, binary := usbDrive(t, "tmpfs")
	cmd := h.command()
	script := fmt.Sprintf(`echo 2 > /proc/sys/vm/memfd_noexec && %s start && kill -TERM $(cat %s) && umount %s && while test -e %s; do sleep 0.05; done`,
		binary, h.pidFile, point, h.pidFile)
	cmd.Path, cmd.Args = "/usr/bin/unshare", []string{"unshare", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", script}
	out, code := h.runCommand(cmd)
	if code != 0 || !strings.Contains(out, "can't run from memory") || !strings.Contains(out, "/var/tmp") {
		t.Errorf("exit status %d, output:\n%s", code, out)
	}
}

func TestPrivilegesAreDropped(t *testing.T) {
	const nobody = 65534
	for _, tt := range []struct {
		name    string
		detach  Detach
		ambient []uintptr
		caps    string
		fails   string
	}{
		{"detached", DetachAlways, nil, "0000000000000000", ""},
		{"detached, may wake the machine", DetachAlways, []uintptr{unix.CAP_WAKE_ALARM}, "0000000800000000", ""},
		{"foreground", DetachNever, nil, "0000000000000000", ""},
		{"foreground, may wake the machine", DetachNever, []uintptr{unix.CAP_WAKE_ALARM}, "0000000800000000", withCgo("CGO_ENABLED=0")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHelper(t)
			for _, dir := range []string{h.dir, filepath.Dir(h.dir)} {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			h.plan.User = "nobody"
			h.plan.DetachProcess = tt.detach
			h.plan.SupplementaryGroups = []string{"video", "no-such-group-here"}
			h.plan.AmbientCapabilities = tt.ambient
			if tt.fails != "" {
				if out, code := h.start(); code != 1 || !strings.Contains(out, tt.fails) {
					t.Errorf("exit status %d, output %q, want %q", code, out, tt.fails)
				}
				return
			}
			if tt.detach == DetachNever {
				h.stay(h.command())
			} else {
				h.mustStart()
			}
			s := Status(h.pidFile)
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.PID))
			if err != nil || len(tasks) == 0 {
				t.Fatal("no threads", err)
			}
			for _, task := range tasks {
				status, err := readStatus(task)
				if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
					continue // a thread may end at any time
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Fields(status["Uid"]); !slices.Equal(got, slices.Repeat([]string{strconv.Itoa(nobody)}, 4)) {
					t.Errorf("user %v", got)
				}
				for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
					if status[set] != tt.caps {
						t.Errorf("%s %s, want %s", set, status[set], tt.caps)
					}
				}
				if status["NoNewPrivs"] != "1" {
					t.Error("it may gain privileges")
				}
				if !slices.Contains(strings.Fields(status["Groups"]), "44") {
					t.Errorf("groups %s, want video (44) among them", status["Groups"])
				}
			}
			// Not dumpable: the kernel gives its files in /proc to root.
			var st unix.Stat_t
			if err := unix.Stat(fmt.Sprintf("/proc/%d/status", s.PID), &st); err != nil || st.Uid != 0 {
				t.Errorf("its /proc belongs to %d, %v", st.Uid, err)
			}
			if err := unix.Stat(h.pidFile, &st); err != nil || st.Uid != nobody {
				t.Errorf("the pidfile belongs to %d, %v", st.Uid, err)
			}
			if s.Code != StatusRunning {
				t.Errorf("status %+v", s)
			}
			if _, err := Stop(t.Context(), h.pidFile); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
				t.Errorf("the pidfile is left: %v", err)
			}
		})
	}
}

// The rights that a set-user-ID bit lends are given up, also where executing the
// program anew lends them again.
func TestSetUserIDIsGivenUp(t *testing.T) {
	const nobody = 65534
	for _, detach := range []Detach{DetachAlways, DetachNever} {
		for _, protected := range []bool{true, false} {
			t.Run(fmt.Sprintf("detach %s, no_new_privs %v", detach, protected), func(t *testing.T) {
				h := newHelper(t)
				for _, dir := range []string{h.dir, filepath.Dir(h.dir)} {
					if err := os.Chmod(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				h.plan.DetachProcess, h.plan.NoNewPrivileges = detach, protected
				cmd := h.command()
				program := filepath.Join(h.dir, "program")
				run(t, "cp", cmd.Path, program)
				if err := os.Chmod(program, 0o755|os.ModeSetuid|os.ModeSetgid); err != nil {
					t.Fatal(err)
				}
				cmd.Path, cmd.Dir = program, "/"
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
				if detach == DetachNever {
					h.stay(cmd)
				} else {
					h.ready(h.runCommand(cmd))
				}
				status, err := readStatus(fmt.Sprintf("/proc/%d/status", Status(h.pidFile).PID))
				if err != nil {
					t.Fatal(err)
				}
				if !allAre(status["Uid"], nobody) || !allAre(status["Gid"], nobody) || status["CapEff"] != "0000000000000000" {
					t.Errorf("users %s, groups %s, capabilities %s", status["Uid"], status["Gid"], status["CapEff"])
				}
				h.stop()
			})
		}
	}
}

// withCgo returns s in a test binary built with cgo, whose threads aren't all
// Go's to change.
func withCgo(s string) string {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno == unix.ENOTSUP {
		return s
	}
	return ""
}

func TestReadableByTheDaemon(t *testing.T) {
	c := New("x")
	c.User = "nobody"
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir, file os.FileMode
		want      string
	}{
		{0o755, 0o644, ""}, {0o755, 0o600, file + " has mode 0600"}, {0o700, 0o644, dir + " has mode 0700"},
	} {
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, tt.dir), os.Chmod(file, tt.file)); err != nil {
			t.Fatal(err)
		}
		err := c.Readable(file)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%o %o: %v", tt.dir, tt.file, err)
		}
	}
}

func TestPIDFileInForeignDirectory(t *testing.T) {
	h := newHelper(t)
	if err := os.Chmod(filepath.Dir(h.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(h.pidFile), 0o755); err != nil { // root's
		t.Fatal(err)
	}
	h.plan.User = "nobody"
	h.mustStart()
	h.stop()
	if s := Status(h.pidFile); s.Code != StatusStopped {
		t.Errorf("status %+v, want stopped: the file is emptied where it can't be removed", s)
	}
	h.mustStart()
}

func TestStrangersMayNotStop(t *testing.T) {
	h := newHelper(t)
	h.mustStart()
	for _, dir := range []string{h.dir, filepath.Dir(h.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(h.dir, "test")
	run(t, "cp", self, copied)
	cmd := exec.Command(copied, "-test.run", "^TestSignalAsStranger$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "STRANGER_PIDFILE="+h.pidFile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestSignalAsStranger") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSignalAsStranger is run by TestStrangersMayNotStop as another user; in the
// test run itself, as root, it checks the same of a file it may not read at all.
func TestSignalAsStranger(t *testing.T) {
	file := os.Getenv("STRANGER_PIDFILE")
	if file == "" {
		if s := Status("/proc/1/nonexistent/pid"); s.Code != StatusStopped {
			t.Errorf("status %+v", s)
		}
		return
	}
	if s := Status(file); s.Code != StatusRunning {
		t.Errorf("status %+v, want running: anybody may ask", s)
	}
	_, err := Signal(t.Context(), file, syscall.SIGTERM)
	if !errors.Is(err, unix.EPERM) || ExitCode(err) != ExitPrivileges {
		t.Errorf("got %v, want EPERM and exit status 4", err)
	}
}

func TestChroot(t *testing.T) {
	for _, name := range []string{"", "nobody"} {
		h := newHelper(t)
		root := filepath.Join(h.dir, "root")
		for _, dir := range []string{"", "work"} {
			if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		h.plan.ChrootDirectory, h.plan.WorkingDirectory, h.plan.User = root, "/work", name
		h.plan.PIDFile = filepath.Join(h.dir, "pid")
		h.pidFile = h.plan.PIDFile
		pid := h.mustStart()
		for link, want := range map[string]string{"root": root, "cwd": filepath.Join(root, "work")} {
			if got, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link)); err != nil || got != want {
				t.Errorf("%s is %s, %v, want %s", link, got, err, want)
			}
		}
		status, err := readStatus(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if uid := strings.Fields(status["Uid"])[0]; (uid == "0") != (name == "") {
			t.Errorf("user %s", uid)
		}
		if name != "" && status["CapEff"] != "0000000000000000" {
			t.Errorf("capabilities %s", status["CapEff"])
		}
		h.stop()
	}
}

func TestFirstProcess(t *testing.T) {
	h := newHelper(t)
	cmd := h.command() // detaching always, which process 1 never does
	cmd.Path, cmd.Args = "/usr/bin/unshare", append([]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc", cmd.Path}, cmd.Args[1:]...)
	h.stay(cmd)
	inside := childrenOf(cmd.Process.Pid)
	if len(inside) != 1 {
		t.Fatalf("children of unshare: %v", inside)
	}
	if got, err := os.ReadFile(h.pidFile); err != nil || string(got) != "1\n" {
		t.Errorf("the pidfile holds %q, %v", got, err)
	}
	if err := syscall.Kill(inside[0], syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	d := h.parse(h.await("description "))
	if d.Situation != FirstProcess || d.ChildExit != 7 {
		t.Errorf("situation %q, a child's exit status %d", d.Situation, d.ChildExit)
	}
	// Orphans: a process of the namespace that is nobody's child any more.
	enter := exec.Command("nsenter", "-t", strconv.Itoa(inside[0]), "-p", "-m", "/bin/sh", "-c", "(sleep 0.1 & ) ; exit 0")
	if out, err := enter.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for deadline := time.Now().Add(patience); len(childrenOf(inside[0])) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left: %v", childrenOf(inside[0]))
		}
	}
	if err := syscall.Kill(inside[0], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v", err)
	}
}

// A process of a PID namespace has no number for one outside it. The number in
// the pidfile is of no process there, or of another one.
func TestFromAnotherPIDNamespace(t *testing.T) {
	h := newHelper(t)
	pid := h.mustStart()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flags  []string
		number int
		want   string // of a State
	}{
		{nil, pid, "0 0 running in another PID namespace"},
		{nil, 1, "0 0 running in another PID namespace"},
		{[]string{"--net"}, math.MaxInt32, "4 0 unknown: pidfile "},
		{[]string{"--net"}, 1, "4 0 unknown: pidfile "}, // unshare's child, which asks
		{nil, 0, "0 0 running in another PID namespace, such as a container's, but its pidfile " + h.pidFile + " was removed"},
		{nil, pid, "0 0 running in another PID namespace, such as a container's, but its pidfile " + h.pidFile + " was replaced"},
	} {
		if tt.number == 0 {
			if err := os.Remove(h.pidFile); err != nil {
				t.Fatal(err)
			}
		} else {
			h.overwrite(tt.number)
		}
		args := append(tt.flags, "--pid", "--fork", "--kill-child", "--mount-proc", self, "-test.run", "^TestAskInsideANamespace$", "-test.v")
		cmd := exec.Command("unshare", args...)
		cmd.Env = append(os.Environ(), "INSIDE_PIDFILE="+h.pidFile)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "state "+tt.want) || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v, with process %d in the file: %v\n%s\nwant %q", tt.flags, tt.number, err, out, tt.want)
		}
	}
	h.stop()
}

// TestAskInsideANamespace is run by TestFromAnotherPIDNamespace as the first
// process of one; in the test run itself it asks for a daemon that isn't there.
func TestAskInsideANamespace(t *testing.T) {
	file, want := os.Getenv("INSIDE_PIDFILE"), "PID namespace"
	switch b, _ := os.ReadFile(file); {
	case file == "":
		file, want = filepath.Join(t.TempDir(), "pid"), ErrNotRunning.Error()
	case Status(file).Code == StatusUnknown && string(b) == "1\n":
		want = "not by process 1"
	}
	s := Status(file)
	fmt.Println("state", s.Code, s.PID, s.Text)
	// At once: nothing changes by waiting.
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if _, err := Stop(ctx, file); err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
		t.Errorf("stop: %v, want %q", err, want)
	}
}

func TestReadOnlyAndFullPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"read-only": {func(dir string) error {
			return unix.Mount("place", dir, "tmpfs", unix.MS_RDONLY, "")
		}, "read-only file system"},
		"full": {func(dir string) error {
			if err := unix.Mount("place", dir, "tmpfs", 0, "size=4k,mode=0755"); err != nil {
				return err
			}
			f, err := os.Create(filepath.Join(dir, "fill"))
			if err != nil {
				return err
			}
			_, err = io.CopyN(f, zeros{}, 1<<20)
			if !errors.Is(err, unix.ENOSPC) {
				return fmt.Errorf("filled: %w", err)
			}
			return f.Close()
		}, "no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHelper(t)
			dir := filepath.Dir(h.pidFile)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // not mounted, where that failed
			if err := tt.prepare(dir); err != nil {
				t.Fatal(err)
			}
			out, code := h.start()
			if code == 0 || !strings.Contains(out, tt.want) || !strings.Contains(out, h.pidFile) {
				t.Errorf("exit status %d, output %q", code, out)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
