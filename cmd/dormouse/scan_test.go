package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/sensors/scan"
)

var update = flag.Bool("update", false, "write the golden files")

// On the simulated board, through the real binary.
func TestScanCommand(t *testing.T) {
	p := newPlace(t)
	for golden, args := range map[string][]string{
		"scan":            nil,
		"scan-unasked":    {"--no-identify"},
		"scan-rail":       {"--rail=probes=GPIO17"},
		"scan-json":       {"--format=json"},
		"scan-of-no-such": {"--bus=1", "--bus=/dev/i2c-3", "--bus=i2c-1"},
	} {
		stdout, stderr, code := p.run(append([]string{"scan", "--board=sim"}, args...)...)
		want := 0
		if golden == "scan-of-no-such" {
			want = exitFailed
		}
		if code != want || stderr != "" {
			t.Errorf("%s: exit status %d, %s", golden, code, stderr)
		}
		compare(t, golden, stdout)
	}
	for flag, says := range map[string]string{"--bus=one": "is not an I2C bus", "--rail=probes": "probes", "--rail=probes=NO SUCH": "probes"} {
		if _, stderr, code := p.run("scan", "--board=sim", flag); code != exitUsage || !strings.Contains(stderr, says) {
			t.Errorf("%s: exit status %d, %s", flag, code, stderr)
		}
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	name := filepath.Join("testdata", golden+".golden")
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("it differs from %s (-):\n%s", name, diff)
	}
}

// What the running daemon reads isn't touched, and what it can't be asked about
// isn't identified.
func TestScanBesideADaemon(t *testing.T) {
	p := newPlace(t)
	pid := filepath.Join(p.dir, "d.pid")
	p.must("start", "--board=sim", "--pid-file="+pid, "--no-web", "--log.output="+filepath.Join(p.dir, "log"), "--every=1h",
		"--sensor=office=sht4x,power=GPIO17", "--sensor=cellar=tmp102")
	defer p.must("stop", "--pid-file="+pid)
	p.eventually(func() error { // once it has read its sensors it tells them
		stdout, _, code := p.run("scan", "--board=sim", "--pid-file="+pid)
		if code != 0 {
			return errors.New(stdout)
		}
		for _, want := range []string{"0x44  is read by the running daemon, as office\n", "0x48  is read by the running daemon, as cellar\n", "0x76  looks like bme280\n",
			"chips behind its rails answer only while it reads them"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("there is no %q in\n%s", want, stdout)
			}
		}
		return nil
	})
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	defer clock.Close()
	if list, err := service.DaemonSensors(t.Context(), clock, []string{filepath.Join(p.dir, "nobody.pid"), pid}); len(list) != 2 || err != nil {
		t.Errorf("of two daemons, one of which runs: %+v, %v", list, err)
	}
	if err := os.Remove(control.Path(pid)); err != nil {
		t.Fatal(err)
	}
	stdout, _, code := p.run("scan", "--board=sim", "--pid-file="+pid)
	if code != exitFailed || !strings.Contains(stdout, "so nothing was identified") || strings.Contains(stdout, "looks like") ||
		!strings.Contains(stdout, "0x76  answers; by its address it could be bme280") {
		t.Errorf("where the daemon can't be asked, exit status %d:\n%s", code, stdout)
	}
}

func TestScanWhereTheDaemonIsUnknown(t *testing.T) {
	p := newPlace(t)
	p.write("file", "")
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	defer clock.Close()
	if list, err := service.DaemonSensors(t.Context(), clock, []string{filepath.Join(p.dir, "file", "d.pid")}); err == nil || !strings.Contains(err.Error(), "doesn't report which chips it reads") {
		t.Errorf("%+v, %v", list, err)
	}
}

// The whole process, too, ends of a signal by itself, and says so.
func TestScanEndsOfASignal(t *testing.T) {
	p := newPlace(t)
	cmd := p.command("scan", "--board=sim", "--rail=probes=GPIO17,settle=1h")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.eventually(func() error { return haveTimer(cmd.Process.Pid) }) // it has caught signals before
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "the scan was interrupted (terminated signal received): run the command again") {
		t.Errorf("%v: %s", err, stderr.String())
	}
}

// The flags that scan prints are accepted by check, and what they read answers.
func TestScanFlagsAreAccepted(t *testing.T) {
	p := newPlace(t)
	var printed scan.Document
	if err := json.Unmarshal([]byte(p.must("scan", "--board=sim", "--format=json")), &printed); err != nil {
		t.Fatal(err)
	}
	args := []string{"check", "--hardware", "--board=sim", printed.OneWire[0].Flag, printed.Zones[0].Flag}
	for _, a := range printed.Buses[0].Addresses {
		i := 0
		if a.Address == "0x48" { // of what can be there, it is a TMP102
			i = slices.IndexFunc(a.Could, func(f scan.Find) bool { return f.What == "tmp102" })
		}
		args = append(args, a.Could[i].Flag)
	}
	if len(printed.Devices) != 4 {
		t.Errorf("the kernel's devices are %v", printed.Devices)
	}
	for _, d := range printed.Devices {
		args = append(args, d.Flag)
	}
	p.must(args...)
}

// haveTimer tells whether a process has opened its clock.
func haveTimer(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, f := range files {
		if to, err := os.Readlink(f); err == nil && to == "anon_inode:[timerfd]" {
			return nil
		}
	}
	return errors.Join(errors.New("there is no timer yet"), err)
}
