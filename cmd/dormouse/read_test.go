package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/exporter"
)

// With an absent sensor beside a good one, `read NAME` prints and counts the
// named one only: without a daemon, and beside one, in each format.
func TestReadByName(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", "defaults: {every: 1h}\nsensors:\n  - {name: ghost, driver: bme280, addr: 0x77}\n  - {name: office, driver: sht4x}\n")
	sees := func(where string) {
		t.Helper()
		args := []string{"read", "--config.file=dormouse.yml", "--board=sim"}
		for _, format := range []string{"--format=table", "--format=json", "--format=prometheus", "--textfile=out.prom"} {
			out, stderr, code := p.run(append(args, format, "office")...)
			if strings.HasPrefix(format, "--textfile") {
				out = p.read("out.prom")
			}
			if code != 0 || stderr != "" || !strings.Contains(out, "office") || strings.Contains(out, "ghost") {
				t.Errorf("%s, %s, of office: exit status %d, %s\n%s", where, format, code, stderr, out)
			}
			if out, stderr, code := p.run(append(args, format, "ghost")...); code != 1 || !strings.Contains(out+stderr, "no answer at 0x77") || strings.Contains(out, "office") {
				t.Errorf("%s, %s, of ghost: exit status %d, %s\n%s", where, format, code, stderr, out)
			}
		}
	}
	sees("without a daemon")
	p.start()
	sees("beside a daemon")
	// What is configured here is asked of the daemon, and nothing else.
	out, stderr, code := p.run("read", "--sensor=office=sht4x")
	if code != 0 || stderr != "" || strings.Contains(out, "ghost") {
		t.Errorf("--sensor beside the daemon: exit status %d, %s\n%s", code, stderr, out)
	}
	if out, _, code := p.run("read"); code != 1 || !strings.Contains(out, "office") || !strings.Contains(out, "ghost") {
		t.Errorf("all of the daemon's: exit status %d\n%s", code, out)
	}
}

// A format without room for errors has them on standard error.
func TestReadReportsFailures(t *testing.T) {
	p := newPlace(t)
	for _, format := range []string{"--format=prometheus", "--textfile=out.prom"} {
		_, stderr, code := p.run("read", "--board=sim", "--sensor=ghost=bme280,addr=0x77", "--sensor=office=sht4x", format)
		if code != 1 || !strings.HasPrefix(stderr, "dormouse: sensor ghost is down: ") || !strings.Contains(stderr, "no answer at 0x77") || strings.Contains(stderr, "office") {
			t.Errorf("%s: exit status %d, %s", format, code, stderr)
		}
	}
}

// A channel that fails alone is a failure of the read, too.
func TestReadFailsByAChannel(t *testing.T) {
	p := newPlace(t)
	args := []string{"read", "--board=sim", `--sensor=beds=ads1115,addr=0x4a,channels="a0 a1",a1.quantity=moisture,a1.points="0:5 1:6"`}
	for _, format := range []string{"--format=table", "--format=json", "--format=prometheus", "--textfile=out.prom"} {
		out, stderr, code := p.run(append(args, format)...)
		if code != 1 || !strings.Contains(out+stderr, "check quantity and calibrate.points") {
			t.Errorf("%s: exit status %d, %s\n%s", format, code, stderr, out)
		}
	}
	if out, stderr, code := p.run("read", "--board=sim", "--sensor=beds=ads1115,addr=0x4a,channels=a0"); code != 0 {
		t.Errorf("the good channel alone: exit status %d, %s\n%s", code, stderr, out)
	}
}

