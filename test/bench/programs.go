package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const waitsName = "20 waits of 50 ms"

// A program is one of those that are compared.
type program struct {
	name    string
	args    func(port int, every time.Duration) []string // the command, that stays the process it was started as
	env     []string
	ours    bool
	peer    bool          // the comparison goes on without it
	polls   bool          // it is measured polling
	sleeps  bool          // it is measured sleeping
	page    bool          // it serves one, and is scraped
	memory  bool          // only its memory is looked at
	every   time.Duration // between its polls, where that isn't the plan's
	missing string        // where it isn't installed: the packages that have it
}

//go:embed floor/floor.c
var floorSource []byte

// programs builds ours, the floor and the usual exporter, and finds the peers.
// The floor and its page come first: the others are compared with it.
func programs(dir, sensor string, pageSize func(dormouse string) (int, error)) ([]*program, error) {
	release, plain := filepath.Join(dir, "dormouse-release"), filepath.Join(dir, "dormouse-plain")
	usual, waits, floor := filepath.Join(dir, "usual"), filepath.Join(dir, "waits"), filepath.Join(dir, "floor")
	source := filepath.Join(dir, "floor.c")
	page, large := filepath.Join(dir, "forty.prom"), filepath.Join(dir, "thousand.prom")
	if err := errors.Join(
		run("make", "-s", "executable", "OUT="+release),
		run("make", "-s", "executable", "OUT="+waits, "PKG=./test/bench/waits"),
		goBuild(plain, "./cmd/dormouse"),
		goBuild(usual, "./test/bench/usual"),
		os.WriteFile(source, floorSource, 0o644),
		os.WriteFile(page, numbered(40), 0o644),
		os.WriteFile(large, numbered(1000), 0o644),
		run("gcc", "-O2", "-Wall", "-static", "-o", floor, source),
	); err != nil {
		return nil, err
	}
	ours := func(binary, page string) func(int, time.Duration) []string {
		return func(port int, every time.Duration) []string {
			return oursCommand(binary, dir, page, port, every)
		}
	}
	size, err := pageSize(release)
	if err != nil {
		return nil, err
	}
	all := []*program{
		{name: "floor in C", polls: true, sleeps: true, page: true, args: func(port int, every time.Duration) []string {
			return []string{floor, strconv.Itoa(port), strconv.Itoa(int(every.Milliseconds())), sensor, strconv.Itoa(size)}
		}},
		{name: "dormouse, release", ours: true, polls: true, sleeps: true, page: true, args: ours(release, page)},
		{name: "dormouse, go build", ours: true, polls: true, sleeps: true, page: true, args: ours(plain, page)},
		{name: "dormouse, 1,000 series", ours: true, sleeps: true, page: true, memory: true, args: ours(release, large)},
		{name: "promhttp and a ticker", peer: true, polls: true, sleeps: true, page: true, args: func(port int, every time.Duration) []string {
			return []string{usual, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), every.String(), sensor}
		}},
	}
	others, err := peers(dir, page, sensor)
	if err != nil {
		return nil, err
	}
	all = append(all, others...)
	return append(all, &program{name: waitsName, polls: true, every: 13 * time.Second, env: []string{"GOMAXPROCS=1"},
		args: func(_ int, every time.Duration) []string { return []string{waits, every.String()} }}), nil
}

// oursCommand is dormouse with one kernel sensor and the readings that a
// program prints, those of page. It is run once: what it costs to run one isn't
// compared.
func oursCommand(binary, dir, page string, port int, every time.Duration) []string {
	return []string{binary, "run", "--log.level=error", "--state.directory=" + dir,
		"--sensor=cpu=thermal,zone=" + zoneType + ",every=" + every.String(),
		"--sensor=many=command,output=prometheus,every=24h,argv=/bin/cat " + page,
		"--web.listen-address=127.0.0.1:" + strconv.Itoa(port), "--pid-file=" + pidFile(dir, port)}
}

func pidFile(dir string, port int) string { return filepath.Join(dir, strconv.Itoa(port)+".pid") }

// numbered is a page of n series.
func numbered(n int) []byte {
	var b bytes.Buffer
	b.WriteString("# HELP bench_reading A reading.\n# TYPE bench_reading gauge\n")
	for i := range n {
		fmt.Fprintf(&b, "bench_reading{number=\"%d\"} %d.5\n", i, i)
	}
	return b.Bytes()
}

const python = "/usr/bin/python3" // Debian's: it has Debian's modules

func peers(dir, page, sensor string) ([]*program, error) {
	textfiles := filepath.Join(dir, "textfiles")
	plain, served := filepath.Join(dir, "plain.py"), filepath.Join(dir, "served.py")
	if err := errors.Join(
		os.MkdirAll(textfiles, 0o755),
		copyFile(filepath.Join(textfiles, "forty.prom"), page),
		os.WriteFile(plain, []byte(pythonPlain), 0o644),
		os.WriteFile(served, []byte(pythonServed), 0o644),
	); err != nil {
		return nil, err
	}
	collectd := func(port int, every time.Duration) []string {
		config := filepath.Join(dir, fmt.Sprintf("collectd-%d.conf", port))
		text := fmt.Sprintf(collectdConfig, dir, port, int(every.Seconds()), port)
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			panic(err) // of our own temporary directory
		}
		return []string{"/usr/sbin/collectd", "-f", "-C", config}
	}
	script := func(path string) func(int, time.Duration) []string {
		return func(port int, every time.Duration) []string {
			return []string{python, path, sensor, fmt.Sprint(every.Seconds()), strconv.Itoa(port)}
		}
	}
	all := []*program{
		{name: "collectd", peer: true, polls: true, sleeps: true, page: true, args: collectd, missing: missing("collectd-core", "test", "-e", "/usr/sbin/collectd")},
		{name: "node_exporter, textfile only", peer: true, sleeps: true, page: true, args: func(port int, _ time.Duration) []string {
			return []string{"/usr/bin/prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
				"--collector.textfile.directory=" + textfiles, "--web.listen-address=127.0.0.1:" + strconv.Itoa(port)}
		}, missing: missing("prometheus-node-exporter", "test", "-e", "/usr/bin/prometheus-node-exporter")},
		{name: "python-daemon", peer: true, polls: true, sleeps: true, args: script(plain), missing: missing("python3-daemon", python, "-c", "import daemon")},
		{name: "python-daemon, prometheus_client", peer: true, polls: true, sleeps: true, page: true, args: script(served),
			missing: missing("python3-daemon python3-prometheus-client", python, "-c", "import daemon, prometheus_client")},
	}
	return all, nil
}

