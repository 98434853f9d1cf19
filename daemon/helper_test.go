package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for what takes milliseconds on an idle machine.
const patience = 5 * time.Minute

// The tests start this test binary again as a program that becomes a daemon. What
// it shall do travels in the environment.
const helperVariable = "DAEMON_TEST_HELPER"

type helperPlan struct {
	Context
	Mode  string   // what it does instead of becoming ready
	Log   string   // its standard error
	Keep  []string // files to preserve
	Tell  bool     // explain on standard output
	Limit string   // StartTimeout
}

func TestMain(m *testing.M) {
	text := os.Getenv(helperVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var plan helperPlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	os.Exit(plan.run())
}

func (h *helperPlan) run() int {
	c := &h.Context
	c.KeepEnvironment = append(c.KeepEnvironment, helperVariable, "GORACE")
	if _, resumed := Handover(); !resumed {
		if h.Log != "" {
			log, err := c.OpenLog(h.Log)
			if err != nil {
				return complain(err)
			}
			c.Stderr = log
		}
		for _, name := range h.Keep {
			f, err := os.Open(name)
			if err != nil {
				return complain(err)
			}
			c.FilesPreserve = append(c.FilesPreserve, f)
		}
		if h.Limit != "" {
			var err error
			if c.StartTimeout, err = time.ParseDuration(h.Limit); err != nil {
				return complain(err)
			}
		}
	}
	if h.Tell {
		c.Explain = os.Stdout
	}
	p, err := c.Open()
	if err != nil {
		return complain(err)
	}
	if p.Starter() {
		for _, w := range p.Warnings() {
			fmt.Println("warning:", w)
		}
		fmt.Println("ready", p.PID())
		return 0
	}
	switch h.Mode {
	case "fail":
		return ExitCode(p.Fail(WithExitCode(errors.New("the configuration is wrong in line 3"), 6)))
	case "exit":
		return 23
	case "panic":
		panic("deliberately")
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "open terminal":
		// Without O_NOCTTY, and kept open.
		tty := os.Getenv("TTY")
		if _, err := syscall.Open(tty, syscall.O_RDWR, 0); err != nil {
			return complain(err)
		}
		fmt.Fprintln(os.Stderr, "opened", tty)
	case "hang":
		fmt.Fprintln(os.Stderr, "waiting")
		<-p.Done()
		return complain(errors.Join(errors.New("ended while starting"), p.Close()))
	}
	return h.serve(p)
}

// serve logs each event; USR1 makes the daemon describe itself.
func (h *helperPlan) serve(p *Process) int {
	for _, w := range p.Warnings() {
		fmt.Fprintln(os.Stderr, "warning", w)
	}
	p.Warn("a warning from the daemon")
	listeners, err := p.Listeners()
	if err != nil {
		return complain(err)
	}
	for _, l := range listeners {
		fmt.Fprintln(os.Stderr, "listening on", l.Addr())
	}
	interval, err := p.WatchdogInterval()
	if err != nil {
		return complain(err)
	}
	fmt.Fprintln(os.Stderr, "watchdog", interval)
	if err := p.Ready("serving"); err != nil {
		return complain(err)
	}
	fmt.Fprintln(os.Stderr, "ready")
	for event := range p.Events() {
		fmt.Fprintln(os.Stderr, "event", event)
		var err error
		switch event {
		case "describe":
			var d string
			d, err = describe(p)
			fmt.Fprintln(os.Stderr, d)
		case Reload:
			err = errors.Join(p.Reloading(), p.Reloaded("reloaded\n\ttwice"), p.Alive())
		case Terminate:
			return complain(errors.Join(p.Stopping(), p.Close()))
		}
		if err != nil {
			return complain(err)
		}
	}
	return complain(errors.New("no more events"))
}

func complain(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "helper:", err)
	return ExitCode(err)
}

// description is what only the daemon itself can see.
type description struct {
	Inspection  *Inspection
	Environment []string
	Handover    string
	Situation   Situation
	Preserved   []string
	Copied      string
	Child       string // /proc/self/status of a child
	ChildFDs    string
	ChildExit   int

	ChildEnvironment string
}

func describe(p *Process) (string, error) {
	inspection, err := Inspect(os.Getpid())
	if err != nil {
		return "", err
	}
	d := description{Inspection: inspection, Environment: os.Environ(), Situation: p.Situation(), Copied: p.Copied()}
	data, _ := Handover()
	d.Handover = string(data)
	for _, f := range p.Preserved() {
		text, err := io.ReadAll(f)
		if err != nil {
			return "", err
		}
		d.Preserved = append(d.Preserved, string(text))
	}
	// Not by a shell, which may unblock signals by itself.
	var out strings.Builder
	status := exec.Command("cat", "/proc/self/status")
	status.Stdout = &out
	if err := errors.Join(StartChild(status), WaitChild(status)); err != nil {
		return "", err
	}
	d.Child = out.String()

	out.Reset()
	child := exec.Command("/bin/sh", "-c", "ls -l /proc/self/fd; echo ---; env; exit 7")
	child.Stdout = &out
	if err := StartChild(child); err != nil {
		return "", err
	}
	err = WaitChild(child)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", fmt.Errorf("child: %w", err)
	}
	d.ChildExit = exit.ExitCode()
	d.ChildFDs, d.ChildEnvironment, _ = strings.Cut(out.String(), "---\n")
	text, err := json.Marshal(d)
	return "description " + string(text), err
}

