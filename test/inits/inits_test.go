//go:build system

package inits

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// binary is the program under test.
var binary string

// insideVariable tells the test binary that it runs in its own mount namespace.
const insideVariable = "DORMOUSE_INITS_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(hostileVariable) != "" {
		fmt.Fprintln(os.Stderr, "set up a hostile start:", setUpHostile())
		os.Exit(98)
	}
	if os.Getenv(insideVariable) == "" {
		os.Exit(goInside())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "dormouse-inits")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		// Other users have to get at it.
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(dir, "dormouse")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "example.org/dormouse/cmd/dormouse")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// goInside runs this test binary again in a mount namespace of its own, from
// which nothing propagates.
func goInside() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "these tests mount file systems and make namespaces: run them as root")
		return 1
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), insideVariable+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := again.Run()
	if err != nil && again.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if again.ProcessState == nil {
		return 1
	}
	return again.ProcessState.ExitCode()
}

// A place is a directory of one test's own, for its files and its daemon.
type place struct {
	*testing.T
	dir string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	// Other users have to get at it.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		kit.Must(t, os.Chmod(d, 0o755))
	}
	return &place{t, dir}
}

func (p *place) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

func (p *place) write(name, text string) {
	p.Helper()
	kit.Must(p, os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	kit.Must(p, os.WriteFile(p.path(name), []byte(text), 0o644))
}

// read returns a file's text; "" where it isn't there yet, or is of a process that
// has ended meanwhile.
func (p *place) read(name string) string {
	p.Helper()
	data, err := os.ReadFile(p.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
		p.Fatal(err)
	}
	return string(data)
}

// command is the program as a user types it, with directories of this place.
func (p *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir,
		"RUNTIME_DIRECTORY=" + p.path("run"), "STATE_DIRECTORY=" + p.path("state")}
	return cmd
}

// run runs the program to its end.
func (p *place) run(args ...string) (out string, code int) {
	p.Helper()
	return p.finish(p.command(args...))
}

func (p *place) finish(cmd *exec.Cmd) (out string, code int) {
	p.Helper()
	var both bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = &both, &both
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatalf("%v: %v", cmd.Args, err)
	}
	return both.String(), cmd.ProcessState.ExitCode()
}

// must is run where nothing but success will do.
func (p *place) must(args ...string) string {
	p.Helper()
	out, code := p.run(args...)
	if code != 0 {
		p.Fatalf("dormouse %q: exit status %d\n%s", args, code, out)
	}
	return out
}

// host runs a program of the machine's.
func (p *place) host(name string, args ...string) string {
	p.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		p.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// mount mounts a file system in this test's namespace, until its end.
func (p *place) mount(source, point, kind string, flags uintptr, data string) {
	p.Helper()
	kit.Must(p, os.MkdirAll(point, 0o755))
	if err := unix.Mount(source, point, kind, flags, data); err != nil {
		p.Fatalf("mount %s on %s: %v", kind, point, err)
	}
	p.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) }) // gone already, where that was the test
}

// pid is the daemon's process id, from its status.
func (p *place) pid() int {
	p.Helper()
	var state struct {
		PID int `json:"pid"`
	}
	out := p.must("status", "--format=json")
	if err := json.Unmarshal([]byte(out), &state); err != nil || state.PID == 0 {
		p.Fatalf("status says %q: %v", out, err)
	}
	return state.PID
}

// procStatus is /proc/PID/status by its keys.
func (p *place) procStatus(pid int) map[string]string {
	p.Helper()
	status := map[string]string{}
	for line := range strings.Lines(p.read(fmt.Sprintf("/proc/%d/status", pid))) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	if status["Pid"] == "" {
		p.Fatalf("process %d is gone", pid)
	}
	return status
}

// rootFS is the root file system with both inits.
func rootFS(p *place) string {
	p.Helper()
	kit.Must(p, rig.Install(p.Context(), "systemd-container", "procps", "e2fsprogs", "iproute2"))
	root, err := rig.DebianRoot(p.Context(), "sysvinit-core", "sysv-rc", "initscripts", "lsb-base", "systemd", "procps")
	kit.Must(p, err)
	return root
}

// loopDevice is a disk with an empty ext4 on it, as a block device.
func loopDevice(p *place) string {
	p.Helper()
	image := p.path("image")
	p.host("truncate", "-s", "64M", image)
	p.host("mkfs.ext4", "-q", image)
	device := p.host("losetup", "--find", "--show", image)
	p.Cleanup(func() { p.host("losetup", "--detach", device) })
	return device
}

// free checks that nobody uses a block device: the kernel grants it exclusively
// only where it is mounted nowhere, in no namespace.
func free(p *place, device string) {
	p.Helper()
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		p.Errorf("the device %s is still in use: %v", device, err)
		return
	}
	if err := unix.Close(fd); err != nil {
		p.Error(err)
	}
}

// A set-user-ID binary would read and write what its caller names with its
// owner's rights.
func TestSetUserIDIsRefused(t *testing.T) {
	p := newPlace(t)
	program := p.path("dormouse")
	data, err := os.ReadFile(binary)
	kit.Must(t, err)
	kit.Must(t, os.WriteFile(program, data, 0o755))
	for _, mode := range []os.FileMode{os.ModeSetuid, os.ModeSetgid} {
		kit.Must(t, os.Chmod(program, 0o755|mode))
		for _, args := range [][]string{{"--version"}, {"start", "--pid-file=/run/mine.pid"}, {"read", "@/etc/shadow"}} {
			cmd := p.command(args...)
			cmd.Path = program
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			if out, code := p.finish(cmd); code != daemon.ExitPrivileges || !strings.Contains(out, "chmod u-s,g-s") {
				t.Errorf("%v, %q: exit status %d, output %q", mode, args, code, out)
			}
		}
	}
}
