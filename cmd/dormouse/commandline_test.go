package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus"
	collector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/version"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// An invalid command line is refused with the status for it, and with what may
// have been meant.
func TestWrongCommandLine(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"strat", `there is no command "strat" (did you mean start?)`},
		{"sleep", `there is no command "sleep"`},
		{"help strat", `there is no command "strat" (did you mean start?)`},
		{"--web run", `unknown long flag '--web'`},
		{"run --sensro=a", `unknown long flag '--sensro' (did you mean --sensor?)`},
		{"run --no-senzor", `unknown long flag '--no-senzor' (did you mean --sensor?)`},
		{"run --no-wbe", `unknown long flag '--no-wbe' (did you mean --no-web?)`},
		{"run -sensor=a=b", `unknown short flag '-s' (did you mean --sensor?)`},
		{"run -x", `unknown short flag '-x'`},
		{"stop --sensor=a", `unknown long flag '--sensor'`},
		{"run --sensor", `expected argument for flag '--sensor'`},
		{"run --sensor --no-web", `expected argument for flag '--sensor'`},
		{"stop --timeout -5s", `expected argument for flag '--timeout'`},
		{"run --web=false", `unexpected argument "false": a switch has no value: write --NAME or --no-NAME`},
		{"run --board=pi", `--board=pi: enum value must be one of auto,sim, got 'pi'`},
		{"stop --timeout=5", `--timeout=5: "5" has no unit: write 5s for seconds or 5m for minutes`},
		{"run --umask=089", `--umask=089: write a file creation mask in octal, as in 022`},
		{"run --umask=1000", `--umask=1000: write a file creation mask in octal, as in 022`},
		{"run --log.level=loud", `--log.level=loud: unrecognized log level loud`},
		{"run --user=a --user=b", `flag 'user' cannot be repeated`},
		{"run --web --no-web", `flag 'web' cannot be repeated`},
		{"stop now", `unexpected argument "now"`},
		{"drivers bme280 sht4x", `unexpected argument "sht4x"`},
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(tt.args), &stdout, &stderr)
		want := "dormouse: " + tt.want + "\nTry `dormouse --help`.\n"
		if code != exitUsage || stderr.String() != want || stdout.Len() > 0 {
			t.Errorf("%s: exit status %d\n got %swant %s", tt.args, code, stderr.String(), want)
		}
	}
}

