package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/cmd/dormouse/internal/demo"
	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

const twoSensors = `defaults: {every: 1h}
sensors:
  - {name: office, driver: sht4x, addr: 0x44}
  - {name: rain, driver: pulse, pin: GPIO22, quantity: precipitation, per-pulse: 0.2794mm}
`

var simulated = []string{"--config.file=dormouse.yml", "--board=sim", "--log.output=log", "--web.listen-address=127.0.0.1:0"}

// start starts a daemon on the simulated board, and stops it when the test
// ends.
func (p *place) start(args ...string) {
	p.Helper()
	p.Cleanup(func() { p.run("stop") })
	p.must(append(append([]string{"start"}, simulated...), args...)...)
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// url finds out where the daemon listens, from its log.
func (p *place) url(log func() string) string {
	p.Helper()
	var address string
	p.eventually(func() error {
		m := listening.FindStringSubmatch(log())
		if m == nil {
			return fmt.Errorf("no address in the log:\n%s", log())
		}
		address = m[1]
		return nil
	})
	return "http://" + address
}

// pid is the daemon's.
func (p *place) pid() int {
	p.Helper()
	var state struct{ PID int }
	if err := json.Unmarshal([]byte(p.must("status", "--format=json")), &state); err != nil || state.PID == 0 {
		p.Fatalf("%+v, %v", state, err)
	}
	return state.PID
}

func (p *place) get(url string) string {
	p.Helper()
	response, err := http.Get(url)
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		p.Fatalf("%s: %s\n%s", url, response.Status, body)
	}
	return string(body)
}

