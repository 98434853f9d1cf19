package command

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"golang.org/x/sys/unix"
)

func TestCheckOfTasks(t *testing.T) {
	d := sensortest.Driver(t, "task")
	for _, tc := range []struct{ key, value, want string }{
		{"umask", "027", ""},
		{"umask", "0077", ""},
		{"umask", "1000", "not an octal mask"},
		{"umask", "28", "not an octal mask"},
		{"umask", "-1", "not an octal mask"},
		{"nice", "10", ""},
		{"nice", "20", "outside -20 to 19"},
		{"log", "all", ""},
		{"log", "none", "not one of failures, all"},
		{"kill-after", "0s", ""},
		{"kill-after", "2h", "outside"},
		{"on-failure", sensors.JoinList("sendmail", "root"), "on-failure: \"sendmail\" is not an absolute path"},
		{"on-recovery", "curl", "on-recovery: \"curl\" is not an absolute path"},
		{"environment-file", "secrets", "not an absolute path"},
		{"output", "none", "not a key of driver task"},
	} {
		_, err := sensors.NewOptions(d, map[string]string{"argv": "/bin/true", tc.key: tc.value})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s=%s: got %v, want %q", tc.key, tc.value, err, tc.want)
		}
	}
}

// TestUmaskAndNice: the program has them, and the daemon's own stay.
func TestUmaskAndNice(t *testing.T) {
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	mask := unix.Umask(0o022)
	defer unix.Umask(mask)
	for range 20 { // on whichever threads
		w := worldOf(t, "task", shell("umask; nice; cut -d' ' -f19 /proc/self/stat", "umask", "027", "nice", "3"))
		r, err := w.sense(t, long)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("0027\n%d\n%[1]d\n", min(20-own+3, 19)); r.Run().Output != want { // 19 is the most there is
			t.Errorf("got %q, want %q", r.Run().Output, want)
		}
		plain, err := worldOf(t, "task", shell("umask; nice")).sense(t, long)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("0022\n%d\n", 20-own); plain.Run().Output != want {
			t.Errorf("without them: got %q, want %q", plain.Run().Output, want)
		}
	}
	if after, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || after != own {
		t.Errorf("this process has %d now, %v", after, err)
	}
	if after := unix.Umask(0o022); after != 0o022 {
		t.Errorf("this process has the umask %o now", after)
	}
}

// A nice value that isn't allowed is an error with advice, and nothing runs.
func TestNiceRefused(t *testing.T) {
	errs := make(chan error, 1)
	go lockAndDropNice(errs, launch{nice: -5}) // the thread ends with the goroutine
	err := <-errs
	if !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_SYS_NICE") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\n; another\n\nTOKEN=abc=1 2\nQUOTED=\"a \\\"b\\\" \\$c\"\nSINGLE='x \"y\"'\nexport SHELLY=1\nEMPTY=\nWINS=file\nPATH=/opt/bin\n")
	w := worldOf(t, "task", map[string]string{"argv": sensors.JoinList("/usr/bin/env"), "environment-file": file, "env": "WINS=option"})
	r, err := w.sense(t, long)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(r.Run().Output, "\n")
	for _, want := range []string{"TOKEN=abc=1 2", `QUOTED=a "b" $c`, `SINGLE=x "y"`, "SHELLY=1", "EMPTY=", "WINS=option", "PATH=/opt/bin", "LANG=C.UTF-8"} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is not in %q", want, lines)
		}
	}
	// It is read at each run.
	write("TOKEN=other\n")
	if r, err = w.sense(t, long); err != nil || !strings.Contains(r.Run().Output, "TOKEN=other\n") {
		t.Errorf("got %v, %v", r.Run(), err)
	}
	for text, want := range map[string]string{
		"A=1\nB\n":                             `:2: "B" is not NAME=VALUE`,
		"A B=1\n":                              "is not NAME=VALUE",
		"A=\"x\n":                              "isn't closed",
		"A='\n":                                "isn't closed",
		strings.Repeat("A=1234567890\n", 6000): "more than 65536 bytes",
	} {
		write(text)
		if _, err := w.sense(t, long); sensors.ReasonOf(err) != sensors.Command || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%.20q: got %v, want %q", text, err, want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sense(t, long); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("without the file: %v", err)
	}
	// A FIFO must not hold the daemon up.
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.sense(t, long); !errors.Is(err, errNotRegular) {
		t.Errorf("a FIFO: %v", err)
	}
}

