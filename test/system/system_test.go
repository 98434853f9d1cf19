//go:build system

package system

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
	"example.org/dormouse/test/guest/i2c"
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

// moduleRoot is the directory of go.mod.
var moduleRoot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.TrimSpace(string(out)), err
})

// releases makes what ships, from nothing, since an old binary must not pass for
// it, and returns the directory.
var releases = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	build := exec.Command("make", "clean", "build")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make clean build: %w\n%s", err, out)
	}
	return filepath.Join(root, "dist"), nil
})

// binary is the release that this machine and the guest run.
func binary() (string, error) {
	dir, err := releases()
	return filepath.Join(dir, "dormouse-linux-amd64"), err
}

// must stops a test at an error of something that isn't its subject.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// later does something when the test ends, or as soon as the returned function
// is called: what a test changes on the bench it puts right again.
func later(t *testing.T, do func(context.Context) error) (now func()) {
	var once sync.Once
	now = func() {
		t.Helper()
		once.Do(func() {
			// The test's own context has ended before its cleanups run.
			if err := do(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(now)
	return now
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

// The addresses and lines of the bench.
const (
	bmp280Address = 0x76 // the data sheet's worked example: 25.08 °C, 100653.27 Pa
	railedAddress = 0x77 // the same chip again, supplied by railLine
	lm75Address   = 0x48 // −25.0 °C
	tmp102Address = 0x49 // −10.125 °C

	railLine = 17
	lowRail  = 18 // a supply that a low level switches on; pulled up
	rainLine = 22
	doorLine = 27
	heldLine = 5
)

// frost is the thermometer on the 1-Wire bus, at −10.125 °C.
var frost = rig.DS18B20{Serial: 0x0316a2793aff, Sixteenths: -162}

// bench is the machine that the tests share, with everything connected. Each
// test leaves it as it was.
type bench struct {
	*rig.Machine
	header  *rig.GPIOChip
	bus     *rig.I2CBus
	onewire *rig.OneWireBus
	daemons int // started so far
}

// theBench is booted by the first test that needs it.
var theBench = sync.OnceValues(func() (*bench, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // it may have to be fetched and built
	defer cancel()
	m, err := rig.Boot(ctx, rig.Options{Files: map[string]string{"usr/bin/dormouse": path}})
	if err != nil {
		return nil, err
	}
	b := &bench{Machine: m}
	booted = b
	return b, b.connect(ctx)
})

// booted is the machine to be ended, nil while there is none.
var booted *bench

func closeBench() error {
	if booted == nil {
		return nil
	}
	return booted.Close()
}

func (b *bench) connect(ctx context.Context) (err error) {
	if b.header, err = b.AddHeader(ctx); err != nil {
		return err
	}
	// Dormouse's default is bus 1, so let it be another: the number must count.
	if b.bus, err = b.AddI2CBus(ctx); err != nil {
		return err
	}
	if b.onewire, err = b.AddOneWireBus(ctx, frost); err != nil {
		return err
	}
	return errors.Join(
		b.bus.AddChip(ctx, bmp280Address, i2c.BMP280()),
		b.bus.AddPoweredChip(ctx, railedAddress, i2c.BMP280(), b.header, railLine),
		b.bus.AddChip(ctx, lm75Address, i2c.LM75(-50)),
		b.bus.AddChip(ctx, tmp102Address, i2c.TMP102(-162)),
		b.header.SetPull(ctx, lowRail, true),
		b.Modprobe(ctx, "bmp280-i2c", ""),
		b.Modprobe(ctx, "lm75", ""),
	)
}

// newBench gives a test the machine; when the test fails its log is shown.
func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := theBench()
	must(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		log, err := b.KernelLog(context.WithoutCancel(t.Context()))
		if len(log) > 4000 {
			log = "…" + log[len(log)-4000:]
		}
		t.Logf("the kernel's log (%v):\n%s", err, log)
	})
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

// yaml writes a configuration into the guest and returns the flag that names it.
func (b *bench) yaml(t *testing.T, text string) string {
	t.Helper()
	path := fmt.Sprintf("/etc/%s.yml", strings.ReplaceAll(t.Name(), "/", "-"))
	must(t, b.WriteFile(t.Context(), path, []byte(text), 0o644))
	return "--config.file=" + path
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

// start detaches a daemon, and stops it when the test ends. Its sensors are
// read at the start and then when the test asks, unless they say otherwise.
func (b *bench) start(t *testing.T, args ...string) *daemon {
	t.Helper()
	b.daemons++
	d := &daemon{T: t, b: b, dir: fmt.Sprintf("/run/daemon%d", b.daemons)}
	must(t, b.Mkdir(t.Context(), d.dir+"/state", 0o755))
	stdout, stderr, status := b.run(t, append([]string{"start", "--every=1h",
		"--pid-file=" + d.pidFile(), "--state.directory=" + d.dir + "/state", "--log.output=" + d.dir + "/log",
		"--web.listen-address=127.0.0.1:0"}, args...)...)
	if status != 0 {
		t.Fatalf("dormouse start: exit status %d\n%s%s", status, stdout, stderr)
	}
	t.Cleanup(d.stop)
	m := ranAs.FindStringSubmatch(stdout)
	if m == nil {
		t.Fatalf("dormouse start doesn't tell the process: %q", stdout)
	}
	var err error
	d.pid, err = strconv.Atoi(m[1])
	must(t, err)
	eventually(t, func() error {
		m := listening.FindStringSubmatch(d.log())
		if m == nil {
			return fmt.Errorf("no address in the log:\n%s", d.log())
		}
		d.address = m[1]
		return nil
	})
	return d
}

func (d *daemon) pidFile() string { return d.dir + "/dormouse.pid" }

// stop ends the daemon; a second time does nothing.
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

// logged counts the lines of the log that hold all the words.
func (d *daemon) logged(words ...string) int {
	d.Helper()
	n := 0
lines:
	for line := range strings.Lines(d.log()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		n++
	}
	return n
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
			d.Errorf("sensor %s wasn't read", s.Name)
			s.Up = new(bool)
		}
		sensors[s.Name] = s
	}
	return sensors
}

// page is /metrics, fetched in the guest.
func (d *daemon) page() page {
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
	return page(body)
}

// page is a page in Prometheus' text format.
type page string

// value finds a series by its name and labels as they are printed.
func (p page) value(series string) (v float64, ok bool) {
	for line := range strings.Lines(string(p)) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// want checks series for their values, to within a hundred-millionth part.
func (p page) want(t testing.TB, series map[string]float64) {
	t.Helper()
	for name, want := range series {
		got, ok := p.value(name)
		if diff := got - want; !ok || diff > 1e-8*max(want, -want) || diff < -1e-8*max(want, -want) {
			t.Errorf("%s is %v (there: %t), want %v", name, got, ok, want)
		}
	}
}