// The life of a daemon, by its commands and their exit statuses.
func TestLife(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	if _, _, code := p.run("status"); code != 3 {
		t.Errorf("status before the start: %d, want 3", code)
	}
	if _, stderr, code := p.run("reload"); code != 7 || !strings.Contains(stderr, "nothing to reload") {
		t.Errorf("reload before the start: %d, want 7\n%s", code, stderr)
	}
	out := p.must(append([]string{"start"}, simulated...)...)
	p.Cleanup(func() { p.run("stop") })
	if !strings.Contains(out, "dormouse runs as process ") || !strings.Contains(out, "/metrics") {
		t.Errorf("start says %q", out)
	}
	if _, stderr, code := p.run(append([]string{"start"}, simulated...)...); code != 1 || !strings.Contains(stderr, "already running as process") {
		t.Errorf("second start: %d\n%s", code, stderr)
	}

	url := p.url(func() string { return p.read("log") })
	p.eventually(func() error {
		if page := p.get(url + "/metrics"); !strings.Contains(page, `dormouse_sensor_up{sensor="office"} 1`) {
			return fmt.Errorf("office isn't up:\n%s", page)
		}
		return nil
	})
	page := p.get(url + "/metrics")
	for _, want := range []string{`sensor_temperature_celsius{sensor="office"} `, `sensor_pulses_total{sensor="rain"} `, `sensor_precipitation_meters_total{sensor="rain"} `} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	status := p.must("status")
	_, clockIsTrue := alarm.Now().Wall() // otherwise no time is shown
	if !strings.Contains(status, "2 of 2 sensors up") || strings.Contains(status, "; next wake at ") != clockIsTrue {
		t.Errorf("status says %q", status)
	}
	if read := p.must("read", "office"); !regexp.MustCompile(`office\s+temperature\s+-?[0-9.]+ °C\s+ok`).MatchString(read) || strings.Contains(read, "rain  ") && !strings.Contains(read, "office") {
		t.Errorf("read says\n%s", read)
	}
	if inspection := p.must("inspect"); strings.Contains(inspection, "\nfail") {
		t.Errorf("inspect:\n%s", inspection)
	}

	// Reloads, whole or not at all.
	p.write("dormouse.yml", twoSensors+"  - {name: cellar, driver: tmp102, addr: 0x48, warmup: 1ms}\n")
	p.must("reload")
	if log := p.read("log"); !strings.Contains(log, "sensor cellar: warmup: has no effect without power") {
		t.Errorf("the log has no warning about the new configuration:\n%s", log)
	}
	p.eventually(func() error {
		if status := p.must("status"); !strings.Contains(status, "3 of 3 sensors up") {
			return fmt.Errorf("after the reload: %s", status)
		}
		return nil
	})
	p.write("dormouse.yml", twoSensors+"  - {name: cellar, driver: tmp201, addr: 0x48}\n")
	if _, stderr, code := p.run("reload"); code != 6 || !strings.Contains(stderr, `no driver "tmp201" (did you mean tmp102?)`) {
		t.Errorf("reload of a wrong file: %d\n%s", code, stderr)
	}
	if page := p.get(url + "/metrics"); !strings.Contains(page, `dormouse_sensor_up{sensor="cellar"} 1`) || !strings.Contains(page, "dormouse_config_last_reload_successful 0") {
		t.Errorf("after a failed reload:\n%s", page)
	}

	if _, err := os.Stat(filepath.Join(p.dir, "run", "dormouse.pid")); err != nil {
		t.Error(err)
	}
	p.must("stop")
	for _, left := range []string{"dormouse.pid", "dormouse.sock"} {
		if _, err := os.Stat(filepath.Join(p.dir, "run", left)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
	if _, _, code := p.run("status"); code != 3 {
		t.Errorf("status after the stop: %d, want 3", code)
	}
	if out := p.must("stop"); !strings.Contains(out, "not running") {
		t.Errorf("second stop says %q", out)
	}
	// The count of pulses outlives the daemon.
	if counts := p.read("state/counters.json"); !strings.Contains(counts, "rain") {
		t.Errorf("the state is %s", counts)
	}
}

func TestRestartKeepsWhatCanNotBeStartedAgain(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	p.start()
	before := p.pid()
	p.write("dormouse.yml", "sensors: nonsense\n")
	if _, stderr, code := p.run(append([]string{"restart"}, simulated...)...); code != 6 {
		t.Errorf("restart with a wrong file: %d\n%s", code, stderr)
	}
	if after := p.pid(); after != before {
		t.Errorf("a restart that could not succeed changed %d to %d", before, after)
	}
	p.write("dormouse.yml", twoSensors)
	if _, stderr, code := p.run("restart", "--config.file=dormouse.yml", "--board=sim", "--web.listen-address=127.0.0.1:0", "--log.output=stderr"); code != 2 || !strings.Contains(stderr, "--log.output") {
		t.Errorf("restart with a log that it can't have: %d\n%s", code, stderr)
	}
	if after := p.pid(); after != before {
		t.Errorf("a restart that could not log changed %d to %d", before, after)
	}
	p.must(append([]string{"restart"}, simulated...)...)
	if after := p.pid(); after == before {
		t.Errorf("restart left the process as it was: %d", after)
	}
}

// Under a superserver standard output is its socket, and writing there would end
// the process.
func TestNothingIsExplainedToASocket(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	cmd := p.command("start", "--explain", "--board=sim", "--sensor=a=sht4x")
	var stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = socket, socket, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(stderr.String(), "the superserver's socket") {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}

// A start that fails tells the terminal.
func TestStartErrorReachesTheTerminal(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	_, stderr, code := p.run(append(append([]string{"start"}, simulated...), "--web.listen-address=nohost.invalid:0")...)
	if code != 1 || !strings.Contains(stderr, "nohost.invalid") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	if _, _, code := p.run("status"); code != 3 {
		t.Errorf("status afterwards: %d, want 3", code)
	}
}

// Values of flags that can never be right are a wrong command line, of which a
// service manager doesn't try the start again; check finds them, too.
func TestWrongValues(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	for flag, want := range map[string]string{
		"--web.listen-address=foo":             `--web.listen-address: listen on "foo": address foo: missing port in address: write HOST:PORT`,
		"--web.listen-address=127.0.0.1:99999": `there is no port "99999": write HOST:PORT or :PORT with a number up to 65535`,
		"--web.listen-address=:nosuchservice":  `there is no port "nosuchservice"`,
		"--web.listen-address=http://:9367":    "without a scheme",
		"--user=nobody-of-this-name":           `--user: user "nobody-of-this-name": user: unknown user`,
		"--group=nobodies":                     `--group: group "nobodies": group: unknown group`,
		"--web.telemetry-path=/":               "--web.telemetry-path: / is the path of another page",
		"--web.telemetry-path=readings.json":   "/readings.json is the path of another page",
		"--web.telemetry-path=/metrics?a=b":    "is not a path",
		"--web.telemetry-path=/%2d/healthy":    "is not a path",
	} {
		for _, command := range []string{"start", "run", "restart", "check"} {
			args := append(append([]string{command}, simulated...), flag)
			if _, stderr, code := p.run(args...); code != exitUsage || !strings.Contains(stderr, want) {
				t.Errorf("%s %s: exit status %d, no %q in\n%s", command, flag, code, want, stderr)
			}
		}
	}
	// Of a command line and a configuration that are wrong both are reported.
	if _, stderr, code := p.run("check", "--web.listen-address=foo", "--sensor=a=bme208"); code != exitUsage ||
		!strings.Contains(stderr, "missing port") || !strings.Contains(stderr, "bme208") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
}

// A restart that could not start again leaves the daemon running, and names the
// flag that is the reason.
func TestRestartThatCanNotStart(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p.start()
	before := p.pid()
	for flag, want := range map[string]string{
		"--group=nobodies":                              `--group: group "nobodies"`,
		"--user=nosuch":                                 `--user: user "nosuch"`,
		"--log.output=none/x":                           "--log.output: log file " + filepath.Join(p.dir, "none/x"),
		"--log.output=run":                              "--log.output: log file " + filepath.Join(p.dir, "run"),
		"--log.output=stderr":                           "--log.output: a daemon that detaches",
		"--working-directory=none":                      "--working-directory: stat " + filepath.Join(p.dir, "none"),
		"--state.directory=dormouse.yml/a":              "--state.directory: ",
		"--web.listen-address=" + taken.Addr().String(): fmt.Sprintf("--web.listen-address: listen on %q", taken.Addr()),
		"--web.listen-address=nohost.invalid:0":         "--web.listen-address: listen on",
		"--web.listen-address=192.0.2.1:0":              "this machine doesn't have that address",
		"--web.systemd-socket":                          "--web.systemd-socket: no socket was handed over",
		"--web.config.file=none.yml":                    "--web.config.file",
	} {
		name, _, _ := strings.Cut(flag, "=")
		args := slices.DeleteFunc(slices.Clone(simulated), func(s string) bool { return name == "--log.output" && strings.HasPrefix(s, name) })
		if _, stderr, code := p.run(append(append([]string{"restart"}, args...), flag)...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit status %d, no %q in\n%s", flag, code, want, stderr)
		}
		if after := p.pid(); after != before {
			t.Fatalf("%s: process %d became %d", flag, before, after)
		}
	}
}

// The address of the daemon that is to end is free for the next one.
func TestRestartTakesTheAddressOver(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	// An address that no other program has, which could take the port in between: all
	// of 127.0.0.0/8 is this machine.
	pid := os.Getpid()
	on := func(address string) []string {
		return []string{"--config.file=dormouse.yml", "--board=sim", "--log.output=log", "--web.listen-address=" + address}
	}
	p.Cleanup(func() { p.run("stop") })
	p.must(append([]string{"start"}, on(fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff))...)...)
	before := p.pid()
	address := strings.TrimPrefix(p.url(func() string { return p.read("log") }), "http://")
	p.must(append([]string{"restart"}, on(address)...)...)
	if after := p.pid(); after == before {
		t.Errorf("restart left process %d", before)
	}
	if page := p.get("http://" + address + "/-/healthy"); page == "" {
		t.Error("the page isn't served")
	}
}

func TestSystemdSocketThatIsNotThere(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	_, stderr, code := p.run("run", "--config.file=dormouse.yml", "--board=sim", "--web.systemd-socket")
	if code != 1 || !strings.Contains(stderr, "--web.systemd-socket: no socket was handed over: enable dormouse.socket") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
}

// foreground starts run or demo, and returns a function that tells its log.
func (p *place) foreground(args ...string) (cmd *exec.Cmd, log func() string) {
	p.Helper()
	cmd = p.command(args...)
	name := filepath.Join(p.dir, "stderr")
	f, err := os.Create(name)
	if err != nil {
		p.Fatal(err)
	}
	cmd.Stderr = f
	return cmd, func() string { return p.read("stderr") }
}

// What a supervisor says of its watchdog may be wrong: the daemon works all the same.
func TestRunWithAnInvalidWatchdog(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	cmd, log := p.foreground("run", "--config.file=dormouse.yml", "--board=sim", "--web.listen-address=127.0.0.1:0")
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd.Env = append(cmd.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=junk")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.url(log)
	p.eventually(func() error {
		if !strings.Contains(log(), "unset WATCHDOG_USEC") {
			return fmt.Errorf("no warning in the log:\n%s", log())
		}
		return nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log())
	}
}

func TestRunEndsByTERM(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p := newPlace(t)
			p.write("dormouse.yml", twoSensors)
			cmd, log := p.foreground("run", "--config.file=dormouse.yml", "--board=sim", "--web.listen-address=127.0.0.1:0")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			url := p.url(log)
			if page := p.get(url + "/-/healthy"); page == "" {
				t.Error("the daemon doesn't say that it is healthy")
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("after %v: %v\n%s", sig, err, log())
			}
		})
	}
}

