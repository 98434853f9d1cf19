//go:build system

package inits

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

const unitDirectory = "/etc/systemd/system/"

// units are installed as docs/install.md tells.
var units = []string{"dormouse.service", "dormouse.socket", "dormouse-read.service", "dormouse-read.timer"}

// bootSystemd starts systemd as process 1, with those of our units enabled that
// are named.
func bootSystemd(t *testing.T, prepare func(*machine), enabled ...string) *machine {
	t.Helper()
	m := newMachine(t, "")
	for _, unit := range units {
		m.install(kit.Source("systemd/"+unit), unitDirectory+unit, 0o644)
	}
	m.install(kit.Source("systemd/dormouse.tmpfiles.conf"), "/usr/lib/tmpfiles.d/dormouse.conf", 0o644)
	m.inside("/etc/machine-id", "")
	kit.Must(t, os.MkdirAll(m.root+"/var/log/journal", 0o755)) // kept, so that the end can be read
	if prepare != nil {
		prepare(m)
	}
	for _, unit := range enabled {
		m.host("systemctl", "--quiet", "--root="+m.root, "enable", unit)
	}
	m.startSystemd()
	return m
}

// startSystemd boots the machine, and returns when systemd has started what it
// was told to.
func (m *machine) startSystemd() {
	m.Helper()
	// There is nothing to remount in a container, and on a busy host it may fail.
	m.host("systemctl", "--quiet", "--root="+m.root, "mask", "systemd-remount-fs.service")
	m.start("systemd", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--console=read-only",
		"--capability=CAP_WAKE_ALARM", "--machine=dormouse-test", "--directory="+m.root, "/lib/systemd/systemd")
	kit.Eventually(m, func() error {
		out, code := m.exec("systemctl", "is-system-running")
		if code != 0 {
			failed, _ := m.exec("systemctl", "--failed", "--no-legend")
			return fmt.Errorf("the system is %s: %s", out, failed)
		}
		return nil
	})
}

// dropIn changes the unit.
func (m *machine) dropIn(name, text string) {
	m.Helper()
	m.inside(unitDirectory+"dormouse.service.d/"+name, text)
}

// show is a property of the service.
func (m *machine) show(property string) string {
	m.Helper()
	return m.do("systemctl", "show", "-P", property, "dormouse")
}

// hostPID is the daemon's process id as the test sees it.
func (m *machine) hostPID() int {
	m.Helper()
	inside := m.show("MainPID")
	all, err := filepath.Glob("/proc/[0-9]*/status")
	kit.Must(m, err)
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(data), "Name:\tdormouse\n") && regexp.MustCompile(`NSpid:(\t\d+)+\t`+inside+`\n`).Match(data) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			kit.Must(m, err)
			return pid
		}
	}
	m.Fatalf("process %s of the machine isn't found", inside)
	return 0
}

func (m *machine) journal(text string) {
	m.Helper()
	kit.Eventually(m, func() error {
		if log := m.do("journalctl", "--no-pager", "-o", "cat", "-u", "dormouse"); !strings.Contains(log, text) {
			return fmt.Errorf("no %q in the journal:\n%s", text, last(log, 3000))
		}
		return nil
	})
}

