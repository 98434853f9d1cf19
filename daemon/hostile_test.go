package daemon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostileVariable makes the test binary set up all that a process can
// inherit, and then execute the helper in its place.
const hostileVariable = "DAEMON_TEST_HOSTILE"

func init() {
	if os.Getenv(hostileVariable) == "" {
		return
	}
	_ = os.Unsetenv(hostileVariable)
	fmt.Fprintln(os.Stderr, "set up a hostile start:", setUpHostile())
	os.Exit(98)
}

func setUpHostile() error {
	runtime.LockOSThread()
	junk, err := unix.Open(os.Getenv("JUNK"), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	for i := range 40 {
		fd := 20 + i
		if i >= 30 && limit.Max > 1100 {
			fd = 1001 + i
		}
		if err := unix.Dup3(junk, fd, 0); err != nil {
			return fmt.Errorf("dup to %d: %w", fd, err)
		}
	}
	unix.Umask(0o077)
	signal.Ignore(syscall.SIGCHLD, syscall.SIGHUP, syscall.SIGCONT)
	var term unix.Sigset_t
	term.Val[0] |= 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGUSR1-1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &term, nil); err != nil {
		return err
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	core.Cur = core.Max
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	if os.Getenv("CLOSE_STDIO") != "" {
		for fd := range 3 {
			_ = unix.Close(fd)
		}
	}
	if os.Getenv("NO_MEMFD") != "" {
		if err := forbid(unix.SYS_MEMFD_CREATE); err != nil {
			return err
		}
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// forbid makes a system call fail with ENOSYS in what this thread executes,
// seccomp(2), as a kernel or a sandbox without it does.
func forbid(call uint32) error {
	const number, errno = 0, unix.ENOSYS // of struct seccomp_data; what the call fails with
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: call},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, code := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if code != 0 {
		return code
	}
	return nil
}

// hostile is a command of h that suffers.
func (h *helper) hostile() *exec.Cmd {
	h.t.Helper()
	junk := filepath.Join(h.dir, "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	cmd := h.command()
	cmd.Dir = h.dir
	cmd.Env = append(cmd.Env, hostileVariable+"=1", "JUNK="+junk, "LD_PRELOAD=", "IFS=x", "DISPLAY=:0",
		stageVariable+"=daemon:20:1", "LISTEN_FDS=3", "LISTEN_PID=1", "LC_TIME=C")
	return cmd
}

// clean asserts every point of a well-behaved daemon, for one that was detached.
func (h *helper) clean(d *description, pid int) {
	t := h.t
	t.Helper()
	h.meets(d.Inspection)
	p := d.point(t, "descriptors")
	for _, line := range p.Evidence {
		if strings.Contains(line, "junk") {
			t.Errorf("an inherited descriptor is open: %s", line)
		}
	}
	if len(p.Evidence) > 12 {
		t.Errorf("%d descriptors are open: %v", len(p.Evidence), p.Evidence)
	}
	stat, err := readStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	own, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if stat.sid == pid || stat.sid == own.sid || stat.group == pid || stat.group == own.group || stat.tty != 0 {
		t.Errorf("session %d, group %d, terminal %d of process %d; the test's are %d, %d", stat.sid, stat.group, stat.tty, pid, own.sid, own.group)
	}
	if stat.parent == os.Getpid() {
		t.Error("it is still the test's child")
	}
	status, err := readStatus(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	if status["Umask"] != "0022" {
		t.Errorf("umask %s, want 0022", status["Umask"])
	}
	if status["Name"] != "helper" {
		t.Errorf("the process is named %q", status["Name"])
	}
	if ign := status.signals("SigIgn").String(); ign != "TSTP TTIN TTOU" {
		t.Errorf("it ignores %s", ign)
	}
	if status["NoNewPrivs"] != "1" {
		t.Error("it may gain privileges")
	}
	if pids, err := os.ReadFile(h.pidFile); err != nil || string(pids) != fmt.Sprintln(pid) {
		t.Errorf("the pidfile holds %q, %v", pids, err)
	}
	if info, err := os.Stat(h.pidFile); err != nil || info.Mode() != 0o644 {
		t.Errorf("the pidfile's mode: %v, %v", info.Mode(), err)
	}
	for _, setting := range d.Environment {
		for _, junk := range []string{"IFS=", "DISPLAY=", "JUNK=", "LISTEN_", stageVariable, "LD_PRELOAD"} {
			if strings.HasPrefix(setting, junk) {
				t.Errorf("inherited %s", setting)
			}
		}
	}
	if !slices.Contains(d.Environment, "LC_TIME=C") {
		t.Errorf("the language is lost: %v", d.Environment)
	}

	if d.ChildExit != 7 {
		t.Errorf("a child's exit status is %d, want 7", d.ChildExit)
	}
	child := d.child(t)
	if ign, blk := child.signals("SigIgn"), child.signals("SigBlk"); ign != 0 || blk != 0 {
		t.Errorf("a child has ignored %v, blocked %v", ign, blk)
	}
	if fds := strings.Count(d.ChildFDs, "->"); fds > 4 { // 0, 1, 2 and the directory listed
		t.Errorf("a child has more descriptors than it needs:\n%s", d.ChildFDs)
	}
}

func TestHostileStart(t *testing.T) {
	h := newHelper(t)
	pid := h.ready(h.runCommand(h.hostile()))
	h.clean(h.describe(), pid)
	h.stop()
	if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
		t.Errorf("the pidfile is left: %v", err)
	}
}

func TestHostileStartWithClosedStandardStreams(t *testing.T) {
	h := newHelper(t)
	cmd := h.hostile()
	cmd.Env = append(cmd.Env, "CLOSE_STDIO=1")
	if out, code := h.runCommand(cmd); code != 0 || out != "" {
		t.Fatalf("exit status %d, output %q", code, out)
	}
	s := Status(h.pidFile)
	if !s.Running() {
		t.Fatalf("status: %+v", s)
	}
	h.clean(h.describe(), s.PID)
}

// Without memfd_create(2) the plan travels in a file without a name.
func TestWithoutFilesInMemory(t *testing.T) {
	for _, detach := range []Detach{DetachAlways, DetachNever} {
		h := newHelper(t)
		h.plan.Handover = bytes.Repeat([]byte("read early"), 5_000)
		h.plan.DetachProcess = detach
		cmd := h.hostile()
		cmd.Env = append(cmd.Env, "NO_MEMFD=1")
		if detach == DetachAlways {
			h.ready(h.runCommand(cmd))
		} else {
			h.stay(cmd)
		}
		d := h.describe()
		if d.Handover != string(h.plan.Handover) {
			t.Errorf("handed over %d bytes, want %d", len(d.Handover), len(h.plan.Handover))
		}
		h.meets(d.Inspection, "session")
		if detach == DetachNever {
			h.finish(cmd)
		}
	}
}

func TestTerminalHangsUp(t *testing.T) {
	h := newHelper(t)
	master, slave := pty(t)
	cmd := h.hostile()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		out := make([]byte, 4096)
		n, _ := master.Read(out) // whatever there is
		t.Fatalf("start: %v\n%s", err, out[:n])
	}
	if err := master.Close(); err != nil { // the hang-up
		t.Fatal(err)
	}
	s := Status(h.pidFile)
	if !s.Running() {
		t.Fatalf("status: %+v", s)
	}
	h.clean(h.describe(), s.PID)
}

func TestNeverAcquiresATerminal(t *testing.T) {
	h := newHelper(t)
	master, slave := pty(t)
	defer master.Close()
	defer slave.Close()
	h.plan.KeepEnvironment = []string{"TTY"}
	h.plan.Mode = "open terminal"
	cmd := h.command()
	cmd.Env = append(cmd.Env, "TTY="+slave.Name())
	pid := h.ready(h.runCommand(cmd))
	h.await("opened " + slave.Name())
	if tty, err := hasTerminal(pid); err != nil || tty {
		t.Errorf("it has a controlling terminal: %v %v", tty, err)
	}
}

func TestStartFails(t *testing.T) {
	for _, tt := range []struct {
		mode, limit string
		code        int
		output      []string
	}{
		{mode: "fail", code: 6, output: []string{"helper: the configuration is wrong in line 3"}},
		{mode: "exit", code: 23, output: []string{"ended before it was ready", "exited with status 23"}},
		{mode: "panic", code: 2, output: []string{"exited with status 2"}},
		{mode: "killed", code: 1, output: []string{"killed by SIGKILL"}},
		{mode: "hang", limit: "300ms", code: 1, output: []string{"wasn't ready within 300ms"}},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			h := newHelper(t)
			h.plan.Mode, h.plan.Limit = tt.mode, tt.limit
			out, code := h.start()
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, want := range tt.output {
				if !strings.Contains(out, want) {
					t.Errorf("output %q, want %q in it", out, want)
				}
			}
			if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
				t.Errorf("the pidfile is left: %v", err)
			}
			if s := Status(h.pidFile); s.Code != StatusStopped {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestStartWithoutFiles(t *testing.T) {
	h := newHelper(t)
	cmd := h.command()
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -f 0; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	out, code := h.runCommand(cmd)
	if code != 1 || strings.Count(out, "file too large") != 1 || !strings.Contains(out, "ulimit -f") {
		t.Errorf("exit status %d, output %q", code, out)
	}
}

func TestStartInterrupted(t *testing.T) {
	h := newHelper(t)
	h.plan.Mode = "hang"
	cmd := h.command()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !Status(h.pidFile).Starting {
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "start interrupted") {
		t.Errorf("%v: %s", err, out.String())
	}
	if s := Status(h.pidFile); s.Code != StatusStopped {
		t.Errorf("status %+v", s)
	}
	if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
		t.Errorf("the pidfile is left: %v", err)
	}
}

func TestFilesArePreserved(t *testing.T) {
	h := newHelper(t)
	for _, name := range []string{"one", "two"} {
		file := filepath.Join(h.dir, name)
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		h.plan.Keep = append(h.plan.Keep, file)
	}
	h.mustStart()
	d := h.describe()
	if !slices.Equal(d.Preserved, []string{"one", "two"}) {
		t.Errorf("preserved %q", d.Preserved)
	}
	if strings.Contains(d.ChildFDs, "/one") {
		t.Errorf("a child has the file too:\n%s", d.ChildFDs)
	}
}

func TestEnvironmentSettings(t *testing.T) {
	h := newHelper(t)
	h.plan.Environment = []string{"GOMAXPROCS=1"}
	cmd := h.command()
	cmd.Env = append(cmd.Env, "GOMAXPROCS=7", "SECRET=x")
	h.ready(h.runCommand(cmd))
	d := h.describe()
	if !slices.Contains(d.Environment, "GOMAXPROCS=1") || slices.Contains(d.Environment, "GOMAXPROCS=7") {
		t.Errorf("environment %.300q", d.Environment)
	}
	if strings.Contains("\n"+d.ChildEnvironment, "\nGOMAXPROCS") {
		t.Error("a child got the daemon's own setting")
	}
}

func TestWorkingDirectoryCannotBeEntered(t *testing.T) {
	h := newHelper(t)
	h.plan.WorkingDirectory = filepath.Join(h.dir, "nowhere")
	out, code := h.start()
	if code != 1 || !strings.Contains(out, "change the working directory to "+h.plan.WorkingDirectory+": no such file") {
		t.Errorf("exit status %d, output %q", code, out)
	}
}
