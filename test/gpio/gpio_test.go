//go:build system

package gpio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/rig"
)

// patience bounds every wait for something that takes moments on an idle host.
const patience = time.Minute

func TestMain(m *testing.M) {
	status := m.Run()
	if err := closeBench(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until it is told that all is well. What it waits for comes
// within moments; only a failure takes the whole of patience.
func eventually(t testing.TB, ask func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = ask(); err == nil {
			return
		}
	}
	t.Fatalf("still after %s: %v", patience, err)
}

// bench is the machine that the tests share: a header, and an expander that can
// be pulled out. Each test leaves it as it was.
type bench struct {
	*rig.Machine
	header, expander *rig.GPIOChip
	dir              string // of the binary
	daemons          int
}

var booted *bench

var theBench = sync.OnceValues(func() (*bench, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the kernel may have to be fetched
	defer cancel()
	dir, err := os.MkdirTemp("", "dormouse-gpio")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir}
	booted = b
	binary := filepath.Join(dir, "dormouse")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "example.org/dormouse/cmd/dormouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	if b.Machine, err = rig.Boot(ctx, rig.Options{Files: map[string]string{"usr/bin/dormouse": binary}}); err != nil {
		return nil, err
	}
	if b.header, err = b.AddHeader(ctx); err != nil {
		return nil, err
	}
	b.expander, err = b.AddGPIOChip(ctx, "expander", []string{"FLOAT", "PUMP_EN", "", ""})
	return b, err
})

func closeBench() error {
	if booted == nil {
		return nil
	}
	err := os.RemoveAll(booted.dir)
	if booted.Machine != nil {
		err = errors.Join(err, booted.Machine.Close())
	}
	return err
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := theBench()
	must(t, err)
	return b
}

// run runs dormouse in the guest to its end.
func (b *bench) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exit, err := b.Exec(ctx, append([]string{"/usr/bin/dormouse"}, args...)...)
	must(t, err)
	return string(exit.Stdout), string(exit.Stderr), exit.Status
}

// sleep lets the guest's time pass, on its own clock.
func (b *bench) sleep(t *testing.T, d time.Duration) {
	t.Helper()
	exit, err := b.Exec(t.Context(), "sleep", fmt.Sprint(d.Seconds()))
	if err != nil || exit.Status != 0 {
		t.Fatalf("sleep: %+v, %v", exit, err)
	}
}

// pulses makes n pulses on a line of the header, as fast as the guest can where
// the period is 0.
func (b *bench) pulses(t *testing.T, line, n int, period time.Duration) {
	t.Helper()
	_, err := b.header.Pulses(t.Context(), line, n, period)
	must(t, err)
}

// interrupts is how many interrupts the kernel itself has counted for the line
// that a consumer holds.
func (b *bench) interrupts(t *testing.T, consumer string) int {
	t.Helper()
	text, err := b.ReadFile(t.Context(), "/proc/interrupts")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(strings.TrimSpace(line), " "+consumer) {
			continue
		}
		n, err := strconv.Atoi(strings.Fields(line)[1]) // of the one processor
		must(t, err)
		return n
	}
	t.Fatalf("%q holds no line with an interrupt:\n%s", consumer, text)
	return 0
}

// daemon is a detached dormouse in the guest.
type daemon struct {
	*testing.T
	b       *bench
	dir     string
	pid     int
	address string
}

var (
	ranAs     = regexp.MustCompile(`dormouse runs as process (\d+)`)
	listening = regexp.MustCompile(`msg=listening address=(\S+)`)
)

// start detaches a daemon, and stops it when the test ends. Its configuration
// is a file, so that it may be reloaded.
func (b *bench) start(t *testing.T, yaml string) *daemon {
	t.Helper()
	b.daemons++
	d := &daemon{T: t, b: b, dir: fmt.Sprintf("/run/daemon%d", b.daemons)}
	must(t, b.Mkdir(t.Context(), d.dir+"/state", 0o755))
	d.configure(yaml)
	d.launch()
	t.Cleanup(d.stop)
	return d
}

func (d *daemon) configure(yaml string) {
	d.Helper()
	must(d, d.b.WriteFile(d.Context(), d.dir+"/dormouse.yml", []byte(yaml), 0o644))
}