func TestSystemd(t *testing.T) {
	m := bootSystemd(t, func(m *machine) {
		m.dropIn("soon.conf", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=100ms\n")
	}, "dormouse.service")
	const ctl = "systemctl"
	// Started at boot, and ready when it says so, with its state in words.
	kit.Eventually(m, func() error {
		out := m.wants(0, ctl, "status", "dormouse")
		if !regexp.MustCompile(`Status: "3 of 3 sensors up"`).MatchString(out) {
			return fmt.Errorf("systemctl status says\n%s", out)
		}
		return nil
	})
	if out := m.do("dormouse", "status"); !strings.Contains(out, "3 of 3 sensors up") {
		t.Errorf("dormouse status says %q", out)
	}
	if out := m.do("dormouse", "read", "office"); !strings.Contains(out, "temperature") {
		t.Errorf("dormouse read says %q", out)
	}
	if out := m.do("dormouse", "inspect"); strings.Contains(out, "\nfail") || !strings.Contains(out, "started by: systemd") {
		t.Errorf("inspect says\n%s", out)
	}
	if page, err := m.page(t.Context()); err != nil || !strings.Contains(string(page), `dormouse_sensor_up{sensor="office"} 1`) {
		t.Errorf("the page: %v\n%.500s", err, page)
	}
	// The directories that systemd has made for the unit are no reason to warn.
	warnings := func() string {
		out, _ := m.exec("journalctl", "--no-pager", "-o", "cat", "-q", "-p", "warning", "-u", "dormouse") // status 1: none
		return out
	}
	if log := warnings(); log != "" {
		t.Errorf("the shipped unit warns:\n%s", last(log, 3000))
	}
	if got := m.show("WatchdogUSec"); got != "0" {
		t.Errorf("watchdog after %s, though nobody asked for one", got)
	}

	pid := m.show("MainPID")
	m.wants(0, ctl, "start", "dormouse")
	m.wants(0, ctl, "reload", "dormouse")
	if status := m.show("StatusText"); status != "reloaded" || m.show("MainPID") != pid || m.show("ActiveState") != "active" {
		t.Errorf("after the reload: %q, process %s (was %s), %s", status, m.show("MainPID"), pid, m.show("ActiveState"))
	}
	m.wants(0, ctl, "restart", "dormouse")
	if again := m.show("MainPID"); again == pid {
		t.Error("restart left the process")
	}
	m.wants(0, ctl, "stop", "dormouse")
	m.wants(3, ctl, "status", "dormouse")
	m.wants(3, ctl, "is-active", "dormouse")
	if result := m.show("Result"); result != "success" {
		t.Errorf("stop: %s", result)
	}
	m.wants(0, ctl, "start", "dormouse")

	// A wrong configuration: the reload says so, the daemon stays as it was.
	pid = m.show("MainPID")
	m.inside("/etc/dormouse/dormouse.yml", threeSensors+"  - {name: cellar, driver: none, addr: 0x48}\n")
	m.wants(1, ctl, "reload", "dormouse")
	m.journal(`no driver "none"`)
	// Each line has its own priority.
	m.settled("the error is of its priority", func() error {
		if log := warnings(); !strings.Contains(log, `no driver \"none\"`) {
			return fmt.Errorf("of the priority warning or above:\n%s", log)
		}
		return nil
	})
	if log := warnings(); strings.Contains(log, "msg=start") || strings.Contains(log, "<3>") {
		t.Errorf("of the priority warning or above:\n%s", log)
	}
	if status := m.show("StatusText"); status != "reload failed, the old configuration stays" || m.show("MainPID") != pid || m.show("ActiveState") != "active" {
		t.Errorf("after the failed reload: %q, process %s (was %s), %s", status, m.show("MainPID"), pid, m.show("ActiveState"))
	}
	// Started anew it ends, and isn't tried again.
	m.wants(1, ctl, "restart", "dormouse")
	m.settled("why it ended is an error", func() error {
		if log, _ := m.exec("journalctl", "--no-pager", "-o", "cat", "-q", "-p", "err", "-u", "dormouse"); !strings.Contains(log, "\ndormouse: ") {
			return errors.New(log)
		}
		return nil
	})
	if state := m.show("SubState"); state != "failed" || m.show("ExecMainStatus") != "6" || m.show("NRestarts") != "0" {
		t.Errorf("with a wrong configuration: %s, exit status %s, %s restarts", state, m.show("ExecMainStatus"), m.show("NRestarts"))
	}
	m.inside("/etc/dormouse/dormouse.yml", threeSensors)
	m.do(ctl, "start", "dormouse")

	// Killed: it comes back.
	pid = m.show("MainPID")
	m.do(ctl, "kill", "-s", "KILL", "dormouse")
	kit.Eventually(m, func() error {
		if again, state := m.show("MainPID"), m.show("ActiveState"); again == pid || again == "0" || state != "active" {
			return fmt.Errorf("process %s (was %s), %s", again, pid, state)
		}
		return nil
	})
	if n := m.show("NRestarts"); n != "1" {
		t.Errorf("%s restarts, want 1", n)
	}

	// Halt while a rail is up, for a program that takes its time.
	m.inside("/etc/dormouse/dormouse.yml", threeSensors+
		"  - {name: camera, driver: command, argv: [/bin/sleep, \"3600\"], output: none, power: probes, timeout: 2h}\n")
	m.do(ctl, "reload", "dormouse")
	kit.Eventually(m, func() error {
		if out, code := m.exec("pgrep", "-xu", "dormouse", "sleep"); code != 0 {
			return fmt.Errorf("the program isn't running: %s", out)
		}
		return nil
	})
	pid = m.show("MainPID")
	m.exec(ctl, "poweroff") // complains of the missing bus, and works
	m.halted()
	log := m.host("journalctl", "--no-pager", "-o", "cat", "-D", m.root+"/var/log/journal", "_PID="+pid)
	if !strings.Contains(log, "msg=stopping") || !strings.Contains(log, "msg=stopped rails=off") {
		t.Errorf("halt: the journal of the last process:\n%s", log)
	}
	if counts := m.read(m.root + "/var/lib/dormouse/counters.json"); !strings.Contains(counts, `"rain"`) {
		t.Errorf("the counts weren't kept: %q", counts)
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for dormouse\S*: ([\d.]+) `)

func TestUnitFiles(t *testing.T) {
	m := bootSystemd(t, nil)
	m.install(kit.Source("systemd/wake-from-suspend.conf"), unitDirectory+"waking/wake-from-suspend.conf", 0o644)
	var paths []string
	for _, unit := range units {
		paths = append(paths, unitDirectory+unit)
	}
	if out, code := m.exec(append([]string{"systemd-analyze", "verify", "--man=no"}, paths...)...); code != 0 || out != "" {
		t.Errorf("systemd-analyze verify: exit status %d\n%s", code, out)
	}
	security := func(unit string) float64 {
		out, _ := m.exec("systemd-analyze", "security", "--offline=yes", unitDirectory+unit) // its status judges, the figure counts
		found := exposure.FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("no figure for %s:\n%s", unit, out)
		}
		figure, err := strconv.ParseFloat(found[1], 64)
		kit.Must(t, err)
		t.Logf("systemd-analyze security %s: %.1f", unit, figure)
		return figure
	}
	for _, unit := range []string{"dormouse.service", "dormouse-read.service"} {
		if figure := security(unit); figure > 1.6 {
			t.Errorf("%s: %.1f, want 1.6 at most", unit, figure)
		}
	}
	// Offline, drop-ins aren't read: the unit with the drop-in behind it.
	m.inside(unitDirectory+"dormouse-waking.service", m.read(kit.Source("systemd/dormouse.service"))+"\n"+m.read(kit.Source("systemd/wake-from-suspend.conf")))
	if figure := security("dormouse-waking.service"); figure > 2 {
		t.Errorf("with the drop-in: %.1f, want 2.0 at most", figure)
	}

	// One sandbox for both: what a reading needs is the same.
	sandbox := func(unit string) string {
		_, text, _ := strings.Cut(m.read(kit.Source("systemd/"+unit)), "\nDevicePolicy=")
		text, _, _ = strings.Cut(text, "\n[Install]")
		return regexp.MustCompile(`(?m)^(#.*)?\n`).ReplaceAllString(strings.TrimSpace(text)+"\n", "")
	}
	if daemon, reading := sandbox("dormouse.service"), sandbox("dormouse-read.service"); daemon != reading || daemon == "" {
		t.Errorf("the sandboxes differ:\n%s\n--- dormouse-read.service:\n%s", daemon, reading)
	}

	// sysusers.d made the user, with the groups of the wires.
	groups := strings.Fields(m.do("id", "-Gn", "dormouse"))
	for _, group := range []string{"dormouse", "gpio", "i2c", "spi", "dialout", "video"} {
		if !strings.Contains(" "+strings.Join(groups, " ")+" ", " "+group+" ") {
			t.Errorf("dormouse isn't in %s, but in %v", group, groups)
		}
	}
	m.do("systemd-tmpfiles", "--create", "dormouse.conf")
	if out := m.do("stat", "-c", "%U:%G %a", "/run/dormouse", "/var/lib/dormouse"); out != "dormouse:dormouse 755\ndormouse:dormouse 755" {
		t.Errorf("tmpfiles.d made\n%s", out)
	}
}

// What udev(7) allows in a line, as far as our file uses it.
var udevLine = regexp.MustCompile(`^(([A-Z]+(\{[^}]+\})?)(==|!=|=|\+=|:=)"[^"]*"(, |$))+$`)

func TestUdevRulesAndModules(t *testing.T) {
	p := newPlace(t)
	text := p.read(kit.Source("systemd/dormouse.udev.rules"))
	rules := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		rules++
		if !udevLine.MatchString(line) {
			t.Errorf("not a rule: %s", line)
		}
	}
	if rules < 5 {
		t.Errorf("%d rules", rules)
	}
	for _, wire := range []string{`SUBSYSTEM=="gpio"`, `SUBSYSTEM=="i2c-dev"`, `SUBSYSTEM=="spidev"`, `KERNEL=="vcio"`, "therm_bulk_read"} {
		if !strings.Contains(text, wire) {
			t.Errorf("no rule for %s", wire)
		}
	}
	modules := p.read(kit.Source("systemd/dormouse.modules-load.conf"))
	if !regexp.MustCompile(`(?m)^i2c-dev$`).MatchString(modules) {
		t.Errorf("modules-load.d lacks i2c-dev:\n%s", modules)
	}
}

func TestSocketActivation(t *testing.T) {
	m := bootSystemd(t, nil, "dormouse.socket")
	m.wants(3, "systemctl", "is-active", "dormouse")
	page, err := m.page(t.Context()) // the first connection starts the service
	if err != nil || !strings.Contains(string(page), "dormouse_build_info") {
		t.Fatalf("a connection before the service ran: %v\n%.300s", err, page)
	}
	m.active("dormouse.service")

	// Connections all the while it is restarted: each is answered.
	var served, refused atomic.Int32
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := m.page(t.Context()); errors.Is(err, unix.ECONNREFUSED) {
					refused.Add(1)
				} else if err == nil {
					served.Add(1)
				}
			}
		})
	}
	for range 3 {
		before, scraped := m.show("MainPID"), served.Load()
		m.do("systemctl", "restart", "dormouse")
		if m.show("MainPID") == before {
			t.Error("restart left the process")
		}
		kit.Eventually(m, func() error {
			if n := served.Load() - scraped; n < 4 {
				return fmt.Errorf("%d scrapes since before the restart", n)
			}
			return nil
		})
	}
	close(stop)
	all.Wait()
	t.Logf("%d scrapes during three restarts", served.Load())
	if refused.Load() > 0 {
		t.Errorf("%d connections were refused, %d served", refused.Load(), served.Load())
	}
}