// outcome of a run with that status.
func outcome(t *testing.T, w world, changed, repeated bool) sensors.Outcome {
	t.Helper()
	r, err := w.sense(t, long)
	return sensors.Outcome{Err: err, Run: r.Run(), Changed: changed, Repeated: repeated}
}

func TestOutputIsLogged(t *testing.T) {
	for _, tc := range []struct {
		name, script, log string
		repeated          bool
		want              string // in the log; empty: nothing is logged
	}{
		{"a failure", "echo out; echo err >&2; exit 1", "failures", false, `msg="output of the failed run" status=1`},
		{"the same failure again", "echo out; exit 1", "failures", true, ""},
		{"the same again, of all", "echo out; exit 1", "all", true, `output=out`},
		{"a success", "echo out", "failures", false, ""},
		{"a success, of all", "echo out; echo more", "all", false, `msg="output of the run" status=0`},
		{"a failure without a word", "exit 1", "failures", false, ""},
		{"a long one", "seq 1 10000; exit 1", "failures", false, "cut_bytes="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := worldOf(t, "task", shell(tc.script, "log", tc.log))
			ended(w, outcome(t, w, false, tc.repeated))
			if got := w.Logged(); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("logged %.300q, want %q", got, tc.want)
			}
		})
	}
	// Which of both arrives first depends on the machine: TestOrderOfArrival.
	w := worldOf(t, "task", shell("echo out; echo err >&2; exit 1"))
	ended(w, outcome(t, w, false, false))
	if log := w.Logged(); !strings.Contains(log, `output="out\nerr"`) && !strings.Contains(log, `output="err\nout"`) {
		t.Errorf("logged %s", log)
	}
}

// TestHooks: once per change, with what happened in the environment.
func TestHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := sensors.JoinList("/bin/sh", "-c", `printf '%s|%s|%s|%s|%s|%s\n' "$1" "$DORMOUSE_NAME" "$DORMOUSE_STATUS" "$DORMOUSE_REASON" "$DORMOUSE_ERROR" "$DORMOUSE_OUTPUT" >>'`+out+`'`, "hook")
	told := func(t *testing.T, w world, o sensors.Outcome) string {
		t.Helper()
		if err := os.WriteFile(out, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if hook := ended(w, o); hook != nil {
			hook(t.Context())
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	options := func(script string) map[string]string {
		return shell(script, "on-failure", hook+"\x00failed", "on-recovery", hook+"\x00recovered")
	}
	bad := worldOf(t, "task", options("echo disk full >&2; exit 7"))
	if got, want := told(t, bad, outcome(t, bad, true, false)), "failed|test|7|command|/bin/sh exited with status 7: disk full|disk full\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := told(t, bad, outcome(t, bad, false, true)); got != "" {
		t.Errorf("without a change: %q", got)
	}
	good := worldOf(t, "task", options("echo done"))
	if got, want := told(t, good, outcome(t, good, true, false)), "recovered|test|0|||done\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// One that was never started has a reason and no status.
	if got, want := told(t, bad, sensors.Outcome{Err: sensors.Errorf(sensors.Command, "program: gone"), Changed: true}), "failed|test||command|program: gone|\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for script, want := range map[string]string{"exit 3": "exited with status 3", "kill -9 $$": "signal 9"} {
		w := worldOf(t, "task", shell("exit 1", "on-failure", sensors.JoinList("/bin/sh", "-c", script)))
		ended(w, outcome(t, w, true, false))(t.Context())
		if !strings.Contains(w.Logged(), "option=on-failure") || !strings.Contains(w.Logged(), want) {
			t.Errorf("%s: logged %s", script, w.Logged())
		}
	}
	w := worldOf(t, "task", shell("exit 1", "on-failure", "/no/such/program"))
	ended(w, outcome(t, w, true, false))(t.Context())
	if !strings.Contains(w.Logged(), "no such file") {
		t.Errorf("logged %s", w.Logged())
	}
}

