//go:build system

package inits

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// The versions that the tests install one after the other.
const (
	oldVersion = "0.0.1"
	newVersion = "0.0.2"
)

// buildPackage is a package's file.
func buildPackage(t testing.TB, arch, version string) string {
	t.Helper()
	if version == newVersion {
		return filepath.Join(released(t), "dormouse_"+arch+".deb")
	}
	return filepath.Join(makes(t, version, "dist/dormouse_"+arch+".deb"), "dormouse_"+arch+".deb")
}

var goal = regexp.MustCompile(`(?m)^make ([a-z]+) +# `)

// released is the directory with what docs/install.md makes from source, of the
// new version. One make takes all goals, so that each file is made once.
func released(t testing.TB) string {
	t.Helper()
	var goals []string
	for _, m := range goal.FindAllStringSubmatch(kit.BlockOf(t, "docs/install.md, From source"), -1) {
		goals = append(goals, m[1])
	}
	if !slices.Equal(goals, []string{"build", "packages", "release"}) {
		t.Fatalf("the goals are %q", goals)
	}
	return makes(t, newVersion, goals...)
}

var (
	making sync.Mutex
	made   = map[string]bool{}
)

// makes has the Makefile make a version's files, once, and returns a copy of
// where they are.
func makes(t testing.TB, version string, goals ...string) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	dir := filepath.Join(filepath.Dir(binary), version)
	if made[version] {
		return dir
	}
	for _, argv := range [][]string{
		append([]string{"make", "-s", "-C", kit.Source(""), "DEB_VERSION=" + version}, goals...),
		// Not the directories, in which other packages' tests make theirs meanwhile.
		{"sh", "-ec", `mkdir "$1"; find "$0" -maxdepth 1 -type f -exec cp -t "$1" {} +`, kit.Source("dist"), dir},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
	}
	made[version] = true
	return dir
}

// installed are the machines that a package is installed on.
var installed = []struct {
	name     string
	rootFS   func(*place) string
	start    func(*machine)
	halt     []string
	service  func(action string) []string
	sysusers bool // systemd-sysusers makes the user; else adduser
}{
	{"systemd252", debian("bookworm", "systemd-sysv"), (*machine).startSystemd, []string{"systemctl", "poweroff"}, systemctl, true},
	{"systemd257", debian("trixie", "systemd-sysv"), (*machine).startSystemd, []string{"systemctl", "poweroff"}, systemctl, true},
	{"sysvinit", debian("bookworm", "sysvinit-core", "sysv-rc", "initscripts", "adduser"), (*machine).startSysvinit, []string{"halt", "-p"}, service, false},
}

func systemctl(action string) []string { return []string{"systemctl", action, "dormouse"} }
func service(action string) []string   { return []string{"service", "dormouse", action} }

// debian is a root file system of a release; with nothing of ours.
func debian(release string, packages ...string) func(*place) string {
	return func(p *place) string {
		p.Helper()
		kit.Must(p, rig.Install(p.Context(), "systemd-container"))
		root, err := rig.DebianRelease(p.Context(), release, append(packages, "procps")...)
		kit.Must(p, err)
		return root
	}
}

// TestAPackage goes the way of a new user, and of an old one: install, scan into
// the configuration, reload, reboot, upgrade, remove, purge.
func TestAPackage(t *testing.T) {
	for _, on := range installed {
		t.Run(on.name, func(t *testing.T) {
			m := bareMachine(t, on.rootFS)
			m.inside("/etc/machine-id", "")
			m.install(buildPackage(t, "amd64", oldVersion), "/root/old.deb", 0o644)
			m.install(buildPackage(t, "amd64", newVersion), "/root/new.deb", 0o644)
			on.start(m)

			m.do("dpkg", "--install", "/root/old.deb")
			m.settled("a new installation's page says what to do first", func() error {
				text, err := m.get("http://127.0.0.1:9367/")
				if err == nil && !strings.Contains(text, "dormouse scan --format yaml") {
					err = fmt.Errorf("the page of a daemon without sensors:\n%s", text)
				}
				return err
			})
			m.configured(on.service)
			m.scraped()
			m.ownUser()

			m.doHalting(on.halt)
			on.start(m)
			m.scraped()
			m.ownUser()

			m.upgraded(on.service)
			m.removed(on.service)
			m.do("dpkg", "--purge", "dormouse")
			m.purged()
		})
	}
}