func TestSandbox(t *testing.T) {
	writes := map[string]string{ // where, and what is said; empty: it works
		"/etc/open":         "Read-only file system",
		"/usr/open":         "Read-only file system",
		"/var/open":         "Read-only file system",
		"/home":             "Permission denied",
		"/root":             "Permission denied",
		"/var/lib/dormouse": "",
		"/run/dormouse":     "",
		"/tmp":              "",
	}
	config := "defaults: {every: 1h}\nsensors:\n"
	name := func(dir string) string { return strings.ReplaceAll(dir[1:], "/", "-") }
	for dir := range writes {
		config += fmt.Sprintf("  - {name: %s, driver: command, output: none, argv: [/bin/sh, -c, \"echo x > %s/probe\"]}\n", name(dir), dir)
	}
	m := bootSystemd(t, func(m *machine) {
		m.inside("/etc/dormouse/dormouse.yml", config)
		// Anybody may write there, so that it is the sandbox that refuses.
		for _, dir := range []string{"/etc/open", "/usr/open", "/var/open", "/home", "/root"} {
			kit.Must(t, os.MkdirAll(m.root+dir, 0o777))
			kit.Must(t, os.Chmod(m.root+dir, 0o777))
		}
	}, "dormouse.service")
	var status string
	kit.Eventually(m, func() error {
		if status = m.do("dormouse", "status"); !strings.Contains(status, fmt.Sprintf("of %d sensors up; next wake", len(writes))) || !strings.Contains(status, "home is down") {
			return errors.New(status)
		}
		return nil
	})
	for dir, want := range writes {
		_, line, down := strings.Cut(status, "\n  "+name(dir)+" is down: ")
		line, _, _ = strings.Cut(line, "\n")
		if down != (want != "") || !strings.Contains(line, want) {
			t.Errorf("writing to %s: %q, want %q", dir, line, want)
		}
	}
	kernel := m.procStatus(m.hostPID())
	for key, want := range map[string]string{"Seccomp": "2", "NoNewPrivs": "1", "CapBnd": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000"} {
		if kernel[key] != want {
			t.Errorf("%s is %s, want %s", key, kernel[key], want)
		}
	}
}

