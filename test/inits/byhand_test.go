//go:build system

package inits

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// types runs commands of a document as root's shell does, in /root. The first
// that fails ends it.
func (m *machine) types(commands string) string {
	m.Helper()
	return m.do("bash", "-ec", `sudo() { "$@"; }; export DEBIAN_FRONTEND=noninteractive; cd /root; `+commands)
}

// add unpacks packages of Debian's in the machine; what they depend on is there.
func (m *machine) add(packages ...string) {
	m.Helper()
	for _, name := range packages {
		dir, err := rig.DebianPackage(m.Context(), name)
		kit.Must(m, err)
		m.host("sh", "-ec", `tar -C "$0" -c . | tar -C "$1" -x --keep-directory-symlink`, dir, m.root)
	}
}

// TestFromSource looks at what the commands of docs/install.md make.
func TestFromSource(t *testing.T) {
	p := newPlace(t)
	dir := released(t)
	var want []string
	for _, architecture := range []string{"armv6", "armv7", "arm64", "amd64"} {
		want = append(want, "dormouse-linux-"+architecture, "dormouse-"+newVersion+"-linux-"+architecture+".tar.gz")
	}
	for _, architecture := range []string{"armhf", "arm64", "amd64"} {
		want = append(want, "dormouse_"+architecture+".deb")
	}
	for _, name := range want {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1<<20 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out := p.host("sh", "-ec", `cd "$0"; sha256sum --check --strict SHA256SUMS`, dir); strings.Count(out, ": OK") != 7 {
		t.Errorf("SHA256SUMS has not three packages and four tarballs:\n%s", out)
	}
}

// TestREADMECommands types what README begins with, in a network of their own.
func TestREADMECommands(t *testing.T) {
	p := newPlace(t)
	first := kit.BlockOf(t, "README.md, Dormouse")
	if !strings.HasPrefix(first, "make demo ") {
		t.Fatalf("README begins with\n%s", first)
	}
	demo, _, _ := strings.Cut(first, "\n")
	p.serves(kit.Source(""), demo)
	// The wires are the simulated board's.
	p.serves(p.dir, strings.TrimSpace(kit.BlockOf(t, "README.md, An example (2)"))+" --board=sim")
}

// serves runs a command as a shell does, until its page has a temperature, and
// ends it by ^C.
func (p *place) serves(dir, command string) {
	p.Helper()
	p.host("mkdir", "-p", p.path("bin"))
	p.host("ln", "-sf", binary, p.path("bin/dormouse"))
	log, err := os.Create(p.path("log"))
	kit.Must(p, err)
	defer log.Close()
	shell := exec.Command("unshare", "--net", "bash", "-ec", "ip link set lo up; "+command)
	shell.Dir, shell.Stdout, shell.Stderr = dir, log, log
	shell.Env = append(os.Environ(), "PATH="+p.path("bin")+":"+os.Getenv("PATH"), "STATE_DIRECTORY="+p.path("state"), "RUNTIME_DIRECTORY="+p.path("run"))
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kit.Must(p, startTied(shell))
	ended := false
	defer func() {
		if !ended {
			_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
			_ = shell.Wait() // killed
		}
	}()
	m := &machine{place: p, leader: shell.Process.Pid}
	kit.Eventually(p, func() error {
		page, err := m.page(p.Context())
		if err == nil && !aTemperature.MatchString(string(page)) {
			err = errors.New("no temperature")
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, p.read("log"))
		}
		return nil
	})
	kit.Must(p, syscall.Kill(-shell.Process.Pid, syscall.SIGINT))
	_ = shell.Wait() // make and go run report the signal; the daemon's own end is in the log
	ended = true
	kit.Eventually(p, func() error { // the shell may end before the daemon
		if said := p.read("log"); !strings.Contains(said, "msg=stopped") {
			return fmt.Errorf("%s: after ^C it says\n%s", command, said)
		}
		return nil
	})
}

