package kit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/test/rig"
)

// program is where dormouse is in a machine.
const program = "/usr/bin/dormouse"

// Machine is a machine with dormouse on it, which the tests of a package share.
// Each leaves it as it was.
type Machine struct {
	*rig.Machine
	daemons int // started so far
}

// booted is the machine to be ended, nil while there is none.
var booted *Machine

// Share boots the machine, with a binary of the host's, and sets it up. Main
// ends it, whatever the set-up says.
func Share(binary string, setUp func(context.Context, *Machine) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // the kernel may have to be fetched and built
	defer cancel()
	m, err := rig.Boot(ctx, rig.Options{Files: map[string]string{program[1:]: binary}})
	if err != nil {
		return err
	}
	booted = &Machine{Machine: m}
	return setUp(ctx, booted)
}

// Boot boots a machine of a test's own, with a binary of the host's.
func Boot(t testing.TB, binary string, o rig.Options) *Machine {
	t.Helper()
	o.Files = map[string]string{program[1:]: binary}
	return &Machine{Machine: rig.Start(t, o)}
}

// Main runs a package's tests, and ends the machine that they share.
func Main(m *testing.M) {
	status := m.Run()
	if booted != nil {
		if err := booted.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// Run runs dormouse to its end.
func (m *Machine) Run(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	exit := Exec(t, m.Machine, append([]string{program}, args...)...)
	return string(exit.Stdout), string(exit.Stderr), exit.Status
}

// Sleep lets the machine's time pass, on its own clock.
func (m *Machine) Sleep(t testing.TB, d time.Duration) {
	t.Helper()
	Do(t, m.Machine, "sleep", fmt.Sprint(d.Seconds()))
}

// Config writes a test's configuration into the machine, over the one before,
// and returns the flag that names it.
func (m *Machine) Config(t testing.TB, yaml string) (flag string) {
	t.Helper()
	path := fmt.Sprintf("/etc/%s.yml", strings.ReplaceAll(t.Name(), "/", "-"))
	Must(t, m.WriteFile(t.Context(), path, []byte(yaml), 0o644))
	return "--config.file=" + path
}

// Daemon is a detached dormouse in a machine.
type Daemon struct {
	PID     int
	Address string // of its web server
	PIDFile string
	LogFile string

	t    testing.TB
	m    *Machine
	args []string
}

// Daemon detaches a dormouse, and stops it when the test ends. Its sensors are
// read at the start and then when the test asks, unless they say otherwise.
func (m *Machine) Daemon(t testing.TB, args ...string) *Daemon {
	t.Helper()
	m.daemons++
	dir := fmt.Sprintf("/run/daemon%d", m.daemons)
	d := &Daemon{PIDFile: dir + "/dormouse.pid", LogFile: dir + "/log", t: t, m: m}
	d.args = append([]string{"start", "--every=1h", "--pid-file=" + d.PIDFile, "--state.directory=" + dir + "/state",
		"--log.output=" + d.LogFile, "--web.listen-address=127.0.0.1:0"}, args...)
	Must(t, m.Mkdir(t.Context(), dir+"/state", 0o755))
	t.Cleanup(d.Stop)
	d.Launch()
	return d
}

var ranAs = regexp.MustCompile(`dormouse runs as process (\d+)`)

// Launch starts the daemon, or starts it anew when it has ended; the log begins
// with it.
func (d *Daemon) Launch() {
	d.t.Helper()
	Must(d.t, d.m.WriteFile(d.t.Context(), d.LogFile, nil, 0o644))
	stdout, stderr, status := d.m.Run(d.t, d.args...)
	m := ranAs.FindStringSubmatch(stdout)
	if status != 0 || m == nil {
		d.t.Fatalf("dormouse start: exit status %d\n%s%s", status, stdout, stderr)
	}
	var err error
	d.PID, err = strconv.Atoi(m[1])
	Must(d.t, err)
	d.Address = Address(d.t, d.Log, Listening)
}

// Stop ends the daemon; a second time does nothing. Where the test has failed
// the log is shown.
func (d *Daemon) Stop() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), Patience)
	defer cancel()
	if d.t.Failed() {
		log, err := d.m.ReadFile(ctx, d.LogFile)
		d.t.Logf("the daemon's log (%v):\n%s", err, log)
	}
	exit, err := d.m.Exec(ctx, program, "stop", "--timeout=2m", "--pid-file="+d.PIDFile)
	if err != nil || exit.Status != 0 {
		d.t.Errorf("dormouse stop: %+v, %v", exit, err)
	}
}