func TestWatchdog(t *testing.T) {
	m := bootSystemd(t, func(m *machine) {
		m.dropIn("watchdog.conf", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nWatchdogSec=1s\nRestartSec=100ms\nTimeoutStopSec=1s\n")
	}, "dormouse.service")
	// One process feeds it again and again. Where that got no processor for a second,
	// the next.
	pid, fed := "", map[string]bool{}
	kit.Eventually(m, func() error {
		before, at := m.show("MainPID"), m.show("WatchdogTimestampMonotonic")
		if now := m.show("MainPID"); now != pid || now != before {
			pid = now
			clear(fed)
			return fmt.Errorf("process %s is another one", pid)
		}
		if fed[at] = true; len(fed) < 5 || pid == "0" {
			return fmt.Errorf("process %s has fed the watchdog %d times", pid, len(fed))
		}
		return nil
	})
	m.do("systemctl", "kill", "-s", "STOP", "dormouse")
	kit.Eventually(m, func() error {
		if again, state := m.show("MainPID"), m.show("ActiveState"); again == pid || again == "0" || state != "active" {
			return fmt.Errorf("process %s (was %s), %s: %s", again, pid, state, m.do("journalctl", "--no-pager", "-o", "cat", "-n", "10"))
		}
		return nil
	})
	m.settled("systemd's reason", func() error {
		if log := m.do("journalctl", "--no-pager", "-o", "cat", "_PID=1"); !strings.Contains(log, "dormouse.service: Watchdog timeout") {
			return errors.New(last(log, 3000))
		}
		return nil
	})
}

func TestWakeFromSuspend(t *testing.T) {
	m := bootSystemd(t, func(m *machine) {
		m.dropIn("wake-from-suspend.conf", m.read(kit.Source("systemd/wake-from-suspend.conf")))
	}, "dormouse.service")
	pid := m.hostPID()
	if caps := m.procStatus(pid)["CapEff"]; caps != "0000000800000000" { // CAP_WAKE_ALARM, 35
		t.Errorf("capabilities %s", caps)
	}
	timers, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	kit.Must(t, err)
	waking := false
	for _, file := range timers {
		waking = waking || strings.Contains(m.read(file), fmt.Sprintf("clockid: %d\n", unix.CLOCK_BOOTTIME_ALARM))
	}
	if !waking {
		t.Error("no timer of CLOCK_BOOTTIME_ALARM")
	}
	// Asked for without the capability it is refused, in words.
	m.dropIn("wake-from-suspend.conf", "[Service]\nEnvironment=DORMOUSE_WAKE=--wake-suspended\n")
	m.do("systemctl", "daemon-reload")
	m.wants(1, "systemctl", "restart", "dormouse")
	m.journal("--wake-suspended: ")
	m.journal("it needs CAP_WAKE_ALARM")
}

func TestOneshot(t *testing.T) {
	const file = "/var/lib/dormouse/dormouse.prom"
	m := bootSystemd(t, func(m *machine) {
		m.inside("/etc/default/dormouse", "DORMOUSE_OPTS=--board=sim\nDORMOUSE_READ_OPTS=--board=sim\n")
	}, "dormouse-read.timer")
	m.wants(0, "systemctl", "is-active", "dormouse-read.timer")
	m.do("systemctl", "stop", "dormouse-read.timer") // it would start one beside those of the test
	m.do("systemctl", "start", "dormouse-read.service")
	if text := m.read(m.root + file); !strings.Contains(text, `sensor_temperature_celsius{sensor="office"}`) {
		t.Errorf("the text file holds\n%s", text)
	}
	kit.Eventually(m, func() error { // the timer may just have started one
		if out, code := m.exec("pgrep", "-x", "dormouse"); code != 1 {
			return fmt.Errorf("a process stays: %s", out)
		}
		return nil
	})
	// The daemon's wires are its own.
	m.do("systemctl", "start", "dormouse")
	m.do("rm", file)
	m.do("systemctl", "start", "dormouse-read.service")
	if text := m.read(m.root + file); text != "" {
		t.Errorf("it read beside the daemon:\n%s", text)
	}
}

// A stick that was mounted when the unit started is mounted in the unit's own
// mount namespace, too.
func TestStickUnderTheUnit(t *testing.T) {
	for name, dropIn := range map[string]string{
		"mounted": "",
		"run from": "[Service]\nExecStart=\nExecStart=/media/stick/dormouse run --config.file=/media/stick/dormouse.yml" +
			" --pid-file=/run/dormouse/dormouse.pid --board=sim\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := bootSystemd(t, nil)
			device := loopDevice(m.place)
			var st unix.Stat_t
			kit.Must(t, unix.Stat(device, &st))
			m.do("mknod", device, "b", strconv.Itoa(int(unix.Major(st.Rdev))), strconv.Itoa(int(unix.Minor(st.Rdev))))
			m.do("mkdir", "/media/stick")
			m.do("mount", "-t", "ext4", device, "/media/stick")
			m.do("cp", "/usr/bin/dormouse", "/etc/dormouse/dormouse.yml", "/media/stick")
			if dropIn != "" {
				m.dropIn("stick.conf", dropIn)
				m.do("systemctl", "daemon-reload")
			}
			m.do("systemctl", "start", "dormouse")
			if mounts := m.read(fmt.Sprintf("/proc/%d/mountinfo", m.hostPID())); !strings.Contains(mounts, "/media/stick") {
				t.Error("the unit doesn't see the stick, so that this proves nothing")
			}
			m.do("umount", "/media/stick")
			free(m.place, device)
			m.wants(0, "systemctl", "is-active", "dormouse")
			m.do("dormouse", "read", "office")
		})
	}
}