// inRows are the commands in the table of docs/install.md about systemd.
func inRows(t *testing.T) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(kit.Source("docs/install.md"))
	kit.Must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## systemd\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| ") {
			for _, m := range regexp.MustCompile("`((?:systemctl|dormouse|install) [^`]+)`").FindAllStringSubmatch(line, -1) {
				commands = append(commands, m[1])
			}
		}
	}
	return commands
}

// bootByHand starts systemd, and installs the daemon from the tarball by the
// commands of docs/install.md. The namespaces have neither modules nor a udev to
// reload: modprobe and udevadm do nothing.
func bootByHand(t *testing.T) *machine {
	t.Helper()
	m := bareMachine(t, rootFS)
	m.add("acl")
	m.inside("/etc/machine-id", "")
	const name = "dormouse-" + newVersion + "-linux-amd64"
	m.install(filepath.Join(released(t), name+".tar.gz"), "/root/"+name+".tar.gz", 0o644)
	m.inside("/root/mine.yml", "sensors:\n  - {name: users, driver: command, argv: [/bin/echo, \"7\"]}\n")
	m.startSystemd()
	tarball := strings.ReplaceAll(kit.BlockOf(t, "docs/install.md, From source (2)"), "armv6", "amd64")
	if out := m.types("export EDITOR='cp /root/mine.yml'; " + tarball); !strings.Contains(out, "users is a program") {
		t.Errorf("check --hardware says\n%s", out)
	}
	m.types("modprobe() { :; }; udevadm() { :; }; cd " + name + "; " + kit.BlockOf(t, "docs/install.md, systemd"))
	if state := m.do("systemctl", "is-enabled", "dormouse"); state != "enabled" {
		t.Errorf("the unit is %s", state)
	}
	m.ownUser()
	// From here on the wires are the simulated board's.
	m.inside("/etc/dormouse/dormouse.yml", threeSensors)
	m.inside("/etc/default/dormouse", "DORMOUSE_OPTS=--board=sim\nDORMOUSE_READ_OPTS=--board=sim\n")
	m.do("systemctl", "restart", "dormouse")
	m.do("ln", "-s", name+"/systemd", "/root/systemd")
	return m
}

// TestSystemdByHand types what docs/install.md says of systemd: the installation,
// each command of its table, and those for readings without a resident process.
func TestSystemdByHand(t *testing.T) {
	m := bootByHand(t)
	const textfiles = "/var/lib/prometheus/node-exporter"
	m.do("mkdir", "-p", textfiles)
	active := func(unit string) func() {
		return func() { m.active(unit) }
	}
	after := map[string]func(){
		"systemctl reload dormouse": active("dormouse.service"),
		"systemctl status dormouse": active("dormouse.service"),
		"dormouse status":           active("dormouse.service"),
		"systemctl stop dormouse; systemctl enable --now dormouse.socket": func() {
			m.wants(3, "systemctl", "is-active", "--quiet", "dormouse.service")
			m.scraped() // the first scrape starts it
			active("dormouse.service")()
		},
		"systemctl disable --now dormouse; systemctl enable --now dormouse-read.timer": func() {
			active("dormouse-read.timer")()
			m.wants(3, "systemctl", "is-active", "--quiet", "dormouse.service")
			m.do("systemctl", "stop", "dormouse-read.timer", "dormouse-read.service") // it may just have started one
			m.textfile(textfiles)
		},
		"install -D -m 0644 systemd/wake-from-suspend.conf /etc/systemd/system/dormouse.service.d/wake-from-suspend.conf": func() {
			m.do("systemctl", "daemon-reload")
			m.do("systemctl", "start", "dormouse")
			if flags := m.do("sh", "-c", "tr '\\0' ' ' </proc/$(systemctl show -P MainPID dormouse)/cmdline"); !strings.Contains(flags, "--wake-suspended") {
				t.Errorf("the daemon runs as %s", flags)
			}
		},
		"systemctl edit dormouse": func() {
			m.do("systemctl", "restart", "dormouse")
			if got := m.show("WatchdogUSec"); got != "1min" {
				t.Errorf("the watchdog's time is %s", got)
			}
		},
	}
	rows := inRows(t)
	if len(rows) != len(after) {
		t.Errorf("the table has the commands %q", rows)
	}
	// The editor, which wants a terminal, writes what the row says.
	m.inside("/root/editor", "#!/bin/sh\nprintf '[Service]\\nWatchdogSec=1min\\n' >\"$1\"\n")
	kit.Must(t, os.Chmod(m.root+"/root/editor", 0o755))
	for _, command := range rows {
		check, known := after[command]
		if !known {
			t.Errorf("nothing is known of %q", command)
			continue
		}
		if strings.HasPrefix(command, "systemctl edit ") {
			m.types("EDITOR=/root/editor script -qec '" + command + "' /dev/null")
		} else {
			m.types(command)
		}
		check()
	}
	m.do("systemctl", "stop", "dormouse.socket", "dormouse.service")
	m.cron()
}