// Log is what the daemon has logged.
func (d *Daemon) Log() string {
	d.t.Helper()
	text, err := d.m.ReadFile(d.t.Context(), d.LogFile)
	Must(d.t, err)
	return string(text)
}

// Read has the daemon read sensors now, all without a name, and returns those
// that it has read so far by name. What the daemon reads at its start has begun
// before, so it isn't taken for an answer.
func (d *Daemon) Read(names ...string) map[string]exporter.SensorJSON {
	d.t.Helper()
	Eventually(d.t, func() error {
		_, err := Fetch(d.t.Context(), d.m.Transport(control.Path(d.PIDFile)), "http://dormouse/readings.json")
		return err
	})
	read := map[string]exporter.SensorJSON{}
	for _, s := range d.m.Ask(d.t, d.PIDFile, names...).Sensors {
		if s.Up != nil {
			read[s.Name] = s
		} else if len(names) == 0 {
			d.t.Fatalf("sensor %s wasn't read", s.Name)
		}
	}
	return read
}

// Ask has the daemon of a pidfile read sensors now, all without a name, over its
// control socket, as `dormouse read` does. To start that program takes longer
// than most reads.
func (m *Machine) Ask(t testing.TB, pidFile string, names ...string) exporter.Readings {
	t.Helper()
	address := "http://dormouse/read?" + url.Values{"name": names}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
	Must(t, err)
	response, err := m.Transport(control.Path(pidFile)).RoundTrip(request)
	Must(t, err)
	body, err := io.ReadAll(response.Body)
	Must(t, errors.Join(err, response.Body.Close()))
	var readings exporter.Readings
	if err := json.Unmarshal(body, &readings); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the daemon of %s answers %s %q: %v", pidFile, response.Status, body, err)
	}
	return readings
}

// Page is /metrics.
func (d *Daemon) Page() Page {
	d.t.Helper()
	page, err := Fetch(d.t.Context(), d.m.Transport(""), "http://"+d.Address+"/metrics")
	if err != nil {
		d.t.Fatalf("%v\n%s", err, page)
	}
	return page
}

// Value is a series of the page, which must have it.
func (d *Daemon) Value(series string) float64 {
	d.t.Helper()
	return d.Page().Want(d.t, series)
}

// WakeUps is how often the daemon was woken while f ran.
func (d *Daemon) WakeUps(f func()) int64 {
	d.t.Helper()
	before, err := d.m.Inspect(d.t.Context(), d.PID)
	Must(d.t, err)
	f()
	after, err := d.m.Inspect(d.t.Context(), d.PID)
	Must(d.t, err)
	return after.Voluntary - before.Voluntary
}

// Asleep returns when the daemon sleeps: goroutines of an answered request go to
// sleep first. A process that waits for the processor all the time isn't woken
// either, so that its state is asked, too.
func (d *Daemon) Asleep() {
	d.t.Helper()
	Eventually(d.t, func() error {
		n := d.WakeUps(func() { d.m.Sleep(d.t, time.Second/2) })
		info, err := d.m.Inspect(d.t.Context(), d.PID)
		Must(d.t, err)
		if n != 0 || info.Awake > 0 {
			return fmt.Errorf("it doesn't sleep: %d wake-ups, and %d threads are awake", n, info.Awake)
		}
		return nil
	})
}