// parsed gives the settings that a command line ends up with.
func parsed(t *testing.T, args ...string) *settings {
	t.Helper()
	s := &settings{}
	app := kingpin.New("test", "")
	c := app.Command("run", "")
	s.wiringFlags(c)
	s.logLevelFlags(c, "info")
	s.daemonFlags(c, defaultAddress, "stderr", "")
	if _, err := app.Parse(append([]string{"run"}, args...)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFlags(t *testing.T) {
	s := parsed(t)
	if got := fmt.Sprintln(s.addresses, s.serve, &s.umask, s.board, s.release, s.telemetryPath, s.workingDirectory, s.logOutput, s.logLevel); got != "[:9367] true 022 auto auto /metrics / stderr info\n" {
		t.Errorf("the defaults are %s", got)
	}
	s = parsed(t, "--sensor=a=switch,pin=1", "--sensor", "b=switch,pin=2", "--web.listen-address=:1", "--web.listen-address=:2", "--umask=77", "--no-web")
	if got := fmt.Sprint(s.Sensors, s.addresses, &s.umask, s.serve); got != "[a=switch,pin=1 b=switch,pin=2] [:1 :2] 077 false" {
		t.Errorf("the flags are %s", got)
	}
}

// @FILE stands for the lines of the file, in the process and in those that it
// starts.
func TestArgumentsFromFile(t *testing.T) {
	p := newPlace(t)
	p.write("args", "# a comment\n\n--board=sim\n--sensor=a=sht4x, addr=0x44\n--sensor=b=switch,pin=@17\n")
	got, err := cli.ExpandFiles([]string{"read", "@" + filepath.Join(p.dir, "args"), "--", "@x"})
	if want := []string{"read", "--board=sim", "--sensor=a=sht4x, addr=0x44", "--sensor=b=switch,pin=@17", "--", "@x"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, text := range []string{"--board=sim\r\n", "# a comment\n--board=sim\n", "\n--board=sim\n"} {
		p.write("marked", "\ufeff"+text)
		if got, err := cli.ExpandFiles([]string{"@" + filepath.Join(p.dir, "marked")}); err != nil || !slices.Equal(got, []string{"--board=sim"}) {
			t.Errorf("%q with a byte order mark: %q, %v", text, got, err)
		}
	}
	if _, stderr, code := p.run("read", "@missing"); code != exitUsage || !strings.Contains(stderr, `open arguments file "missing"`) {
		t.Errorf("exit status %d, %s", code, stderr)
	}
	p.write("start", "--board=sim\n--sensor=a=sht4x\n--no-web\n--log.output="+filepath.Join(p.dir, "log")+"\n")
	p.must("start", "@start") // its daemon is another process in another directory
	p.must("stop")
}

// The help of each command fits on a terminal and has all of its flags.
func TestHelpFits(t *testing.T) {
	for _, c := range commands() {
		var out bytes.Buffer
		if code := run([]string{c.name, "--help"}, &out, io.Discard); code != 0 {
			t.Fatalf("%s --help: exit status %d", c.name, code)
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimRight(line, " \n"); utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s --help: this line is longer than 80 columns: %q", c.name, line)
			}
		}
		var help bytes.Buffer
		if run([]string{"help", c.name}, &help, io.Discard); !strings.HasPrefix(help.String(), "usage: dormouse "+c.name) {
			t.Errorf("help %s:\n%s", c.name, help.String())
		}
	}
	for _, command := range []string{"run", "start", "restart", "check"} {
		var out bytes.Buffer
		run([]string{"help", command}, &out, io.Discard)
		for _, flag := range []string{"sensor=NAME=", "rail=NAME=", "config.file=FILE", "every=5m", "board=auto", "state.directory=DIR", "log.level=",
			"log.format=logfmt", "[no-]web ", "web.listen-address=ADDRESS ...", "[no-]web.systemd-socket", "web.config.file=FILE", "web.telemetry-path=\"/metrics\"",
			"[no-]web.enable-lifecycle", "textfile=FILE", "log.output=stderr|syslog|FILE", "pid-file=FILE", "user=USER", "group=GROUP", "umask=022",
			"working-directory=\"/\"", "[no-]wake-suspended", "release-executable=auto"} {
			if !strings.Contains(out.String(), "      --"+flag) {
				t.Errorf("%s --help doesn't show --%s:\n%s", command, flag, out.String())
			}
		}
	}
}

// Each command has one sentence in the help of all.
func TestSummaries(t *testing.T) {
	var out bytes.Buffer
	if code := run(nil, &out, io.Discard); code != 0 {
		t.Fatalf("without arguments: exit status %d", code)
	}
	for _, c := range commands() {
		if !strings.Contains(out.String(), "\n  "+c.name+" ") || strings.Count(c.summary, ". ") > 0 || !strings.HasSuffix(c.summary, ".") {
			t.Errorf("%s: the summary is no single sentence, or isn't in the help: %q", c.name, c.summary)
		}
	}
}

// --version answers as every exporter does.
func TestVersion(t *testing.T) {
	var out bytes.Buffer
	for _, args := range [][]string{{"--version"}, {"-V"}, {"run", "--version"}} {
		out.Reset()
		if code := run(args, &out, io.Discard); code != 0 || strings.TrimSpace(out.String()) != strings.TrimSpace(version.Print("dormouse")) {
			t.Errorf("%s: exit status %d\n%s", args, code, out.String())
		}
	}
	if !strings.HasPrefix(out.String(), "dormouse, version devel (branch: , revision: ") {
		t.Errorf("without a tag: %s", out.String())
	}
	release := filepath.Join(t.TempDir(), "dormouse")
	build := exec.Command("go", "build", "-ldflags=-X github.com/prometheus/common/version.Version=v1.2.3", "-o", release, ".")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	text, err := exec.Command(release, "--version").Output()
	if err != nil || !strings.HasPrefix(string(text), "dormouse, version v1.2.3 (") {
		t.Errorf("with a tag: %s, %v", text, err)
	}
}

// dormouse_build_info has the labels that client_golang's collector gives every
// exporter.
func TestBuildInfo(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.NewCollector("dormouse"))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var theirs, ours bytes.Buffer
	if _, err := expfmt.MetricFamilyToText(&theirs, families[0]); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(theirs.String(), "\n")
	clock := alarm.NewFake(1, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	snapshot := &sensors.Snapshot{Stats: sensors.Stats{Wakes: map[string]uint64{}}}
	if err := exporter.Text(&ours, snapshot, exporter.Options{Build: buildLabels(), Clock: clock.Clock}); err != nil {
		t.Fatal(err)
	}
	if want := lines[len(lines)-2]; !strings.Contains(ours.String(), "\n"+want+"\n") {
		t.Errorf("there is no %s in\n%s", want, ours.String())
	}
}

// The completion script works in a real shell.
func TestCompletion(t *testing.T) {
	p := newPlace(t)
	p.write("completion", p.must("--completion-script-bash"))
	for words, want := range map[string]string{
		"sta":               "start status",
		"run --web.conf":    "--web.config.file",
		"run --board ":      "auto sim",
		"run --board =":     "auto sim", // as bash takes --board= apart
		"run --board = si":  "sim",
		"drivers bme2":      "bme280",
		"read --format jso": "json",
	} {
		script := `. ./completion; COMP_WORDS=(dormouse ` + words + `); [ "${1: -1}" != " " ] || COMP_WORDS+=(""); ` +
			`COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _dormouse_bash_autocomplete; echo "${COMPREPLY[@]}"`
		cmd := exec.Command("bash", "-c", script, "bash", words)
		cmd.Dir = p.dir
		cmd.Env = []string{"PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q is completed to %q, %v, want %q", words, got, err, want)
		}
	}
}