// settled is kit.Eventually with a name.
func (m *machine) settled(what string, ask func() error) {
	m.Helper()
	kit.Eventually(m, func() error {
		if err := ask(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// get fetches a page inside the machine.
func (m *machine) get(address string) (string, error) {
	page, err := kit.Fetch(m.Context(), m.transport(), address)
	return string(page), err
}

func (m *machine) transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return m.dial(ctx, address)
	}}
}

// configured writes what scan finds on the simulated board into the
// configuration, as docs/install.md tells; the board is given by a flag.
func (m *machine) configured(service func(string) []string) {
	m.Helper()
	m.do("sh", "-c", `sed -i 's/^DORMOUSE_OPTS=.*/DORMOUSE_OPTS="--board=sim"/' /etc/default/dormouse`)
	m.do(service("restart")...)
	m.types(strings.Replace(scanLine(m), "scan ", "scan --board=sim ", 1))
	m.do("dormouse", "check", "--board=sim", "--config.file=/etc/dormouse/dormouse.yml")
	m.do(service("reload")...)
}

// scanLine is the line of docs/install.md that scans into the configuration.
func scanLine(m *machine) string {
	m.Helper()
	for line := range strings.Lines(kit.BlockOf(m, "docs/install.md, The Debian package")) {
		if strings.HasPrefix(line, "dormouse scan ") {
			text, err := os.ReadFile(kit.Source("docs/first-sensor.md"))
			if err != nil || !strings.Contains(string(text), line) {
				m.Errorf("docs/first-sensor.md hasn't %q: %v", line, err)
			}
			return line
		}
	}
	m.Fatal("docs/install.md has no line that scans")
	return ""
}

// losesNothing scans again where a bus can't be scanned, and then where all can.
func (m *machine) losesNothing() {
	m.Helper()
	const file = "/etc/dormouse/dormouse.yml"
	m.do("sh", "-c", "echo '# mine' >>"+file)
	edited := m.do("cat", file)
	m.types("! { " + strings.Replace(scanLine(m), "scan ", "scan --bus=99 ", 1) + "}")
	if text := m.do("cat", file); text != edited {
		m.Errorf("after a scan that failed the configuration is\n%s", text)
	}
	m.types(scanLine(m))
	if text := m.do("sh", "-c", "cat "+file+".~*~"); !strings.Contains(text, edited) {
		m.Errorf("the edited configuration isn't kept beside the new one:\n%s", text)
	}
}

var aTemperature = regexp.MustCompile(`(?m)^sensor_temperature_celsius\{.*\} \d`)

func (m *machine) scraped() {
	m.Helper()
	m.settled("a temperature on /metrics", func() error {
		page, err := m.page(m.Context())
		if err == nil && !aTemperature.MatchString(string(page)) {
			err = fmt.Errorf("none on the page:\n%s", page)
		}
		return err
	})
}

// ownUser checks that the daemon runs as its user, which is in the wires' groups.
func (m *machine) ownUser() {
	m.Helper()
	pid := m.daemonPID()
	if user := m.do("ps", "-o", "user=", "-p", pid); user != "dormouse" {
		m.Errorf("the daemon runs as %s", user)
	}
	groups := strings.Fields(m.do("id", "-nG", "dormouse"))
	for _, want := range []string{"gpio", "i2c", "spi", "dialout", "video"} {
		found := false
		for _, g := range groups {
			found = found || g == want
		}
		if !found {
			m.Errorf("the user dormouse isn't in group %s, only in %v", want, groups)
		}
	}
}

func (m *machine) daemonPID() string {
	m.Helper()
	return m.do("cat", "/run/dormouse/dormouse.pid")
}

// doHalting switches the machine off.
func (m *machine) doHalting(halt []string) {
	m.Helper()
	_, _ = m.exec(halt...) // it may end before it has answered
	m.halted()
	// The last script of System V init leaves the root read-only.
	kit.Must(m, unix.Mount("", m.root, "", unix.MS_REMOUNT, ""))
}

// upgraded installs the newer package over an edited configuration.
func (m *machine) upgraded(service func(string) []string) {
	m.Helper()
	m.do("sh", "-c", "echo '# mine' >>/etc/dormouse/dormouse.yml; echo '# mine' >>/etc/default/dormouse; echo kept >/var/lib/dormouse/kept")
	before := m.daemonPID()
	_, sysv := m.exec("test", "-d", "/run/systemd/system")
	if sysv != 0 { // systemd gives the directory to the unit's user
		m.do("chown", "daemon", "/var/lib/dormouse")
	}
	m.do("dpkg", "--install", "/root/new.deb") // asks nothing: standard input isn't there
	if sysv != 0 {
		if owner := m.do("stat", "-c", "%U", "/var/lib/dormouse"); owner != "daemon" {
			m.Errorf("the upgrade has given %s the state of a daemon that may still run as daemon", owner)
		}
		m.do("chown", "dormouse", "/var/lib/dormouse")
	}
	for _, file := range []string{"/etc/dormouse/dormouse.yml", "/etc/default/dormouse"} {
		if text := m.do("tail", "-n1", file); text != "# mine" {
			m.Errorf("the upgrade changed %s: its last line is %q", file, text)
		}
	}
	m.do("test", "-e", "/var/lib/dormouse/kept")
	if out := m.do("dormouse", "--version"); !strings.Contains(out, "dormouse") {
		m.Errorf("dormouse --version says %q", out)
	}
	m.settled("the new daemon", func() error {
		after, code := m.exec("cat", "/run/dormouse/dormouse.pid")
		if code != 0 || strings.TrimSpace(after) == before {
			return fmt.Errorf("the pidfile holds %q, as before", after)
		}
		if _, code := m.exec(service("status")...); code != 0 {
			return fmt.Errorf("status %d", code)
		}
		return nil
	})
	m.scraped()
}

func (m *machine) removed(service func(string) []string) {
	m.Helper()
	m.do("dpkg", "--remove", "dormouse")
	m.wants(1, "test", "-e", "/usr/bin/dormouse")
	m.do("test", "-e", "/etc/dormouse/dormouse.yml")
	m.settled("no process of the user is left", func() error { // init may be late to reap one
		if out, code := m.exec("pgrep", "-u", "dormouse"); code != 1 {
			return fmt.Errorf("exit status %d: %s", code, out)
		}
		return nil
	})
	m.wants(1, "test", "-e", "/run/dormouse/dormouse.pid")
}

// purged looks for what a purge has left: nothing but the locked user.
func (m *machine) purged() {
	m.Helper()
	left := m.do("sh", "-c", `find / -ignore_readdir_race -xdev \( -name '*dormouse*' -o -path '*/dormouse/*' \) -not -path '/root/*' -not -path '/proc/*' -not -path '/sys/*' `+
		`-not -path '/var/log/journal/*' -not -path '/tmp/systemd-private-*' -not -path '/var/tmp/systemd-private-*' -not -path '/var/log/dpkg.log'`)
	if left != "" {
		m.Errorf("a purge leaves behind:\n%s", left)
	}
	if entry, secret := m.do("getent", "passwd", "dormouse"), m.do("getent", "shadow", "dormouse"); !strings.Contains(entry, "nologin") || !strings.Contains(secret, ":!") {
		m.Errorf("the user that stays may log in: %s, %s", entry, secret)
	}
}

// TestFromThePackageToPrometheus measures how long a new user waits for a first
// value. docs/testing.md says what was seen.
func TestFromThePackageToPrometheus(t *testing.T) {
	on := installed[0]
	m := bareMachine(t, on.rootFS)
	m.inside("/etc/machine-id", "")
	m.install(buildPackage(t, "amd64", newVersion), "/root/new.deb", 0o644)
	root, err := rig.DebianPackage(t.Context(), "prometheus")
	kit.Must(t, err)
	on.start(m)

	m.write(m.path("prometheus.yml"), "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"+
		"scrape_configs: [{job_name: dormouse, static_configs: [{targets: ['127.0.0.1:9367']}]}]\n")
	server := exec.Command("nsenter", "-t", strconv.Itoa(m.leader), "-n", filepath.Join(root, "usr/bin/prometheus"), "--config.file="+m.path("prometheus.yml"),
		"--storage.tsdb.path="+m.path("data"), "--web.listen-address=127.0.0.1:9090")
	kit.Must(t, startTied(server))
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait() // killed
	}()

	start := time.Now()
	m.do("dpkg", "--install", "/root/new.deb")
	m.configured(on.service)
	m.settled("a temperature in Prometheus", func() error {
		text, err := m.get("http://127.0.0.1:9090/api/v1/query?" + url.Values{"query": {"sensor_temperature_celsius"}}.Encode())
		if err != nil {
			return err
		}
		var answer struct{ Data struct{ Result []any } }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			return err
		}
		if len(answer.Data.Result) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	// That it came within kit.Patience shows that no interval was waited for: that is
	// 5 minutes. More can't be asked of a machine that does other work.
	t.Logf("from dpkg --install to the first value in Prometheus: %.1f s", time.Since(start).Seconds())
}

// TestPackagesOfOtherMachines runs the programs of the ARM packages in QEMU's
// user mode.
func TestPackagesOfOtherMachines(t *testing.T) {
	for arch, qemu := range map[string]string{"armhf": "qemu-arm", "arm64": "qemu-aarch64"} {
		t.Run(arch, func(t *testing.T) {
			p := newPlace(t)
			kit.Must(t, rig.Install(t.Context(), "qemu-user"))
			p.host("dpkg-deb", "--extract", buildPackage(t, arch, newVersion), p.path("root"))
			program := p.path("root/usr/bin/dormouse")
			emulated := []string{qemu}
			if arch == "armhf" {
				emulated = append(emulated, "-cpu", "arm1176") // the Pi Zero's: ARMv6
			}
			emulated = append(emulated, program)
			run := func(args ...string) string {
				t.Helper()
				return p.host(emulated[0], append(emulated[1:], args...)...)
			}
			if out := run("--version"); !strings.Contains(out, "dormouse") {
				t.Errorf("--version says %q", out)
			}
			if out := run("drivers"); !strings.Contains(out, "bme280") {
				t.Errorf("drivers says %q", out)
			}
			p.host("sed", "-i", `s/^#  - {name: cpu/  - {name: cpu/`, p.path("root/usr/share/doc/dormouse/examples/dormouse.yml"))
			run("check", "--config.file="+p.path("root/usr/share/doc/dormouse/examples/dormouse.yml"))
			p.demo(emulated)
		})
	}
}

// demo runs the demonstration until it serves a temperature.
func (p *place) demo(program []string) {
	p.Helper()
	log, err := os.Create(p.path("demo.log"))
	kit.Must(p, err)
	defer log.Close()
	// What the program would change by executing itself anew, which user mode
	// can't, is so from the start.
	demo := exec.Command("setpriv", slices.Concat([]string{"--no-new-privs"}, program, []string{"demo", "--web.listen-address=127.0.0.1:0"})...)
	demo.Stdout, demo.Stderr = log, log
	demo.Env = append(os.Environ(), "HOME="+p.dir, "XDG_RUNTIME_DIR="+p.dir, "GOMAXPROCS=1", "GOGC=100", "GOMEMLIMIT=64MiB")
	kit.Must(p, startTied(demo))
	defer func() {
		_ = demo.Process.Kill()
		_ = demo.Wait() // killed
	}()
	address := kit.Address(p, func() string { return p.read("demo.log") }, kit.Listening)
	kit.Eventually(p, func() error {
		page, err := kit.Fetch(p.Context(), http.DefaultTransport, "http://"+address+"/metrics")
		if err == nil && !aTemperature.MatchString(string(page)) {
			err = fmt.Errorf("no temperature:\n%s", page)
		}
		return err
	})
}

// TestLintian holds the package against Debian's policy. What is overridden is
// explained in packaging/deb/lintian-overrides.
func TestLintian(t *testing.T) {
	kit.Must(t, rig.Install(t.Context(), "lintian", "man-db"))
	out, err := exec.Command("lintian", "--tag-display-limit", "0", "--fail-on", "error,warning", buildPackage(t, "amd64", newVersion)).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// The commands with which README and docs/install.md install and remove are
// typed as they stand, by root, for whom sudo does nothing.
func TestDocumentedInstallation(t *testing.T) {
	on := installed[0]
	const remove = "docs/install.md, The Debian package (2)"
	for name, after := range map[string]string{"README.md, Installing": "", "docs/install.md, The Debian package": remove} {
		document, _, _ := strings.Cut(name, ",")
		t.Run(document, func(t *testing.T) {
			m := bareMachine(t, on.rootFS)
			m.inside("/etc/machine-id", "")
			const file = "dormouse_amd64.deb" // the only one that this machine's package has
			m.install(buildPackage(t, "amd64", newVersion), "/root/"+file, 0o644)
			on.start(m)
			m.types(strings.ReplaceAll(kit.BlockOf(t, name), "dormouse_armhf.deb", file)) // README names the Pi's
			if text := m.do("cat", "/etc/dormouse/dormouse.yml"); !strings.Contains(text, "# What `dormouse scan` found") || !strings.Contains(text, "\nsensors:") {
				t.Errorf("the configuration is now\n%s", text)
			}
			m.do("dormouse", "status")
			m.losesNothing()
			if after == "" {
				return
			}
			// What the user enabled and edited goes with a purge, too.
			m.do("systemctl", "enable", "dormouse.socket", "dormouse-read.timer")
			for _, unit := range units {
				m.inside(unitDirectory+unit+".d/override.conf", "")
			}
			keeps, purges, _ := strings.Cut(kit.BlockOf(t, after), "\n")
			m.types("yes | " + keeps)
			m.wants(1, "test", "-e", "/usr/bin/dormouse")
			m.do("test", "-e", "/etc/dormouse/dormouse.yml", "-a", "-e", "/var/lib/dormouse")
			m.types("yes | " + purges)
			m.purged()
		})
	}
}