func (d *daemon) launch() {
	d.Helper()
	must(d, d.b.WriteFile(d.Context(), d.dir+"/log", nil, 0o644))
	stdout, stderr, status := d.b.run(d.T, "start", "--every=1h", "--config.file="+d.dir+"/dormouse.yml",
		"--pid-file="+d.pidFile(), "--state.directory="+d.dir+"/state", "--log.output="+d.dir+"/log", "--web.listen-address=127.0.0.1:0")
	m := ranAs.FindStringSubmatch(stdout)
	if status != 0 || m == nil {
		d.Fatalf("dormouse start: exit status %d\n%s%s", status, stdout, stderr)
	}
	var err error
	d.pid, err = strconv.Atoi(m[1])
	must(d, err)
	eventually(d, func() error {
		m := listening.FindStringSubmatch(d.log())
		if m == nil {
			return fmt.Errorf("no address in the log:\n%s", d.log())
		}
		d.address = m[1]
		return nil
	})
}

func (d *daemon) pidFile() string { return d.dir + "/dormouse.pid" }

func (d *daemon) stop() {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.Context()), patience)
	defer cancel()
	if d.Failed() {
		log, err := d.b.ReadFile(ctx, d.dir+"/log")
		d.Logf("the daemon's log (%v):\n%s", err, log)
	}
	exit, err := d.b.Exec(ctx, "/usr/bin/dormouse", "stop", "--pid-file="+d.pidFile())
	if err != nil || exit.Status != 0 {
		d.Errorf("dormouse stop: %+v, %v", exit, err)
	}
}

func (d *daemon) log() string {
	d.Helper()
	text, err := d.b.ReadFile(d.Context(), d.dir+"/log")
	must(d, err)
	return string(text)
}

// reload has the daemon read another configuration.
func (d *daemon) reload(yaml string) {
	d.Helper()
	d.configure(yaml)
	if _, stderr, status := d.b.run(d.T, "reload", "--pid-file="+d.pidFile()); status != 0 {
		d.Fatalf("reload: exit status %d: %s", status, stderr)
	}
	eventually(d, func() error {
		if !strings.Contains(d.log(), "msg=reloaded") {
			return errors.New("it isn't reloaded")
		}
		return nil
	})
}

// read has the daemon read all its sensors now, and returns them by name.
func (d *daemon) read() map[string]exporter.SensorJSON {
	d.Helper()
	stdout, stderr, _ := d.b.run(d.T, "read", "--format=json", "--pid-file="+d.pidFile())
	var readings exporter.Readings
	if err := json.Unmarshal([]byte(stdout), &readings); err != nil {
		d.Fatalf("dormouse read says %q, %s: %v", stdout, stderr, err)
	}
	sensors := map[string]exporter.SensorJSON{}
	for _, s := range readings.Sensors {
		if s.Up == nil {
			d.Fatalf("sensor %s wasn't read", s.Name)
		}
		sensors[s.Name] = s
	}
	return sensors
}

// down checks that a sensor is down, with these words in its error.
func (d *daemon) down(s exporter.SensorJSON, words ...string) {
	d.Helper()
	if *s.Up {
		d.Errorf("%s is up", s.Name)
	}
	for _, w := range words {
		if !strings.Contains(s.Error, w) {
			d.Errorf("%s says %q, which lacks %q", s.Name, s.Error, w)
		}
	}
}

// page is /metrics, fetched in the guest.
func (d *daemon) page() string {
	d.Helper()
	client := http.Client{Transport: d.b.Transport("")}
	r, err := client.Get("http://" + d.address + "/metrics")
	must(d, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(d, err)
	if r.StatusCode != http.StatusOK {
		d.Fatalf("/metrics: %s\n%s", r.Status, body)
	}
	return string(body)
}

// value finds a series of the page by its name and labels as they are printed.
func (d *daemon) value(series string) float64 {
	d.Helper()
	page := d.page()
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			must(d, err)
			return v
		}
	}
	d.Fatalf("the page has no %s:\n%s", series, page)
	return 0
}

// wakeUps is how often the daemon was woken while f ran.
func (d *daemon) wakeUps(f func()) int64 {
	d.Helper()
	before, err := d.b.Inspect(d.Context(), d.pid)
	must(d, err)
	f()
	after, err := d.b.Inspect(d.Context(), d.pid)
	must(d, err)
	return after.Voluntary - before.Voluntary
}

// asleep returns when the daemon sleeps: goroutines of an answered request go to
// sleep first.
func (d *daemon) asleep() {
	d.Helper()
	eventually(d, func() error {
		if n := d.wakeUps(func() { d.b.sleep(d.T, time.Second/2) }); n != 0 {
			return fmt.Errorf("it doesn't sleep: %d wake-ups", n)
		}
		return nil
	})
}
