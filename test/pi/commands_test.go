//go:build system

package pi

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

const (
	thermometer = "--sensor=air=tmp102,model=tmp75,addr=0x48"
	door        = "--sensor=door=switch,pin=GPIO17,transitions=no"
	processor   = "--sensor=cpu=thermal"
)

// commands runs each command beside a daemon, which it starts, reloads and
// stops, and compares what it prints.
func commands(t *testing.T, b *bench) {
	b.set(t, "tmp105", "temperature", 42500)
	config := "defaults: {timeout: 2m}\nsensors:\n  - {name: air, driver: tmp102, model: tmp75, addr: 0x48}\n"
	file := b.Config(t, config)
	d := b.Daemon(t, file, processor, door, "--release-executable=always")
	t.Run("start", func(t *testing.T) { started(t, b, d) })
	t.Run("inspect", func(t *testing.T) { inspected(t, b, d) })
	pidFile := "--pid-file=" + d.PIDFile
	for _, c := range []struct {
		args   []string
		status int
		says   []string
	}{
		{[]string{"status", pidFile}, 0, []string{"running as process " + strconv.Itoa(d.PID), "3 of 3 sensors up"}},
		{[]string{"read", pidFile}, 0, []string{"42.50 °C", "door", "cpu"}},
		{[]string{"scan", pidFile}, 0, []string{"0x48  is read by the running daemon", "0x68  answers; no driver's chip has this address", "(pinctrl-bcm2835), 54 lines"}},
		{[]string{"pinout", file, door}, 0, []string{"SDA of I2C bus 1", "GPIO17"}},
		{[]string{"check", "--hardware", file, processor, door}, 0, []string{"GPIO17 (pin 11)", "air answers", "cpu answers", "door answers"}},
		{[]string{"check", "--hardware", "--sensor=air=tmp102,model=tmp75,addr=0x4f"}, 1, []string{"no answer at 0x4f on I2C bus 1", "remote I/O error"}},
	} {
		b.says(t, c.status, c.says, c.args...)
	}

	b.Config(t, config+"  - {name: other, driver: tmp102, model: tmp75, addr: 0x49}\n")
	b.says(t, 0, []string{"reloaded"}, "reload", pidFile)
	sensors := d.Read()
	if air, other := sensors["air"], sensors["other"]; len(sensors) != 4 || !*air.Up || *other.Up || other.Reason != "no_answer" {
		t.Errorf("after a good reload: %+v", sensors)
	}
	b.Config(t, config+"  - {name: other, driver: tmp1002}\n")
	b.says(t, 6, []string{"tmp1002", "did you mean tmp102"}, "reload", pidFile)
	if sensors := d.Read(); len(sensors) != 4 || !*sensors["air"].Up {
		t.Errorf("after a bad reload: %+v", sensors)
	}

	b.says(t, 0, []string{"process " + strconv.Itoa(d.PID) + ", has ended"}, "stop", pidFile)
	b.says(t, 3, []string{"not running"}, "status", pidFile)
	if left := kit.Exec(t, b.pi.Machine, "test", "-e", d.PIDFile, "-o", "-e", fmt.Sprintf("/proc/%d", d.PID)); left.Status != 1 {
		t.Error("the pidfile or the process is still there")
	}
}

// says runs dormouse and looks for words in all that it prints.
func (b *bench) says(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	begun := time.Now()
	stdout, stderr, got := b.Run(t, args...)
	t.Logf("dormouse %s took %s", args[0], time.Since(begun).Round(time.Millisecond))
	if got != status {
		t.Errorf("dormouse %q: exit status %d, want %d", args, got, status)
	}
	for _, w := range words {
		if !strings.Contains(stdout+stderr, w) {
			t.Errorf("dormouse %q doesn't say %q:\n%s%s", args, w, stdout, stderr)
		}
	}
}

func started(t *testing.T, b *bench, d *kit.Daemon) {
	info, err := b.Inspect(t.Context(), d.PID)
	kit.Must(t, err)
	if info.Parent != 1 || info.Cwd != "/" || info.Files[0] != "/dev/null" || info.Files[1] != "/dev/null" || info.Files[2] != d.LogFile {
		t.Errorf("the daemon isn't detached: %+v", info)
	}
	if info.Exe != "/memfd:dormouse (deleted)" {
		t.Errorf("it runs from %s, want a copy in memory", info.Exe)
	}
	if pid, err := b.ReadFile(t.Context(), d.PIDFile); err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(d.PID) {
		t.Errorf("the pidfile holds %q, %v; want %d", pid, err, d.PID)
	}
}

