package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// By its name a task is run now, and what it printed is shown with its exit status:
// without a daemon, and by the daemon, of which status then tells the same.
func TestReadRunsATask(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", `sensors: [{name: office, driver: sht4x, every: 1h}]
tasks:
  - {name: backup, argv: [/bin/sh, -c, "echo copied; echo no room >&2; exit 3"], at: "0 0 29 2 *"}
  - {name: good, argv: [/bin/sh, -c, "echo done; echo x >>ran"], directory: `+p.dir+`, at: "0 0 29 2 *"}
`)
	args := []string{"read", "--config.file=dormouse.yml", "--board=sim"}
	runs := regexp.MustCompile(`(?m)^backup(: last run)?: \d{4}-.* took \d+\.\d+ s, exit status 3\n  .*exited with status 3.*\n  \| (copied\n  \| no room|no room\n  \| copied)\n`)
	sees := func(where string) {
		t.Helper()
		if out, _, code := p.run(append(args, "backup")...); code != 1 || !runs.MatchString(out) || strings.Contains(out, "good") {
			t.Errorf("%s: exit status %d\n%s", where, code, out)
		}
		if out := p.must(append(args, "good")...); !strings.Contains(out, "exit status 0\n  | done\n") {
			t.Errorf("%s:\n%s", where, out)
		}
		if out := p.must(args...); strings.Contains(out, "done") || strings.Contains(out, "copied") {
			t.Errorf("%s, without a name:\n%s", where, out)
		}
	}
	sees("without a daemon")
	p.start()
	sees("by the daemon")
	if out := p.must("status", "backup"); !runs.MatchString(out) {
		t.Errorf("status backup:\n%s", out)
	}
	if ran := strings.Count(p.read("ran"), "x"); ran != 2 {
		t.Errorf("the task was run %d times, twice by its name", ran)
	}
}

// The end of the daemon waits for a task, where that is asked for, and no longer
// when it is asked to end once more.
func TestASecondTERMEndsTheTasks(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", "stop-tasks: wait\ntasks: [{name: slow, argv: [/bin/sh, -c, \"echo >'"+p.dir+"/begun'; sleep 100\"], every: 1h}]\n")
	cmd, log := p.foreground("run", "--config.file=dormouse.yml", "--no-web")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	says := func(text string) {
		t.Helper()
		p.eventually(func() error {
			if !strings.Contains(log(), text) {
				return fmt.Errorf("no %q in\n%s", text, log())
			}
			return nil
		})
	}
	p.eventually(func() error {
		_, err := os.Stat(filepath.Join(p.dir, "begun"))
		return err
	})
	for _, text := range []string{"waiting for tasks to end", "tasks are ended"} {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		says(text)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log())
	}
}

// A program that the daemon's user couldn't start is a warning, and a failure where
// the machine itself is checked.
func TestCheckLooksAtPrograms(t *testing.T) {
	p := newPlace(t)
	p.write("script", "#!/no/such/python3\n")
	p.write("plain", "text")
	if err := os.Chmod(filepath.Join(p.dir, "script"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("dormouse.yml", fmt.Sprintf(`tasks:
  - {name: missing, argv: [/no/such/program], every: 1h}
  - {name: mode, argv: [%[1]s/plain], every: 1h}
  - {name: interpreter, argv: [%[1]s/script], every: 1h}
  - {name: directory, argv: [/bin/true], directory: /no/such/directory, every: 1h}
  - {name: good, argv: [/bin/true], every: 1h}
`, p.dir))
	wants := []string{
		"dormouse.yml:2: sensor missing: argv: ", "dormouse.yml:3: sensor mode: argv: ", "chmod +x", "dormouse.yml:4: sensor interpreter: argv: ",
		"is that interpreter installed?", "dormouse.yml:5: sensor directory: directory: ",
	}
	_, stderr, code := p.run("check", "--config.file=dormouse.yml")
	stdout, _, hardware := p.run("check", "--config.file=dormouse.yml", "--hardware")
	if code != 0 || hardware != 1 {
		t.Errorf("exit status %d and with --hardware %d, want 0 and 1", code, hardware)
	}
	for _, want := range wants {
		if !strings.Contains(stderr, want) || !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s\n%s", want, stderr, stdout)
		}
	}
	if strings.Contains(stderr, "good") || strings.Count(stderr, "warning: ") != 4 {
		t.Errorf("warnings of what is good:\n%s", stderr)
	}
	// What root could run its user can't.
	if os.Geteuid() == 0 {
		private := filepath.Join(p.dir, "private")
		if err := os.Mkdir(private, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, stderr, _ := p.run("check", "--task=own=/bin/true,directory="+private+",every=1h", "--user=nobody"); !strings.Contains(stderr, "own=…: directory: user ") {
			t.Errorf("as nobody:\n%s", stderr)
		}
	}
}
