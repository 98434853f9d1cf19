package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// long is a limit that no test reaches.
const long = 10 * time.Minute

func TestCheck(t *testing.T) {
	d, _ := sensors.DriverByName("command")
	for _, tc := range []struct {
		name    string
		options map[string]string
		want    string // empty: valid
	}{
		{"absolute", map[string]string{"argv": "/bin/true"}, ""},
		{"missing", map[string]string{}, "argv: is missing"},
		{"empty", map[string]string{"argv": ""}, "not an absolute path"},
		{"relative, found", map[string]string{"argv": "sh"}, "write /"},
		{"relative, unknown", map[string]string{"argv": "no-such-program-here"}, "write its absolute path"},
		{"output", map[string]string{"argv": "/bin/true", "output": "json"}, "not one of number, prometheus, none"},
		{"env", map[string]string{"argv": "/bin/true", "env": sensors.JoinList("A=1", "B C=2")}, `"B C" can't be the name`},
		{"directory", map[string]string{"argv": "/bin/true", "directory": "tmp"}, "not an absolute path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := sensors.NewOptions(d, tc.options)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	w := newWorld(t, shell("echo ' 21.5 '; echo warning >&2"))
	w.Debug = true
	r, err := w.sense(t, long)
	if err != nil {
		t.Fatal(err)
	}
	if v := value(t, r, "sensor_value"); v != 21.5 {
		t.Errorf("got %v, want 21.5", v)
	}
	if v := value(t, r, "dormouse_command_exit_status"); v != 0 {
		t.Errorf("exit status %v, want 0", v)
	}
	if v := value(t, r, "dormouse_command_duration_seconds"); v <= 0 || v > long.Seconds() {
		t.Errorf("duration %v", v)
	}
	if !strings.Contains(w.Logged(), "warning") {
		t.Errorf("what it wrote to stderr isn't in the log: %s", w.Logged())
	}
}

func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options map[string]string
		reason  sensors.Reason
		status  float64
		want    []string
	}{
		{"status", shell("echo 5; echo first >&2; echo disk full >&2; exit 3"), sensors.Command, 3, []string{"exited with status 3", "first | disk full"}},
		{"status of a task", shell("echo nobody sees this; echo it broke >&2; exit 1", "output", "none"), sensors.Command, 1, []string{"exited with status 1", "it broke"}},
		{"only the last lines", shell("for i in 1 2 3 4 5; do echo line $i; done >&2; exit 1"), sensors.Command, 1, []string{": line 3 | line 4 | line 5"}},
		{"control characters", shell(`printf 'a\033[31mred\000\377\r\n' >&2; exit 1`), sensors.Command, 1, []string{": a [31mred ?"}},
		{"signal", shell("kill -TERM $$"), sensors.Command, 143, []string{"signal 15 (terminated)"}},
		{"nothing", shell(""), sensors.Command, 0, []string{"printed nothing", "output=none"}},
		{"no number", shell("echo 21,5"), sensors.Command, 0, []string{"something else than one number", "21,5"}},
		{"with a unit", shell("echo 21.5 C"), sensors.Command, 0, []string{"without the unit"}},
		{"two numbers", shell("echo 1; echo 2"), sensors.Command, 0, []string{"something else than one number"}},
		{"hexadecimal", shell("echo 0x1p4"), sensors.Command, 0, []string{"something else than one number"}},
		{"not a number", shell("echo NaN"), sensors.OutOfRange, 0, []string{`"NaN"`}},
		{"infinite", shell("echo -inf"), sensors.OutOfRange, 0, []string{`"-inf"`}},
		{"too large", shell("echo 1e999"), sensors.OutOfRange, 0, []string{`"1e999"`}},
		{"an essay", shell("yes | head -100"), sensors.Command, 0, []string{"200 bytes", "output=prometheus"}},
		{"bad metrics", shell("echo 'a b'", "output", "prometheus"), sensors.Command, 0, []string{"line 1"}},
		{"flood", shell("yes"), sensors.Command, 143, []string{"more than 1048576 bytes", "SIGTERM"}},
		{"flood of metrics", shell("yes 'a 1'", "output", "prometheus"), sensors.Command, 143, []string{"more than 1048576 bytes"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := newWorld(t, tc.options).sense(t, long)
			if err == nil {
				t.Fatalf("no error, and %d readings", len(r.Readings()))
			}
			if got := sensors.ReasonOf(err); got != tc.reason {
				t.Errorf("reason %s, want %s", got, tc.reason)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if len(r.Readings()) != 2 {
				t.Errorf("%d readings, want exit status and duration alone", len(r.Readings()))
			}
			if got := value(t, r, "dormouse_command_exit_status"); got != tc.status {
				t.Errorf("exit status %v, want %v", got, tc.status)
			}
		})
	}
}

func TestTask(t *testing.T) {
	// A task may print as much as it likes: only the end is kept.
	r, err := newWorld(t, shell("yes | head -c 2000000; yes | head -c 100000 >&2", "output", "none")).sense(t, long)
	if err == nil {
		if len(r.Readings()) != 2 {
			t.Errorf("%d readings, want exit status and duration", len(r.Readings()))
		}
		return
	}
	t.Error(err)
}

func TestTranscript(t *testing.T) {
	var said transcript
	for i := range 10_000 {
		said.stdout(fmt.Appendf(nil, "%09d\n", i))
		said.stderr(fmt.Appendf(nil, "%08dE\n", i))
	}
	text, cut := said.text()
	if len(text) != keptOutput || cut != 200_000-keptOutput || !strings.HasSuffix(text, "000009998\n00009998E\n000009999\n00009999E\n") {
		t.Errorf("keeps %d bytes and has cut %d; they end in %q", len(text), cut, text[len(text)-40:])
	}
	if got := said.lastWords(); got != "00009997E | 00009998E | 00009999E" {
		t.Errorf("the last words are %q", got)
	}
	var long transcript
	long.stderr([]byte(strings.Repeat("€", 1000)))
	if got := long.lastWords(); len(got) > 310 || !strings.HasPrefix(got, "…€") || !strings.HasSuffix(got, "€") {
		t.Errorf("a long line becomes %d bytes: %q", len(got), got)
	}
}

// Both outputs are kept in the order in which they arrive.
func TestOrderOfArrival(t *testing.T) {
	var said transcript
	var writers [2]*io.PipeWriter
	ended := make(chan error, len(writers))
	for i := range writers {
		in, out := io.Pipe()
		writers[i] = out
		go func() { ended <- said.copy(in, i == 1) }()
	}
	for _, piece := range []struct {
		to   int
		text string
	}{{0, "out\n"}, {1, "err\n"}, {0, "more\n"}} {
		// The second write returns when somebody reads again: the text was taken over.
		for _, text := range []string{piece.text, ""} {
			if _, err := io.WriteString(writers[piece.to], text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range writers {
		if err := errors.Join(w.Close(), <-ended); err != nil {
			t.Error(err)
		}
	}
	if text, _ := said.text(); text != "out\nerr\nmore\n" {
		t.Errorf("kept %q", text)
	}
}

// Whether two runs wrote the same doesn't depend on which of both outputs arrives
// first, nor on its pieces.
func TestDigest(t *testing.T) {
	digest := func(pieces ...string) string { // ">x" goes to the standard error
		var said transcript
		for _, p := range pieces {
			if text, ok := strings.CutPrefix(p, ">"); ok {
				said.stderr([]byte(text))
			} else {
				said.stdout([]byte(p))
			}
		}
		return said.digest()
	}
	same := digest("out", ">err")
	for _, pieces := range [][]string{{">err", "out"}, {"o", ">e", "ut", ">rr"}} {
		if digest(pieces...) != same {
			t.Errorf("%q is another output", pieces)
		}
	}
	for _, pieces := range [][]string{{"out", "err"}, {">out", "err"}, {"out"}, {">err"}, {"tou", ">err"}, {}} {
		if digest(pieces...) == same {
			t.Errorf("%q is the same output", pieces)
		}
	}
	if d := digest(); d != "" {
		t.Errorf("no output at all gives %q", d)
	}
}

// TestChildrenDie: a pipe that every process of the run holds open tells when
// the last of them is gone.
func TestChildrenDie(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		want         string
	}{
		{"the program", "echo >$UP; exec sleep 1000", "still ran"},
		{"its children", "sleep 1000 & sh -c 'sleep 1000 & echo >$UP; wait' & wait", "still ran"},
		{"children it left behind", "sleep 1000 & echo >$UP; echo 5", "held its output open"},
		{"a program that ignores signals", "trap '' TERM INT HUP; echo >$UP; while :; do sleep 1000; done", "still ran"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			dir := t.TempDir()
			pid, fifo, up := filepath.Join(dir, "pid"), filepath.Join(dir, "alive"), filepath.Join(dir, "up")
			if err := errors.Join(syscall.Mkfifo(fifo, 0o600), syscall.Mkfifo(up, 0o600)); err != nil {
				t.Fatal(err)
			}
			alive := make(chan error, 1)
			go func() {
				f, err := os.Open(fifo)
				if err == nil {
					_, err = io.Copy(io.Discard, f)
					f.Close()
				}
				alive <- err
			}()
			w := newWorld(t, shell("echo $$ >$PID; exec 9>$FIFO; echo cleaning up >&2; "+tc.script, "env", sensors.JoinList("PID="+pid, "FIFO="+fifo, "UP="+up)))
			r, err := w.senseUntil(t, func() {
				if _, err := os.ReadFile(up); err != nil {
					t.Error(err)
				}
				if strings.HasPrefix(tc.want, "held") {
					eventually(func() bool { return isOver(pid) })
				}
			})
			if sensors.ReasonOf(err) != sensors.Timeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a time-out", err)
			}
			for _, want := range []string{tc.want, "cleaning up"} {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			value(t, r, "dormouse_command_exit_status")
			if err := <-alive; err != nil { // ends only when nobody is left
				t.Error(err)
			}
		})
	}
}

// TestStrayHoldsThePipe: a process that left the group can't be killed with
// it, and must not keep the daemon waiting.
func TestStrayHoldsThePipe(t *testing.T) {
	dir := t.TempDir()
	shellPID, pid := filepath.Join(dir, "shell"), filepath.Join(dir, "pid")
	w := newWorld(t, shell("echo $$ >$SHELLPID; setsid sleep 1000 & echo $! >$PIDFILE; echo 5", "env", sensors.JoinList("SHELLPID="+shellPID, "PIDFILE="+pid)))
	t.Cleanup(func() {
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		stray, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(stray, syscall.SIGKILL); err != nil {
			t.Errorf("the stray is gone, so the test proved nothing: %v", err)
		}
	})
	began := time.Now()
	_, err := w.senseUntil(t, func() {
		eventually(func() bool {
			stray, ok := in(pid)
			return ok && stray.session == stray.pid && isOver(shellPID)
		})
	})
	if sensors.ReasonOf(err) != sensors.Timeout || !strings.Contains(err.Error(), "held its output open") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 8*time.Minute { // it sleeps for 1000 s
		t.Errorf("it took %v: the stray was waited for", took)
	}
}

func TestCancelled(t *testing.T) {
	w := newWorld(t, shell("echo up >&2; exec sleep 1000"))
	s, err := openCommand(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var r sensors.Report
	done := make(chan error, 1)
	go func() { done <- s.Sense(ctx, &r) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be cancelled", err)
	}
}

// TestWorldOfAProgram: what a program finds, and what it doesn't.
func TestWorldOfAProgram(t *testing.T) {
	t.Setenv("DORMOUSE_SECRET", "must not be inherited")
	// What this test itself inherited isn't ours; the daemon does the same.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	// The descriptors are listed without a pipeline, whose pipe the shell may hold
	// for a moment.
	script := `exec >"$OUT"; env | sort; pwd; ls -l /proc/$$/fd >fds; sed -n '/fds$/d; s/.* -> //p' fds; cut -d' ' -f1,5,6 /proc/$$/stat; cat; echo end`
	w := newWorld(t, shell(script, "output", "none", "directory", dir,
		"env", sensors.JoinList("OUT="+out, "HOME=/elsewhere", "WITH=a=b c")))
	if _, err := w.sense(t, long); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	// A user without an account, as in many a container, has no name to tell.
	var account []string
	if me, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		account = []string{"LOGNAME=" + me.Username, "USER=" + me.Username}
	}
	var got []string
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		line := scan.Text()
		if strings.HasPrefix(line, "pipe:") {
			line = "pipe"
		}
		if ids := strings.Fields(line); len(ids) == 3 {
			if pid := ids[0]; ids[1] == pid && ids[2] == pid {
				line = "leads its group and session"
			}
		}
		got = append(got, line)
	}
	// PWD, OLDPWD, SHLVL and _ are the shell's own.
	got = without(got, "PWD=", "OLDPWD=", "SHLVL=", "_=")
	environment := append([]string{"HOME=/elsewhere", "LANG=C.UTF-8", "OUT=" + out, "PATH=" + path, "WITH=a=b c"}, account...)
	slices.Sort(environment)
	want := append(environment,
		dir,
		"/dev/null", out, "pipe",
		"leads its group and session",
		"end", // and cat read nothing
	)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func without(lines []string, prefixes ...string) []string {
	var kept []string
next:
	for _, l := range lines {
		for _, p := range prefixes {
			if strings.HasPrefix(l, p) {
				continue next
			}
		}
		kept = append(kept, l)
	}
	return kept
}

// anotherUser is an account that isn't root's or this process's. Every system has
// one, and a program can't run as another user where there is none.
func anotherUser(t *testing.T) *user.User {
	t.Helper()
	accounts, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(accounts)) {
		name, _, _ := strings.Cut(line, ":")
		if u, err := user.Lookup(name); err == nil && u.Uid != "0" && u.Uid != strconv.Itoa(os.Getuid()) {
			return u
		}
	}
	t.Fatal("/etc/passwd has no account but root's and this user's, so running a program as another user can't be shown: add one")
	return nil
}

// As root the program runs as the other user; anybody else sees the refusal.
func TestUser(t *testing.T) {
	u := anotherUser(t)
	script := `exec >"$OUT"; id -u; id -g; id -G; echo $USER $HOME`
	out := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(out, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	// The umask may have taken the others' bit, and TempDir shuts out others.
	for p := out; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, shell(script, "output", "none", "user", u.Username, "env", "OUT="+out))
	_, err := w.sense(t, long)
	if os.Getuid() != 0 {
		if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "only root") {
			t.Errorf("got %v, want EPERM with advice", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{}
	if _, err := p.become(u.Username); err != nil {
		t.Fatal(err)
	}
	if got := strings.Trim(fmt.Sprint(p.account.Groups), "[]"); got != strings.Join(groups, " ") {
		t.Errorf("it would have the groups %s, want %s", got, groups)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{u.Uid, u.Gid, strings.Join(groups, " "), u.Username + " " + u.HomeDir, ""}, "\n")
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOwnUserNeedsNoPrivilege(t *testing.T) {
	me, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil { // no account: a name can't mean this process's user
		if _, err := openCommand(t.Context(), newWorld(t, shell("echo 1", "user", strconv.Itoa(os.Getuid())))); !errors.As(err, new(user.UnknownUserError)) {
			t.Errorf("got %v, want that there is no such user", err)
		}
		return
	}
	s, err := openCommand(t.Context(), newWorld(t, shell("echo 1", "user", me.Username)))
	if err != nil {
		t.Fatal(err)
	}
	if s.(*program).account != nil {
		t.Error("it would set groups, which needs privileges")
	}
}

// TestCannotStart: everything that keeps a program from running, with advice.
func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tc := range []struct {
		name    string
		options map[string]string
		errno   error
		want    string
	}{
		{"missing", map[string]string{"argv": "/no/such/program"}, syscall.ENOENT, "/no/such/program"},
		{"a directory", map[string]string{"argv": dir}, syscall.EISDIR, dir},
		{"not executable", map[string]string{"argv": script("plain", "#!/bin/sh\n", 0o644)}, syscall.EACCES, "chmod +x"},
		{"no interpreter", map[string]string{"argv": script("python", "#!/usr/bin/python9\nprint(1)\n", 0o755)}, syscall.ENOENT, `"#!/usr/bin/python9"`},
		{"the line ends of Windows", map[string]string{"argv": script("crlf", "#!/bin/sh\r\necho 1\r\n", 0o755)}, syscall.ENOENT, "its lines end as on Windows"},
		{"no first line", map[string]string{"argv": script("text", "echo 1\n", 0o755)}, syscall.ENOEXEC, "#!"},
		{"no directory", shell("echo 1", "directory", "/no/such/directory"), syscall.ENOENT, "directory"},
		{"directory is a file", shell("echo 1", "directory", script("file", "", 0o644)), syscall.ENOTDIR, "directory"},
		{"no such user", shell("echo 1", "user", "nobody-of-that-name"), nil, "nobody-of-that-name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := openCommand(t.Context(), newWorld(t, tc.options))
			var r sensors.Report
			if err == nil {
				err = s.Sense(t.Context(), &r)
			}
			if err == nil || sensors.ReasonOf(err) != sensors.Command || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
			if tc.errno != nil && !errors.Is(err, tc.errno) {
				t.Errorf("%v has lost its errno %v", err, tc.errno)
			}
			if len(r.Readings()) != 0 {
				t.Errorf("nothing ran, and yet there are %d readings", len(r.Readings()))
			}
		})
	}
}

func TestStartErrors(t *testing.T) {
	s, err := openCommand(t.Context(), newWorld(t, shell("echo 1")))
	if err != nil {
		t.Fatal(err)
	}
	p := s.(*program)
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES} {
		p.env = refusing{p.env, errno}
		var r sensors.Report
		err := p.Sense(t.Context(), &r)
		if !errors.Is(err, errno) || sensors.ReasonOf(err) != sensors.Command {
			t.Errorf("got %v, want %v kept", err, errno)
		}
		if errno == syscall.EPERM && !strings.Contains(err.Error(), "NoNewPrivileges=") {
			t.Errorf("no advice in: %v", err)
		}
	}
}

// refusing is an environment whose system starts nothing.
type refusing struct {
	sensors.Env
	errno syscall.Errno
}

func (r refusing) Start(*exec.Cmd) error {
	return &os.PathError{Op: "fork/exec", Path: "/bin/sh", Err: r.errno}
}

// stealing is an environment in which somebody else, a PID 1's reaper say,
// takes the status of programs.
type stealing struct{ sensors.Env }

func (s stealing) Start(cmd *exec.Cmd) error {
	if err := s.Env.Start(cmd); err != nil {
		return err
	}
	_, err := syscall.Wait4(cmd.Process.Pid, nil, 0, nil)
	return err
}

func TestStolenStatus(t *testing.T) {
	s, err := openCommand(t.Context(), stealing{newWorld(t, shell("echo 5"))})
	if err != nil {
		t.Fatal(err)
	}
	var r sensors.Report
	if err := s.Sense(t.Context(), &r); !errors.Is(err, syscall.ECHILD) || len(r.Readings()) != 0 {
		t.Errorf("got %v and %d readings, want ECHILD and none", err, len(r.Readings()))
	}
}

func TestEndedBeforeStart(t *testing.T) {
	w := newWorld(t, shell("echo ran >$OUT", "env", "OUT="+filepath.Join(t.TempDir(), "out")))
	s, err := openCommand(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var r sensors.Report
	if err := s.Sense(ctx, &r); !errors.Is(err, context.Canceled) || len(r.Readings()) != 0 {
		t.Errorf("got %v and %d readings, want it not to be run", err, len(r.Readings()))
	}
}

func TestLeftInPeace(t *testing.T) {
	// A child that holds nothing of ours may outlive the program, as under cron.
	fifo := filepath.Join(t.TempDir(), "go")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, shell("{ read x <$FIFO; echo still here >$FIFO; } >/dev/null 2>&1 & echo 5", "env", "FIFO="+fifo))
	if _, err := w.sense(t, long); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fifo)
	if err != nil || string(text) != "still here\n" {
		t.Errorf("got %q, %v", text, err)
	}
}