// A read that is no daemon's neither takes the daemon's counts nor writes any.
func TestReadLeavesCountsAlone(t *testing.T) {
	p := newPlace(t)
	const count = "what a daemon kept"
	if err := os.Mkdir(filepath.Join(p.dir, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("state/counters.json", count)
	_, stderr, code := p.run("read", "--board=sim", "--sensor=rain=pulse,pin=GPIO22", "--state.directory=state")
	if code != 0 || stderr != "" {
		t.Errorf("exit status %d, %s", code, stderr)
	}
	if counts := p.read("state/counters.json"); counts != count {
		t.Errorf("the state is %s", counts)
	}
	if _, stderr, code := p.run("read", "--board=sim", "--sensor=rain=pulse,pin=GPIO22", "--state.directory=none"); code != 0 || stderr != "" {
		t.Errorf("without a state directory: exit status %d, %s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "none")); !os.IsNotExist(err) {
		t.Errorf("a state directory was made: %v", err)
	}
}

// Programs that `read` starts get none of its descriptors, those that it
// inherited among them.
func TestReadHandsOnNoDescriptors(t *testing.T) {
	p := newPlace(t)
	p.write("secret", "")
	f, err := os.Open(filepath.Join(p.dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := p.command("read", "--format=json", `--sensor=fds=command,argv="/bin/sh -c 'ls /proc/self/fd | wc -l'"`)
	cmd.ExtraFiles = []*os.File{f, f}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	// 0, 1, 2, and the directory that ls reads.
	if !strings.Contains(string(out), `"value": 4,`) {
		t.Errorf("ls has other descriptors than its own:\n%s", out)
	}
}

// The state of `status` in JSON has the sensors, and in text those that were
// never read.
func TestStatusOfSensors(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", "sensors:\n  - {name: office, driver: sht4x, every: 1h}\n  - {name: backup, driver: command, argv: [/bin/true], output: none, at: \"0 0 29 2 *\"}\n")
	p.start()
	p.eventually(func() error {
		if text := p.must("status"); !regexp.MustCompile(`(?m)^1 of 2 sensors up; next wake at .*\n  backup is not read yet, first at \S+ 00:00:00$`).MatchString(text) {
			return errors.New(text)
		}
		return nil
	})
	var doc struct {
		Code    int
		PID     int
		Sensors []exporter.SensorJSON
	}
	if err := json.Unmarshal([]byte(p.must("status", "--format=json")), &doc); err != nil || doc.PID == 0 || len(doc.Sensors) != 2 || doc.Sensors[0].Up == nil || doc.Sensors[1].Up != nil {
		t.Errorf("%+v, %v", doc, err)
	}
	if err := os.Remove(filepath.Join(p.dir, "run", "dormouse.sock")); err != nil {
		t.Fatal(err)
	}
	if text := p.must("status", "--format=json"); !strings.Contains(text, `"readings_error":"no daemon answers`) {
		t.Errorf("where it can't be asked: %s", text)
	}
	if text := p.must("status"); !strings.Contains(text, "\nreadings: no daemon answers") {
		t.Errorf("where it can't be asked: %s", text)
	}
	p.must("stop")
	if text, _, code := p.run("status", "--format=json"); code != 3 || text != `{"code":3,"text":"not running"}`+"\n" {
		t.Errorf("exit status %d, %s", code, text)
	}
}

// A plan of a week shows what happens once a day among what happens often, at
// full seconds.
func TestPlanByHorizon(t *testing.T) {
	p := newPlace(t)
	args := []string{"read", "--plan", "--board=sim", "--sensor=cpu=thermal,every=5m", `--sensor=backup=command,argv=/bin/true,output=none,at="30 3 * * *"`}
	plan := p.must(args...)
	for _, want := range []string{`(?m)^backup +at 30 3 \* \* \* +7 +\S+ 03:30:00, \S+ 03:30:00, \S+ 03:30:00, …$`, `(?m)^cpu +every 5m +201[567] `, `\n202[0-9] wakes, the first of them:\n`} {
		if !regexp.MustCompile(want).MatchString(plan) {
			t.Errorf("no %s in\n%s", want, plan)
		}
	}
	if plan := p.must(append(args, "--until=10m")...); !regexp.MustCompile(`(?m)^cpu +every 5m +[123] `).MatchString(plan) {
		t.Errorf("of ten minutes:\n%s", plan)
	}
	if plan := p.must(append(args, "--until="+time.Now().Add(50*time.Hour).Format("2006-01-02T15:04"))...); !regexp.MustCompile(`(?m)^backup .* [23] +\S+ 03:30:00, `).MatchString(plan) {
		t.Errorf("of two days:\n%s", plan)
	}
	for until, want := range map[string]string{"soon": "neither a duration, as in 12h or 30d, nor a date", "0s": "neither a duration", "2001-02-03": "not within the next 366 days", "-5m": "neither"} {
		if _, stderr, code := p.run(append(args, "--until="+until)...); code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("--until=%s: exit status %d, %s", until, code, stderr)
		}
	}
	for _, ignored := range []string{"cpu", "--format=json", "--textfile=plan.prom"} {
		if stdout, stderr, code := p.run(append(args, ignored)...); code != exitUsage || !strings.Contains(stderr, "--plan prints a table of all wakes") {
			t.Errorf("--plan %s: exit status %d, %s\n%s", ignored, code, stderr, stdout)
		}
	}
}

// A plan of a year of wakes each second ends at a signal. By itself it would take
// minutes, however fast the machine is.
func TestPlanEndsOfASignal(t *testing.T) {
	p := newPlace(t)
	args := []string{"read", "--plan", "--board=sim", "--until=366d"}
	for n := range 100 {
		args = append(args, fmt.Sprintf("--sensor=cpu%d=thermal,every=1s", n))
	}
	cmd := p.command(args...)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.eventually(func() error { return haveTimer(cmd.Process.Pid) }) // it has caught signals before
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "the plan was interrupted (terminated signal received): a shorter --until") {
		t.Errorf("%v, %s", err, stderr)
	}
}

// TestRuntimeSettings: the environment's settings of the Go runtime win over our
// own; test/inits shows that they reach the daemon.
func TestRuntimeSettings(t *testing.T) {
	t.Setenv("GOGC", "77")
	t.Setenv("GOMEMLIMIT", "99MiB")
	t.Setenv("GOMAXPROCS", "")
	got := strings.Join(runtimeSettings(), " ")
	for _, want := range []string{"GOGC=77", "GOMEMLIMIT=99MiB", "GOMAXPROCS=1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
}