// TestHookIsEnded: like any program, at its time or at the end of the daemon.
func TestHookIsEnded(t *testing.T) {
	for why, end := range map[string]func(*alarm.Fake, *alarm.Context){
		"its time was up":  func(clock *alarm.Fake, _ *alarm.Context) { clock.Advance(time.Second) },
		"the daemon stops": func(_ *alarm.Fake, ctx *alarm.Context) { ctx.Cancel() },
	} {
		begun := filepath.Join(t.TempDir(), "begun")
		w := worldOf(t, "task", shell("exit 1", "on-failure", sensors.JoinList("/bin/sh", "-c", "echo >"+begun+"; sleep 1000")))
		clock := alarm.NewFake(1, time.Time{})
		ctx := clock.WithDeadline(t.Context(), clock.Now().Add(time.Second))
		go func() {
			eventually(func() bool { _, err := os.Stat(begun); return err == nil })
			end(clock, ctx)
		}()
		ended(w, outcome(t, w, true, false))(ctx)
		ctx.Cancel()
		if err := clock.Close(); err != nil {
			t.Error(err)
		}
		if logged := w.Logged(); !strings.Contains(logged, `because="`+why+`" by=SIGTERM`) || !strings.Contains(logged, "option=on-failure") {
			t.Errorf("%s: logged %s", why, logged)
		}
	}
}