// textfile reads once, into the place of node_exporter's that the document names.
func (m *machine) textfile(dir string) {
	m.Helper()
	m.types(kit.BlockOf(m, "docs/install.md, Without a resident process"))
	m.do("systemctl", "start", "dormouse-read.service")
	if text := m.read(m.root + dir + "/dormouse.prom"); !aTemperature.MatchString(text) {
		m.Errorf("the text file holds\n%s", text)
	}
}

// cron runs the line of /etc/cron.d as cron does: by sh, as the line's user.
func (m *machine) cron() {
	m.Helper()
	line := regexp.MustCompile(`^\*/5 \* \* \* \* (\w+) (.*)\n$`).FindStringSubmatch(kit.BlockOf(m, "docs/install.md, By cron"))
	if line == nil {
		m.Fatal("the line of the crontab isn't one")
	}
	const file = "/var/lib/dormouse/dormouse.prom"
	m.do("rm", "-f", file)
	m.do("setpriv", "--reuid="+line[1], "--regid="+line[1], "--init-groups", "/bin/sh", "-c", line[2]+" --board=sim")
	if text := m.read(m.root + file); !aTemperature.MatchString(text) {
		m.Errorf("the text file holds\n%s", text)
	}
}

// TestSystemVByHand types the installation of docs/install.md for System V init,
// and every action of the script that it names.
func TestSystemVByHand(t *testing.T) {
	m := newMachine(t, "")
	for _, file := range []string{"init.d/dormouse", "init.d/dormouse.default"} {
		m.install(kit.Source(file), "/root/"+file, 0o644)
	}
	m.startSysvinit()
	// The wires are the simulated board's, from the first start on.
	m.host("sed", "-i", `s/^DORMOUSE_OPTS=.*/DORMOUSE_OPTS="--board=sim"/`, m.root+"/root/init.d/dormouse.default")
	m.types(kit.BlockOf(t, "docs/install.md, System V init"))
	m.scraped()
	if links := m.do("sh", "-c", "ls /etc/rc?.d/*dormouse"); strings.Count(links, "/S") != 4 || strings.Count(links, "/K") != 3 {
		t.Errorf("update-rc.d made\n%s", links)
	}
	text, err := os.ReadFile(kit.Source("docs/install.md"))
	kit.Must(t, err)
	usage := regexp.MustCompile("`service dormouse ([a-z|-]+)`").FindSubmatch(text)
	if usage == nil {
		t.Fatal("docs/install.md doesn't list the script's actions")
	}
	actions := strings.Split(string(usage[1]), "|")
	if !slices.Equal(actions, []string{"start", "stop", "restart", "reload", "force-reload", "status"}) {
		t.Errorf("the actions are %q", actions)
	}
	for _, action := range actions {
		m.types("service dormouse " + action)
	}
	m.scraped()
}
