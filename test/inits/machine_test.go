//go:build system

package inits

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

// A machine is a root file system that was booted in namespaces of its own.
type machine struct {
	*place
	root   string
	boot   *exec.Cmd
	leader int // the init's process id, as the test sees it
}

// sensors of the machines: behind a rail, counted, and printed by a program.
const threeSensors = `defaults: {every: 1h}
rails: [{name: probes, line: GPIO17, settle: 10ms}]
sensors:
  - {name: office, driver: sht4x, addr: 0x44, power: probes}
  - {name: rain, driver: pulse, pin: GPIO22, quantity: precipitation, per-pulse: 0.2794mm}
  - {name: users, driver: command, argv: [/bin/echo, "7"]}
`

// bareMachine lays an overlay over a root file system.
func bareMachine(t *testing.T, rootFS func(*place) string) *machine {
	t.Helper()
	m := &machine{place: newPlace(t)}
	lower := rootFS(m.place)
	disk := m.path("disk")
	m.mount("disk", disk, "tmpfs", 0, "mode=0755")
	for _, dir := range []string{"upper", "work"} {
		kit.Must(t, os.Mkdir(filepath.Join(disk, dir), 0o755))
	}
	m.root = m.path("root")
	m.mount("root", m.root, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, disk, disk))
	return m
}

// newMachine is a machine with both inits and the program, installed from its
// source as docs/install.md tells.
func newMachine(t *testing.T, options string) *machine {
	t.Helper()
	m := bareMachine(t, rootFS)
	m.install(binary, "/usr/bin/dormouse", 0o755)
	m.install(kit.Source("systemd/dormouse.sysusers.conf"), "/usr/lib/sysusers.d/dormouse.conf", 0o644)
	m.inside("/etc/dormouse/dormouse.yml", threeSensors)
	m.inside("/etc/default/dormouse", fmt.Sprintf("DORMOUSE_OPTS=\"--board=sim %s\"\n", options))
	m.host("chroot", m.root, "systemd-sysusers")
	return m
}

func (m *machine) install(from, to string, mode os.FileMode) {
	m.Helper()
	data, err := os.ReadFile(from)
	kit.Must(m, err)
	m.inside(to, string(data))
	kit.Must(m, os.Chmod(m.root+to, mode))
}

// inside writes a file of the machine's.
func (m *machine) inside(name, text string) {
	m.Helper()
	m.write(m.root+name, text)
}

// starter starts processes from one thread that never ends: those that are to
// die with the test are tied to the thread that started them (prctl(2),
// PR_SET_PDEATHSIG).
var starter = func() chan func() {
	c := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range c {
			f()
		}
	}()
	return c
}()

func startTied(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	starter <- func() { started <- cmd.Start() }
	return <-started
}

// start boots the machine in a process namespace, which ends as a whole: with a
// command that becomes, or whose only descendant is, the init of that name.
func (m *machine) start(init string, command ...string) {
	m.Helper()
	console, err := os.Create(m.path("console"))
	kit.Must(m, err)
	defer console.Close()
	m.boot = exec.Command("unshare", append([]string{"--fork", "--kill-child", "--pid", "--mount-proc"}, command...)...)
	m.boot.Stdout, m.boot.Stderr = console, console
	kit.Must(m, startTied(m.boot))
	m.Cleanup(func() {
		if m.Failed() {
			m.Logf("console:\n%s", last(m.read("console"), 3000))
		}
		m.pullThePlug()
	})
	kit.Eventually(m, func() error {
		for pid := m.boot.Process.Pid; ; {
			if m.read(fmt.Sprintf("/proc/%d/comm", pid)) == init+"\n" {
				m.leader = pid
				return nil
			}
			child, _, _ := strings.Cut(m.read(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)), " ")
			if pid, err = strconv.Atoi(child); err != nil {
				return fmt.Errorf("no %s yet: %w\n%s", init, err, m.read("console"))
			}
		}
	})
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

// pullThePlug ends what is left of the machine.
func (m *machine) pullThePlug() {
	if m.boot.ProcessState == nil {
		_ = m.boot.Process.Kill() // and with it all that is in its namespace
		_ = m.boot.Wait()         // killed or not: it is gone
	}
	// systemd-nspawn leaves its control groups behind.
	for line := range strings.Lines(m.read("/proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for _, name := range []string{"payload", "supervisor"} {
			found, _ := filepath.Glob(filepath.Join("/sys/fs/cgroup/*", parts[2], name)) // the pattern is well-formed
			for _, dir := range append(found, filepath.Join("/sys/fs/cgroup", parts[2], name)) {
				removeGroups(dir)
			}
		}
	}
}

// removeGroups removes a control group and those below, where they are empty.
func removeGroups(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil // what isn't there needs no removing
	})
	for _, d := range slices.Backward(dirs) {
		_ = unix.Rmdir(d) // fails while somebody is in it
	}
}

// exec runs a program inside the machine.
func (m *machine) exec(args ...string) (out string, code int) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), kit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}
	return m.finish(cmd)
}

// do is exec where nothing but success will do.
func (m *machine) do(args ...string) string {
	m.Helper()
	out, code := m.exec(args...)
	if code != 0 {
		m.Fatalf("%q: exit status %d\n%s", args, code, out)
	}
	return strings.TrimSpace(out)
}

// wants runs a program inside and compares its exit status.
func (m *machine) wants(code int, args ...string) string {
	m.Helper()
	out, got := m.exec(args...)
	if got != code {
		m.Errorf("%q: exit status %d, want %d\n%s", args, got, code, out)
	}
	return out
}

// active waits until a unit is active: a daemon may answer before systemd has
// heard that it is ready.
func (m *machine) active(unit string) {
	m.Helper()
	m.settled(unit+" is active", func() error {
		if out, code := m.exec("systemctl", "is-active", unit); code != 0 {
			return fmt.Errorf("exit status %d: %s", code, out)
		}
		return nil
	})
}

// halted waits until the machine has switched itself off.
func (m *machine) halted() {
	m.Helper()
	ended := make(chan error, 1)
	go func() { ended <- m.boot.Wait() }()
	select {
	case <-ended: // init's own status says nothing
	case <-time.After(kit.Patience):
		_ = m.boot.Process.Kill()
		<-ended
		m.Fatalf("the machine didn't halt\n%s", m.read("console"))
	}
}

// dial connects from inside the machine's network.
func (m *machine) dial(ctx context.Context, address string) (net.Conn, error) {
	type result struct {
		net.Conn
		error
	}
	c := make(chan result, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else
		// finds themselves in another network.
		runtime.LockOSThread()
		c <- func() result {
			ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.leader))
			if err != nil {
				return result{nil, err}
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return result{nil, err}
			}
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			return result{conn, err}
		}()
	}()
	r := <-c
	return r.Conn, r.error
}

// page fetches the page for Prometheus inside the machine.
func (m *machine) page(ctx context.Context) (kit.Page, error) {
	return kit.Fetch(ctx, &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return m.dial(ctx, address)
	}}, "http://127.0.0.1:9367/metrics")
}
