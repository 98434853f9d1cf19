package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// TestEnding: what a program is given before it is killed, and what becomes of
// it and of what it started. Each is up when it has written to $UP.
func TestEnding(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		killAfter    string
		status       float64
		says         []string // of the error
		logs         []string
		output       string
	}{
		{"it ends at SIGTERM", "echo up; echo >$UP; exec sleep 1000", "30s", 143, []string{"still ran", "was ended with all of its session by SIGTERM"}, []string{"by=SIGTERM", `because="its time was up"`}, "up\n"},
		{"it cleans up", "exec 2>/dev/null; trap 'echo bye; exit 3' TERM; echo up; echo >$UP; while :; do sleep 0.05; done", "30s", 3, []string{"by SIGTERM"}, []string{"by=SIGTERM"}, "up\nbye\n"},
		{"it takes SIGTERM for success", "exec 2>/dev/null; trap 'exit 0' TERM; echo up; echo >$UP; while :; do sleep 0.05; done", "30s", 137, []string{"by SIGTERM"}, []string{"by=SIGTERM"}, "up\n"},
		{"it ignores it", "trap '' TERM; echo up; echo >$UP; while :; do sleep 1000; done", "200ms", 137, []string{"was killed with all of its session, ", " after SIGTERM"}, []string{"by=SIGKILL"}, "up\n"},
		{"at once", "trap '' TERM; echo up; echo >$UP; while :; do sleep 1000; done", "0s", 137, []string{"was killed"}, []string{"by=SIGKILL"}, "up\n"},
		// timeout(1) leads a process group of its own, as a shell's jobs do.
		{"another group", "echo up; timeout 1000 sh -c 'echo >$UP; exec sleep 1000' & wait", "30s", 143, []string{"by SIGTERM"}, []string{"by=SIGTERM"}, "up\n"},
		{"one in another group that ignores it", "echo up; timeout 1000 sh -c 'trap \"\" TERM; echo >$UP; while :; do sleep 1000; done' & wait", "300ms", 143, []string{"was killed"}, []string{"by=SIGKILL"}, "up\n"},
		{"what it left behind", "echo up; timeout 1000 sh -c 'echo >$UP; exec sleep 1000' &", "30s", 137, []string{"held its output open", "by SIGTERM"}, []string{"by=SIGTERM"}, "up\n"},
		{"what it left behind without its output", "echo up; timeout 1000 sh -c 'echo >$UP; exec sleep 1000' >/dev/null 2>&1 & sleep 1000", "30s", 143, []string{"by SIGTERM"}, []string{"by=SIGTERM"}, "up\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pid, up := filepath.Join(dir, "pid"), filepath.Join(dir, "up")
			if err := unix.Mkfifo(up, 0o600); err != nil {
				t.Fatal(err)
			}
			w := worldOf(t, "task", shell("echo $$ >$PID; "+tc.script, "kill-after", tc.killAfter, "env", sensors.JoinList("PID="+pid, "UP="+up)))
			r, err := w.senseUntil(t, func() {
				if _, err := os.ReadFile(up); err != nil {
					t.Error(err)
				}
				if strings.HasSuffix(tc.script, "&") { // it leaves its child behind
					eventually(func() bool { return isOver(pid) })
				}
			})
			if sensors.ReasonOf(err) != sensors.Timeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a time-out", err)
			}
			for _, want := range tc.says {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			for _, want := range tc.logs {
				if !strings.Contains(w.Logged(), want) {
					t.Errorf("%q is not in the log: %s", want, w.Logged())
				}
			}
			if got := value(t, r, "dormouse_command_exit_status"); got != tc.status {
				t.Errorf("exit status %v, want %v", got, tc.status)
			}
			if run := r.Run(); run == nil || run.Output != tc.output || run.Status != int(tc.status) || run.Err == nil {
				t.Errorf("the run is %+v", run)
			}
			text, err := os.ReadFile(pid)
			if err != nil {
				t.Fatal(err)
			}
			session, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if left := members(session); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestStrays: processes that left the session are named and not claimed to be
// ended: while their parents live, and when they hold the output.
func TestStrays(t *testing.T) {
	for name, script := range map[string]string{
		"a child":              "setsid sleep 999 & echo $! >$PID; wait",
		"one without a parent": "sh -c 'echo $$ >$PARENT; setsid sleep 999 & echo $! >$PID'; sleep 1000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pid, parent := filepath.Join(dir, "pid"), filepath.Join(dir, "parent")
			w := worldOf(t, "task", shell(script, "kill-after", "2s", "env", sensors.JoinList("PID="+pid, "PARENT="+parent)))
			_, err := w.senseUntil(t, func() {
				eventually(func() bool {
					_, hasParent := in(parent)
					stray, ok := in(pid)
					return ok && !hasParent && stray.name == "sleep" && stray.session == stray.pid
				})
			})
			text, readErr := os.ReadFile(pid)
			if readErr != nil {
				t.Fatal(readErr)
			}
			stray, readErr := strconv.Atoi(strings.TrimSpace(string(text)))
			if readErr != nil {
				t.Fatal(readErr)
			}
			t.Cleanup(func() {
				if err := syscall.Kill(stray, syscall.SIGKILL); err != nil {
					t.Errorf("the stray is gone, so the test proved nothing: %v", err)
				}
			})
			for _, text := range []string{fmt.Sprint(err), w.Logged()} {
				if want := fmt.Sprintf("sleep (%d)", stray); !strings.Contains(text, want) || !strings.Contains(text, "left the") {
					t.Errorf("%s is not in: %s", want, text)
				}
			}
		})
	}
}