func TestUSR1ReadsAtOnce(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	p.start()
	url := p.url(func() string { return p.read("log") })
	reads := func() float64 {
		var r exporter.Readings
		if err := json.Unmarshal([]byte(p.get(url+"/readings.json")), &r); err != nil || len(r.Sensors) == 0 {
			return -1
		}
		return float64(r.Sensors[0].Reads)
	}
	p.eventually(func() error {
		if status := p.must("status"); !strings.Contains(status, "2 of 2 sensors up") {
			return fmt.Errorf("before the signal: %s", status)
		}
		return nil
	})
	if err := syscall.Kill(p.pid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	p.eventually(func() error {
		if n := reads(); n != 2 {
			return fmt.Errorf("%v reads after the signal, want 2", n)
		}
		return nil
	})
	if strings.Contains(p.read("log"), "level=INFO msg=state") {
		t.Error("the state is in the log before the signal")
	}
	if err := syscall.Kill(p.pid(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	p.eventually(func() error {
		if log := p.read("log"); !strings.Contains(log, "msg=state sensor=office") {
			return fmt.Errorf("no dump in the log:\n%s", log)
		}
		return nil
	})
}

// USR2 is answered in the log whatever the log's level.
func TestUSR2AtAnyLevel(t *testing.T) {
	for _, level := range []string{"debug", "warn", "error"} {
		t.Run(level, func(t *testing.T) {
			p := newPlace(t)
			p.write("dormouse.yml", twoSensors)
			p.start("--log.level=" + level)
			p.eventually(func() error {
				if err := syscall.Kill(p.pid(), syscall.SIGUSR2); err != nil {
					return err
				}
				if log := p.read("log"); !strings.Contains(log, "msg=state sensor=office") || !strings.Contains(log, "msg=wire") {
					return fmt.Errorf("no state in the log:\n%s", log)
				}
				return nil
			})
		})
	}
}

func TestLogIsReopened(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	p.start()
	if err := os.Rename(filepath.Join(p.dir, "log"), filepath.Join(p.dir, "log.1")); err != nil {
		t.Fatal(err)
	}
	p.must("reload")
	if log := p.read("log"); !strings.Contains(log, "reloaded") {
		t.Errorf("the new log holds %q", log)
	}
}

func TestDemo(t *testing.T) {
	p := newPlace(t)
	cmd, log := p.foreground("demo", "--web.listen-address=127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	until := func(last string) string {
		var said []string
		for lines.Scan() {
			said = append(said, lines.Text())
			if strings.Contains(lines.Text(), last) {
				break
			}
		}
		return strings.Join(said, "\n")
	}
	text := until("end it with ^C")
	cfg, err := (&service.Source{ConfigFile: "demo.yml", Builtin: demo.Config}).Load()
	if err != nil {
		t.Fatal(err)
	}
	url := p.url(log)
	page := p.get(url + "/metrics")
	for _, sensor := range cfg.Sensors {
		if sensor.Name == "attic" {
			continue // its contact is loose: TestLooseContact
		}
		if !regexp.MustCompile(`(?m)^` + sensor.Name + ` .* ok$`).MatchString(text) {
			t.Errorf("the demonstration doesn't show %s as ok:\n%s", sensor.Name, text)
		}
		if !strings.Contains(page, fmt.Sprintf("\ndormouse_sensor_up{sensor=%q} 1\n", sensor.Name)) {
			t.Errorf("%s isn't up:\n%s", sensor.Name, page)
		}
	}
	if len(cfg.Sensors) < 10 {
		t.Errorf("the demonstration has only %d sensors", len(cfg.Sensors))
	}
	// The Enter key pulls a sensor out and puts it back.
	for _, step := range []struct{ last, up string }{{"put it back", "0"}, {"ends the failure by itself", "1"}} {
		if _, err := keys.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
		until(step.last)
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		p.eventually(func() error {
			if page := p.get(url + "/metrics"); !strings.Contains(page, "\ndormouse_sensor_up{sensor=\"office\"} "+step.up+"\n") {
				return fmt.Errorf("the office's sensor isn't up %s:\n%s", step.up, page)
			}
			return nil
		})
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("^C: %v\n%s", err, log())
	}
}

func TestReadWithoutDaemon(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	args := []string{"read", "--config.file=dormouse.yml", "--board=sim"}
	if table := p.must(args...); !strings.Contains(table, "office") || !strings.Contains(table, "°C") {
		t.Errorf("table:\n%s", table)
	}
	var readings exporter.Readings
	if err := json.Unmarshal([]byte(p.must(append(args, "--format=json")...)), &readings); err != nil || len(readings.Sensors) != 2 {
		t.Errorf("json: %v, %+v", err, readings)
	}
	if text := p.must(append(args, "--format=prometheus")...); !strings.Contains(text, "# TYPE sensor_temperature_celsius gauge") {
		t.Errorf("prometheus:\n%s", text)
	}
	p.must(append(args, "--textfile=out.prom")...)
	if text := p.read("out.prom"); !strings.Contains(text, "sensor_pulses_total") || strings.Contains(text, "process_") {
		t.Errorf("textfile:\n%s", text)
	}
	// One that isn't there: a row that says so, and a failure.
	stdout, _, code := p.run("read", "--board=sim", "--sensor=ghost=bme280,addr=0x77", "--sensor=office=sht4x")
	if code != 1 || !strings.Contains(stdout, "no answer at 0x77") || !strings.Contains(stdout, "office") {
		t.Errorf("with an absent sensor: exit status %d\n%s", code, stdout)
	}
	if _, stderr, code := p.run("read"); code != 2 || !strings.Contains(stderr, "--sensor") {
		t.Errorf("without anything: exit status %d\n%s", code, stderr)
	}
	if _, stderr, code := p.run(append(args, "nobody")...); code == 0 || !strings.Contains(stderr, "nobody") {
		t.Errorf("an unknown name: exit status %d\n%s", code, stderr)
	}
}

func TestCheck(t *testing.T) {
	p := newPlace(t)
	out := p.must("check", "--board=sim", "--sensor=greenhouse=bme280,power=GPIO17,warmup=50ms", "--sensor=door=switch,pin=BOARD13",
		"--sensor=backup=command,argv=/bin/false,output=none", "--hardware")
	for _, want := range []string{"I2C bus 1, address 0x76", "GPIO17 (pin 11)", "GPIO27 (pin 13)", "greenhouse answers: BME280\n", "door answers\n", "backup is a program: not run"} {
		if !strings.Contains(out, want) {
			t.Errorf("check doesn't say %q:\n%s", want, out)
		}
	}
	out, _, code := p.run("check", "--board=sim", "--sensor=a=bme280,addr=0x77", "--sensor=b=bme280,bus=7", "--hardware")
	if code != 1 || !strings.Contains(out, "no answer at 0x77") || !strings.Contains(out, "b is down") || !strings.Contains(out, "/dev/i2c-7") {
		t.Errorf("check of what isn't there: exit status %d\n%s", code, out)
	}
}

// What root's command can read, the daemon's user may not: a reload would fail.
func TestWarnsOfWhatCanNotBeReadAgain(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	file := filepath.Join(p.dir, "dormouse.yml")
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := p.run("check", "--config.file=dormouse.yml", "--user=nobody")
	if code != 0 || !strings.Contains(stderr, "warning: --config.file: ") || !strings.Contains(stderr, "user nobody") || !strings.Contains(stderr, "a reload will fail") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	if _, stderr, _ := p.run("check", "--config.file=dormouse.yml"); strings.Contains(stderr, "a reload will fail") {
		t.Errorf("without --user:\n%s", stderr)
	}
}

func TestDrivers(t *testing.T) {
	p := newPlace(t)
	var drivers []struct{ Name string }
	if err := json.Unmarshal([]byte(p.must("drivers", "--format=json")), &drivers); err != nil {
		t.Fatal(err)
	}
	all := sensors.Drivers()
	if len(drivers) != len(all) || len(all) == 0 {
		t.Fatalf("%d drivers are listed of %d", len(drivers), len(all))
	}
	for i, d := range all {
		text := p.must("drivers", d.Name)
		if drivers[i].Name != d.Name || !strings.Contains(text, "options:") || !strings.Contains(text, "data sheet:") {
			t.Errorf("drivers %s:\n%s", d.Name, text)
		}
		for _, note := range d.Notes {
			if !strings.Contains(text, "\n  "+note+"\n") {
				t.Errorf("drivers %s lacks the note %q", d.Name, note)
			}
		}
		if power := strings.Contains(text, "power, warmup, "); power != (d.NoRail == "") || !strings.Contains(text, d.NoRail) {
			t.Errorf("drivers %s says of power:\n%s", d.Name, text)
		}
	}
	if _, stderr, code := p.run("drivers", "bme208"); code != 2 || !strings.Contains(stderr, "bme280") {
		t.Errorf("an unknown driver: exit status %d\n%s", code, stderr)
	}
}

func TestReadWaitsForTheFirstWake(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", "sensors:\n  - {name: slow, driver: command, argv: [/bin/sh, -c, sleep 1; echo 7], output: number}\n")
	p.start()
	if read := p.must("read", "--format=json"); !strings.Contains(read, `"value": 7`) {
		t.Errorf("read says %s", read)
	}
}

// Nothing resident: the counters of the text file don't reset to zero.
func TestTextfileRunByRun(t *testing.T) {
	p := newPlace(t)
	for n := range 3 {
		p.must("read", "--board=sim", "--sensor=t=tmp102,addr=0x48", "--textfile=out.prom")
		text := p.read("out.prom")
		if want := "dormouse_sensor_reads_total{sensor=\"t\"} " + string(rune('1'+n)) + "\n"; !strings.Contains(text, want) {
			t.Errorf("run %d: no %q in\n%s", n+1, want, text)
		}
		if strings.Contains(text, "dormouse_sensor_next_read_timestamp_seconds{") {
			t.Errorf("run %d: it knows the next", n+1)
		}
	}
}