func missing(packages string, probe ...string) string {
	if run(probe[0], probe[1:]...) == nil {
		return ""
	}
	return packages
}

const collectdConfig = `BaseDir "%s"
PIDFile "/dev/null"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Hostname "bench-%d"
Interval %d
LoadPlugin thermal
LoadPlugin write_prometheus
<Plugin write_prometheus>
  Port "%d"
</Plugin>
`

const pythonPlain = `import sys, time, daemon
file, every = sys.argv[1], float(sys.argv[2])
with daemon.DaemonContext(detach_process=False):
    while True:
        with open(file) as f:
            value = int(f.read()) / 1000
        time.sleep(every)
`

const pythonServed = `import sys, time, daemon
from prometheus_client import Gauge, start_http_server
file, every, port = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
with daemon.DaemonContext(detach_process=False):
    temperature = Gauge("sensor_temperature_celsius", "Temperature.")
    others = Gauge("bench_reading", "A reading.", ["number"])
    for i in range(39):
        others.labels(i).set(i + 0.5)
    start_http_server(port, "127.0.0.1")
    while True:
        with open(file) as f:
            temperature.set(int(f.read()) / 1000)
        time.sleep(every)
`

// goBuild builds as go build does: no release.
func goBuild(target, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", target, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return output(cmd)
}

// run runs a command at the module's root, where make bench is at home.
func run(name string, args ...string) error { return output(exec.Command(name, args...)) }

func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// An instance is a program that runs.
type instance struct {
	*program
	port  int
	every time.Duration
	cmd   *exec.Cmd
	said  bytes.Buffer
	ended chan struct{} // closed when it has been waited for
	err   error         // of waiting
}

// start runs a program and returns when it serves its page.
func (p *program) start(every time.Duration) (*instance, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	i := &instance{program: p, port: port, every: every, ended: make(chan struct{})}
	args := p.args(port, every)
	i.cmd = exec.Command(args[0], args[1:]...)
	i.cmd.Env = append(os.Environ(), p.env...)
	i.cmd.Stdout, i.cmd.Stderr = &i.said, &i.said
	// They die with the benchmark, however it ends.
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := i.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		i.err = i.cmd.Wait()
		close(i.ended)
	}()
	if p.page {
		if err := i.await(); err != nil {
			return nil, errors.Join(err, i.stop())
		}
	}
	return i, nil
}

func (i *instance) pid() int { return i.cmd.Process.Pid }

// await waits until the page is there.
func (i *instance) await() error {
	s, err := newScraper(i.port)
	if err != nil {
		return err
	}
	defer s.close()
	const patience = 20 * time.Second
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err = s.scrape(); err == nil {
			return nil
		}
		select {
		case <-i.ended:
			return fmt.Errorf("%s ended: %w\n%s", i.name, i.err, i.said.String())
		default:
		}
	}
	return fmt.Errorf("%s serves no page: %w", i.name, err)
}

// stop ends the program: with a signal that it may answer, then without.
func (i *instance) stop() error {
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.AfterFunc(10*time.Second, func() { _ = i.cmd.Process.Kill() })
	defer timer.Stop()
	<-i.ended
	var exit *exec.ExitError
	if i.err != nil && !errors.As(i.err, &exit) {
		return i.err
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// A thermal zone: the machine's first, or one that is shown.
const zoneDirectory = "/sys/class/thermal/thermal_zone0"

// zoneType is the zone's name, for dormouse: that of every Pi's processor, or
// what the machine's first zone is called.
var zoneType = "cpu-thermal"

// findSensor returns the file that everybody reads. Where there is no zone,
// one is shown in this process's own mount namespace: its temperature is the
// loopback device's MTU, 65536, which a sysfs attribute tells as a sensor's
// driver would.
func findSensor() (string, error) {
	text, err := os.ReadFile(zoneDirectory + "/type")
	if err == nil {
		zoneType = strings.TrimSpace(string(text))
		return zoneDirectory + "/temp", nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	class := filepath.Dir(zoneDirectory)
	temp := zoneDirectory + "/temp"
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	if err := syscall.Mount("bench", class, "tmpfs", 0, ""); err != nil {
		return "", fmt.Errorf("show a thermal zone at %s: %w", class, err)
	}
	if err := errors.Join(
		os.Mkdir(zoneDirectory, 0o755),
		os.WriteFile(zoneDirectory+"/type", []byte(zoneType+"\n"), 0o444),
		os.WriteFile(temp, nil, 0o444),
	); err != nil {
		return "", err
	}
	if err := syscall.Mount("/sys/class/net/lo/mtu", temp, "", syscall.MS_BIND, ""); err != nil {
		return "", fmt.Errorf("show a temperature: %w", err)
	}
	return temp, nil
}