// A reload, a supply that fails and the daemon's stop end the program in the same
// way, and the log has which.
func TestStopped(t *testing.T) {
	for because, cause := range map[string]error{"the daemon stops": nil, "its configuration changed": errors.New("its configuration changed")} {
		t.Run(because, func(t *testing.T) { stopped(t, because, cause) })
	}
}

func stopped(t *testing.T, because string, cause error) {
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	if err := unix.Mkfifo(up, 0o600); err != nil {
		t.Fatal(err)
	}
	w := worldOf(t, "task", shell(`exec 2>/dev/null; trap 'echo cleaned up; exit 0' TERM; echo >$UP; while :; do sleep 0.05; done`, "env", "UP="+up))
	s, err := openTask(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var r sensors.Report
	done := make(chan error, 1)
	go func() { done <- s.Sense(ctx, &r) }()
	if _, err := os.ReadFile(up); err != nil { // it has set its trap
		t.Fatal(err)
	}
	cancel(cause)
	err = <-done
	if !errors.Is(err, context.Cause(ctx)) || !strings.Contains(err.Error(), "by SIGTERM") {
		t.Errorf("got %v", err)
	}
	if run := r.Run(); run == nil || run.Output != "cleaned up\n" {
		t.Errorf("the run is %+v", run)
	}
	if !strings.Contains(w.Logged(), fmt.Sprintf("because=%q by=SIGTERM", because)) {
		t.Errorf("the log says %s", w.Logged())
	}
}

// late is an environment in which what watches a program says that it is over
// only when the clock is read for the second time.
type late struct {
	sensors.Env
	exit  chan error
	reads int
}

func (l *late) Now() sensors.Instant {
	if l.reads++; l.reads == 2 {
		l.exit <- nil
	}
	return l.Env.Now()
}

// A program that is over when its time is up didn't run for too long, though what
// watches it hasn't said so yet.
func TestEndedAtTheSameMoment(t *testing.T) {
	w := worldOf(t, "task", shell(""))
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := waitExit(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	x := &execution{cmd: cmd, ran: &ran{began: w.Now()}, pid: cmd.Process.Pid, exit: make(chan error, 1)}
	x.env = &late{Env: w, exit: x.exit}
	x.end(context.DeadlineExceeded)
	if err := x.status(); err != nil || !strings.Contains(fmt.Sprint(x.ran.ended), "ended, but what it started held its output open") {
		t.Errorf("%v, %v", x.ran.ended, err)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]process{
		"17 (sh) S 1 17 17 0 -1":            {pid: 17, parent: 1, group: 17, session: 17, name: "sh"},
		"17 (a) b) c (d) Z 1 2 3 0":         {pid: 17, parent: 1, group: 2, session: 3, name: "a) b) c (d", zombie: true},
		"4 (name with blanks) R 0 -1 0 0 0": {pid: 4, parent: 0, group: -1, session: 0, name: "name with blanks"},
	} {
		if got, ok := parseStat(text); !ok || got != want {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "17", "17 (", "17 (sh", "17 (sh)", "17 (sh) S 1 2", "x (sh) S 1 2 3", "17 (sh) S 1 y 3"} {
		if got, ok := parseStat(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if !slices.ContainsFunc(processes(), func(p process) bool { return p.pid == os.Getpid() && p.parent == os.Getppid() }) {
		t.Error("this process isn't among all")
	}
}