// helper is a program under test.
type helper struct {
	t       testing.TB
	plan    helperPlan
	dir     string
	pidFile string
	log     string
}

func newHelper(t testing.TB) *helper {
	t.Helper()
	dir := t.TempDir()
	h := &helper{t: t, dir: dir, pidFile: filepath.Join(dir, "run", "helper.pid"), log: filepath.Join(dir, "log")}
	h.plan.Context = *New("helper")
	h.plan.Umask = 0o022
	h.plan.DetachProcess = DetachAlways
	h.plan.PIDFile = h.pidFile
	h.plan.Log = h.log
	h.plan.SignalMap[syscall.SIGUSR1] = "describe"
	t.Cleanup(h.cleanUp)
	return h
}

// cleanUp ends a daemon that the test left.
func (h *helper) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := Stop(ctx, h.pidFile); err != nil && !errors.Is(err, ErrNotRunning) {
		h.t.Errorf("clean up: %v", err)
	}
	if h.t.Failed() {
		if log, err := os.ReadFile(h.log); err == nil {
			h.t.Logf("the daemon's log:\n%.1000s", log)
		}
	}
}

func (h *helper) command() *exec.Cmd {
	h.t.Helper()
	text, err := json.Marshal(h.plan)
	if err != nil {
		h.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(self, "start", "-flag")
	// Built with the race detector, each run would wait a second at its end.
	cmd.Env = append(os.Environ(), helperVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start runs the command that is typed, to its end.
func (h *helper) start() (out string, code int) {
	h.t.Helper()
	return h.runCommand(h.command())
}

func (h *helper) runCommand(cmd *exec.Cmd) (string, int) {
	h.t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// mustStart returns the daemon's process id.
func (h *helper) mustStart() int {
	h.t.Helper()
	out, code := h.start()
	return h.ready(out, code)
}

func (h *helper) ready(out string, code int) int {
	h.t.Helper()
	var pid int
	_, line, _ := strings.Cut(out, "ready ")
	if _, err := fmt.Sscan(line, &pid); err != nil || code != 0 {
		h.t.Fatalf("start: exit status %d, output:\n%s", code, out)
	}
	return pid
}

func (h *helper) signal(sig syscall.Signal) {
	h.t.Helper()
	if _, err := Signal(h.t.Context(), h.pidFile, sig); err != nil {
		h.t.Fatal(err)
	}
}

func (h *helper) stop() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	if _, err := Stop(ctx, h.pidFile); err != nil {
		h.t.Fatal(err)
	}
}

// await waits until the log has a line with the prefix, and returns the rest.
func (h *helper) await(prefix string) string {
	h.t.Helper()
	var log []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		log, _ = os.ReadFile(h.log) // not there yet
		for line := range strings.Lines(string(log)) {
			if rest, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(rest)
			}
		}
	}
	h.t.Fatalf("no line %q in the log:\n%s", prefix, log)
	return ""
}

func (h *helper) describe() *description {
	h.t.Helper()
	h.signal(syscall.SIGUSR1)
	return h.parse(h.await("description "))
}

func (h *helper) parse(text string) *description {
	h.t.Helper()
	var d description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		h.t.Fatal(err)
	}
	return &d
}

// meets holds the helper to every point, but for those named.
func (h *helper) meets(i *Inspection, but ...string) {
	h.t.Helper()
	for _, p := range i.Points {
		if p.Verdict != Fail && p.Verdict != Unknown || slices.Contains(but, p.Name) {
			continue
		}
		if p.Name == "mounts" && h.pinsNothingElse(i, p) {
			continue
		}
		h.t.Errorf("%s: %s: %v", p.Name, p.Verdict, p.Evidence)
	}
}

// pinsNothingElse tells whether each mount that the helper keeps busy is kept so
// by its log and its pidfile alone. The tests have to put them somewhere, and
// where /tmp is a file system of its own, they pin it.
func (h *helper) pinsNothingElse(i *Inspection, mounts Point) bool {
	var own []string
	for _, p := range i.Points {
		if p.Name != "descriptors" {
			continue
		}
		for _, line := range p.Evidence {
			if fd, target, _ := strings.Cut(line, " → "); target == h.log || target == h.pidFile {
				own = append(own, "descriptor "+fd)
			}
		}
	}
	for _, line := range mounts.Evidence {
		line, fails := strings.CutSuffix(line, ": umount fails")
		if !fails {
			continue
		}
		_, pins, _ := strings.Cut(line, " by ")
		for pin := range strings.SplitSeq(pins, ", ") {
			if !slices.Contains(own, pin) {
				return false
			}
		}
	}
	return mounts.Verdict == Fail
}

// child is the status of the child, as the kernel showed it.
func (d *description) child(t testing.TB) procStatus {
	t.Helper()
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte(d.Child), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := readStatus(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