// TestVerify finds what would keep a program from starting, as another user.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, text string, mode os.FileMode) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	shut := put("shut/prog", "#!/bin/sh\n", 0o755)
	if err := os.Chmod(filepath.Dir(shut), 0o700); err != nil {
		t.Fatal(err)
	}
	good := put("good", "#!/bin/sh\n", 0o755)
	stranger := sensors.Account{UID: 64321, GID: 64321}
	owner := sensors.Account{UID: os.Getuid(), GID: os.Getgid()}
	root := sensors.Account{}
	for _, tc := range []struct {
		name    string
		options map[string]string
		by      sensors.Account
		want    string // empty: nothing is found
	}{
		{"a script", map[string]string{"argv": good}, stranger, ""},
		{"a program", map[string]string{"argv": "/bin/true"}, stranger, ""},
		{"missing", map[string]string{"argv": dir + "/no"}, stranger, "argv: stat " + dir + "/no: no such file"},
		{"with its arguments", map[string]string{"argv": good + " --from /srv/data"}, stranger, good + " is there: write its arguments as elements of their own, as in argv: [" + good + ", …]"},
		{"a directory", map[string]string{"argv": dir}, owner, "is a directory"},
		{"not executable", map[string]string{"argv": put("plain", "#!/bin/sh\n", 0o644)}, root, "(chmod +x "},
		{"only by its owner", map[string]string{"argv": put("mine", "#!/bin/sh\n", 0o700)}, stranger, "user 64321 may not execute"},
		{"its owner's", map[string]string{"argv": put("mine", "#!/bin/sh\n", 0o700)}, owner, ""},
		{"by its group", map[string]string{"argv": put("ours", "#!/bin/sh\n", 0o710)}, sensors.Account{UID: 64321, GID: 1, Groups: []int{os.Getgid()}}, ""},
		{"below a directory that is shut", map[string]string{"argv": shut}, stranger, "may not search " + filepath.Dir(shut)},
		{"no interpreter", map[string]string{"argv": put("py9", "#!/usr/bin/python9\n", 0o755)}, stranger, "/usr/bin/python9"},
		{"env finds it", map[string]string{"argv": put("env", "#!/usr/bin/env sh\n", 0o755)}, stranger, ""},
		{"env finds nothing", map[string]string{"argv": put("env9", "#!/usr/bin/env python9\n", 0o755)}, stranger, "there is no python9 in /usr/local/sbin:"},
		{"env with options", map[string]string{"argv": put("envS", "#!/usr/bin/env -S python9 -u\n", 0o755)}, stranger, ""},
		{"an empty first line", map[string]string{"argv": put("hash", "#!\n", 0o755)}, stranger, "names no interpreter"},
		{"the line ends of Windows", map[string]string{"argv": put("crlf", "#!/bin/sh\r\necho\r\n", 0o755)}, stranger, `its first line is "#!/bin/sh\r": its lines end as on Windows`},
		{"those with env", map[string]string{"argv": put("crlf2", "#!/usr/bin/env sh\r\n", 0o755)}, stranger, "its lines end as on Windows"},
		{"no first line", map[string]string{"argv": put("py", "import time\n", 0o755)}, stranger, "nor a script that begins with #!"},
		{"an empty file", map[string]string{"argv": put("empty", "", 0o755)}, stranger, "nor a script that begins with #!"},
		{"no directory", map[string]string{"argv": good, "directory": dir + "/no"}, stranger, "directory: stat "},
		{"directory is a file", map[string]string{"argv": good, "directory": good}, stranger, "not a directory"},
		{"a directory that is shut", map[string]string{"argv": good, "directory": filepath.Dir(shut)}, stranger, "may not search"},
		{"a hook", map[string]string{"argv": good, "on-failure": dir + "/no"}, stranger, "on-failure: stat "},
		{"an environment file that others may not read", map[string]string{"argv": good, "environment-file": put("env1", "A=1\n", 0o600)}, stranger, "environment-file: user 64321 may not read"},
		{"an environment file that is wrong", map[string]string{"argv": good, "environment-file": put("env2", "A\n", 0o644)}, stranger, "is not NAME=VALUE"},
		{"a user that isn't there", map[string]string{"argv": good, "user": "nobody-of-that-name"}, root, "nobody-of-that-name"},
		{"as another, and not root", map[string]string{"argv": good, "user": "nobody"}, stranger, "only root can run a program as nobody"},
		{"as another", map[string]string{"argv": put("mine", "#!/bin/sh\n", 0o700), "user": "nobody"}, root, "may not execute"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sensortest.Driver(t, "task")
			o, err := sensors.NewOptions(d, tc.options)
			if err != nil {
				t.Fatal(err)
			}
			err = d.Programs.Verify(o, tc.by)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := user.Lookup("nobody"); err != nil {
		t.Fatal(err)
	}
}

func TestHidden(t *testing.T) {
	const mounts = `22 28 0:21 / /sys rw - sysfs sysfs rw
90 60 0:24 /systemd/inaccessible/dir /home ro,nosuid - tmpfs tmpfs rw
91 60 0:24 /systemd/inaccessible/dir /root ro - tmpfs tmpfs rw
92 60 0:48 /host/inaccessible/dir /run/user ro,nosuid shared:69 master:6 - tmpfs tmpfs rw
93 60 0:48 /home /srv rw - ext4 /dev/sda rw
`
	for dir, want := range map[string]bool{"/home": true, "/root": true, "/run/user": true, "/srv": false, "/sys": false} {
		if got := covered(mounts, dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
	if got := hidden("/home/pi/backup.py"); got != "" {
		t.Errorf("here nothing is hidden: %s", got)
	}
}

// lockAndDropNice tries a launch's thread without CAP_SYS_NICE.
func lockAndDropNice(errs chan<- error, l launch) {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		errs <- err
		return
	}
	data[0].Effective &^= 1 << unix.CAP_SYS_NICE
	if err := unix.Capset(&header, &data[0]); err != nil {
		errs <- err
		return
	}
	errs <- l.setThread()
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"21.5\n", "NaN", "-1e999", "0x1p4", " 5 C "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseNumber(text)
		if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			t.Errorf("%q is read as %v", text, v)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
