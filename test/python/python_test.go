//go:build system

package python

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/output"
	"example.org/dormouse/test/rig"
)

// start runs a program until the test ends.
func start(t *testing.T, argv ...string) (pid int, said *output.Buffer) {
	t.Helper()
	said = &output.Buffer{}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = said, said
	kit.Must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                          // the signal is its error
	})
	return cmd.Process.Pid, said
}

// resident is the memory of a process, in MB: all of it, and what it shares with
// nobody.
func resident(t *testing.T, pid int) (rss, private float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	kit.Must(t, err)
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		kB, err := strconv.ParseFloat(fields[1], 64)
		switch {
		case err != nil:
		case fields[0] == "Rss:":
			rss = kB / 1000
		case strings.HasPrefix(fields[0], "Private_"):
			private += kB / 1000
		}
	}
	if rss == 0 {
		t.Fatalf("process %d has no memory:\n%s", pid, text)
	}
	return rss, private
}

// children are the processes that a process has started and that are still there.
func children(t *testing.T, pid int) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	kit.Must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		kit.Must(t, err)
		n += len(strings.Fields(string(text)))
	}
	return n
}

func isShare(text string) error {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err == nil && (v <= 0 || v >= 1) {
		err = fmt.Errorf("%v is no share of a disk", v)
	}
	return err
}

// The same task as it was, as a daemon of its own, and as a sensor and a task:
// each works, and what stays in memory is logged for docs/commands.md.
func TestExamples(t *testing.T) {
	kit.Must(t, rig.Install(t.Context(), "python3", "python3-venv", "python3-daemon"))
	dir := t.TempDir()
	venv := filepath.Join(dir, "venv")
	if out, err := exec.Command("/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages", venv).CombinedOutput(); err != nil {
		t.Fatalf("make a virtual environment: %v\n%s", err, out)
	}
	python := filepath.Join(venv, "bin/python")
	example := func(name string) string { return kit.Source("examples/python/" + name) }

	t.Run("loop", func(t *testing.T) {
		pid, said := start(t, python, example("loop.py"), "0.2")
		kit.Eventually(t, func() error {
			lines := strings.Split(said.String(), "\n")
			if len(lines) < 4 {
				return fmt.Errorf("it said %q", lines)
			}
			return isShare(lines[2])
		})
		rss, private := resident(t, pid)
		t.Logf("a loop in Python: %.1f MB resident, %.1f MB of it its own", rss, private)
	})

	t.Run("resident", func(t *testing.T) {
		pidfile, written := filepath.Join(dir, "pid"), filepath.Join(dir, "out")
		if out, err := exec.Command(python, example("resident.py"), pidfile, written, "0.2").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var pid int
		kit.Eventually(t, func() error {
			text, err := os.ReadFile(pidfile)
			if err == nil {
				pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
			}
			if err != nil {
				return err
			}
			text, err = os.ReadFile(written)
			first, _, ok := strings.Cut(string(text), "\n")
			if err != nil || !ok {
				return fmt.Errorf("nothing is written: %v", err)
			}
			return isShare(first)
		})
		rss, private := resident(t, pid)
		t.Logf("a daemon in Python: %.1f MB resident, %.1f MB of it its own", rss, private)
		kit.Must(t, syscall.Kill(pid, syscall.SIGTERM))
		kit.Eventually(t, func() error {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d is still there: %v", pid, err)
			}
			return nil
		})
	})

	t.Run("dormouse", func(t *testing.T) {
		binary, old := kit.Executable(t, "./cmd/dormouse"), filepath.Join(dir, "pictures")
		kit.Must(t, os.Mkdir(old, 0o755))
		kit.Must(t, os.WriteFile(filepath.Join(old, "old.jpg"), nil, 0o644))
		kit.Must(t, os.Chtimes(filepath.Join(old, "old.jpg"), time.Time{}, time.Now().Add(-8*24*time.Hour)))
		text, err := os.ReadFile(example("dormouse.yml"))
		kit.Must(t, err)
		config := strings.NewReplacer("[/usr/local/bin/reading.py]", "["+python+", "+example("reading.py")+"]",
			"/usr/local/bin/task.py", python+", "+example("task.py"), "/var/spool/pictures", old, "every: 5m", "every: 10s", `at: "30 3 * * *"`, "every: 10s", "    catch-up: 1d\n", "").Replace(string(text))
		file := filepath.Join(dir, "dormouse.yml")
		kit.Must(t, os.WriteFile(file, []byte(config), 0o644))
		pid, said := start(t, "/usr/bin/env", "GOMAXPROCS=1", "GOGC=25", "GOMEMLIMIT=24MiB", binary, "run", "--config.file="+file, "--state.directory="+dir, "--web.listen-address=127.0.0.1:0")
		url := "http://" + kit.Address(t, said.String, kit.Listening) + "/metrics"
		kit.Eventually(t, func() error {
			page, err := kit.Fetch(t.Context(), http.DefaultTransport, url)
			if err != nil {
				return err
			}
			v, ok := page.Value(`sensor_value{sensor="disk"}`)
			status, ran := page.Value(`dormouse_command_exit_status{sensor="cleanup"}`)
			if !ok || !ran || status != 0 {
				return fmt.Errorf("the page:\n%s\nthe log:\n%s", page, said)
			}
			return isShare(fmt.Sprint(v))
		})
		if _, err := os.Stat(filepath.Join(old, "old.jpg")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the task left the old file: %v", err)
		}
		kit.Eventually(t, func() error { // between two runs
			if n := children(t, pid); n > 0 {
				return fmt.Errorf("%d programs are running", n)
			}
			return nil
		})
		rss, private := resident(t, pid)
		t.Logf("dormouse with both, between two runs: %.1f MB resident, %.1f MB of it its own", rss, private)
	})
}