// inspected holds the daemon against each point of a well-behaved one, as it
// stands in the kernel's own /proc here.
func inspected(t *testing.T, b *bench, d *kit.Daemon) {
	stdout, stderr, status := b.Run(t, "inspect", "--format=json", "--pid-file="+d.PIDFile)
	var found daemon.Inspection
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || status != 0 || found.PID != d.PID || len(found.Points) < 10 {
		t.Fatalf("inspect: exit status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	for _, p := range found.Points {
		if p.Verdict == daemon.Fail {
			t.Errorf("%s: %s: %q", p.Name, p.Why, p.Evidence)
		}
	}
}

// A sleeper is a daemon of which nothing is due while other tests use the same
// machine.
type sleeper struct {
	pid       int
	voluntary int64 // context switches before
	since     time.Duration
}

// fallAsleep starts a daemon and returns when it sleeps. It ends with the test
// that asks for it.
func (b *bench) fallAsleep(t *testing.T) sleeper {
	t.Helper()
	d := b.Daemon(t, thermometer+",every=24h", processor+",every=24h", door+",every=24h")
	d.Read()
	d.Asleep()
	before, err := b.Inspect(t.Context(), d.PID)
	kit.Must(t, err)
	clocks, err := b.Clocks(t.Context())
	kit.Must(t, err)
	return sleeper{d.PID, before.Voluntary, clocks.Monotonic}
}

// slept tells how long the daemon has slept, a minute at least, that nothing has
// woken it meanwhile, what memory it has, and that it holds no wire. The runtime
// may return memory seconds after the read, many of this processor's: then it is
// the next minute that counts, or the one after that.
func (s sleeper) slept(t *testing.T, b *bench) {
	passed, open := s.aMinute(t, b)
	for range 2 {
		if open.Voluntary == s.voluntary {
			break
		}
		t.Logf("%d voluntary context switches in %s", open.Voluntary-s.voluntary, passed)
		s.voluntary, s.since = open.Voluntary, s.since+passed
		passed, open = s.aMinute(t, b)
	}
	wakeUps := open.Voluntary - s.voluntary
	if wakeUps != 0 {
		t.Errorf("%d voluntary context switches in %s, want none", wakeUps, passed)
	}
	status, err := b.ReadFile(t.Context(), fmt.Sprintf("/proc/%d/status", s.pid))
	kit.Must(t, err)
	var memory []string
	for line := range strings.Lines(string(status)) {
		if name, value, _ := strings.Cut(line, ":"); name == "VmRSS" || name == "RssAnon" || name == "RssFile" || name == "RssShmem" || name == "Threads" {
			memory = append(memory, name+" "+strings.TrimSpace(value))
		}
	}
	if len(memory) != 5 {
		t.Errorf("the memory is %q", memory)
	}
	t.Logf("asleep for %s: %d voluntary context switches; %s", passed.Round(time.Second), wakeUps, strings.Join(memory, ", "))
	for fd, link := range open.Files {
		if strings.HasPrefix(link, "/dev/i2c") || strings.Contains(link, "gpio") {
			t.Errorf("asleep it holds %d → %s", fd, link)
		}
	}
}

// aMinute returns when a minute has passed on the machine's clock, how long it was,
// and what the daemon is then.
func (s sleeper) aMinute(t *testing.T, b *bench) (passed time.Duration, open rig.ProcessInfo) {
	t.Helper()
	kit.Eventually(t, func() error {
		clocks, err := b.Clocks(t.Context())
		kit.Must(t, err)
		if passed = clocks.Monotonic - s.since; passed < time.Minute {
			return fmt.Errorf("only %s passed on the machine's clock", passed)
		}
		return nil
	})
	open, err := b.Inspect(t.Context(), s.pid)
	kit.Must(t, err)
	return passed, open
}

// temperatures sets from outside what two chips measure, and reads them by the
// board's own controller: the one by dormouse's driver, the other by the
// kernel's.
func temperatures(t *testing.T, b *bench) {
	kit.Must(t, b.Modprobe(t.Context(), "tmp421", ""))
	dir, release := b.bind(t, "tmp421", addresses["tmp421"])
	defer release()
	d := b.Daemon(t, thermometer, "--sensor=two=hwmon,device=1-004c")
	for _, want := range []float64{-40, -8.25, 0, 42.5, 125} {
		b.set(t, "tmp105", "temperature", int(want*1000))
		b.set(t, "tmp421", "temperature0", int(want*1000))
		b.set(t, "tmp421", "temperature1", int((85-want)*1000))
		b.waitFor(t, dir, "temp1_input", want)
		b.waitFor(t, dir, "temp2_input", 85-want)
		sensors := d.Read()
		air := sensors["air"]
		if !*air.Up || len(air.Readings) != 1 || *air.Readings[0].Value != want {
			t.Errorf("at %v °C it reads %+v", want, air)
		}
		if got := d.Value(`sensor_temperature_celsius{sensor="air"}`); got != want {
			t.Errorf("at %v °C the page has %v", want, got)
		}
		b.agrees(t, sensors["two"], dir, map[string]float64{"temp1": want, "temp2": 85 - want})
	}
}
