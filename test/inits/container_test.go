//go:build system

package inits

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// engine gives the commands of docs/install.md a container engine: Debian's
// podman, which takes docker's command line.
const engine = `export CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_STORAGE_CONF=$PWD/storage.conf
docker() { podman "$@"; }; cd context; `

// What the engine would want of its host, and namespaces don't have: a bridge,
// control groups, and file systems to lay over each other. It stores below DIR.
const (
	engineConf = `[containers]
netns = "host"
cgroups = "disabled"
default_sysctls = []
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`
	engineStorage = `[storage]
driver = "vfs"
runroot = "DIR/storage/run"
graphroot = "DIR/storage/graph"
`
	// The engine's host: this machine's programs, and directories of its own.
	engineHost = `set -e; cd "$0"
ip link set lo up
mount -t tmpfs run /run; mount -t tmpfs srv /srv
umount -R /sys/fs/cgroup 2>/dev/null || true; mount -t cgroup2 -o ro none /sys/fs/cgroup
mount -t tmpfs upper upper; mkdir upper/etc upper/work
mount -t overlay -o lowerdir=/etc,upperdir=upper/etc,workdir=upper/work etc /etc
mkdir -p /etc/dormouse; cp first.yml /etc/dormouse/dormouse.yml; touch /etc/machine-id /etc/localtime
groupadd -f i2c; groupadd -f gpio
mount -t tmpfs dev dev; cd dev
for d in null zero full random urandom tty; do touch $d; mount --bind /dev/$d $d; done
ln -s /proc/self/fd fd; ln -s pts/ptmx ptmx; mkdir pts shm; mount -t devpts -o newinstance,ptmxmode=0666 devpts pts
mknod -m 660 i2c-1 c 89 1; chgrp i2c i2c-1; mknod -m 660 gpiochip0 c 254 0; chgrp gpio gpiochip0
cd ..; mount --move dev /dev
mount --bind "$1" context/dist
exec sleep infinity`
)

// The sensors of the container: a program that writes to the state, for there is
// one in the image, and a chip on a bus whose device is given to the container and
// has no driver here.
const contained = `sensors:
  - {name: %s, driver: command, output: none, timeout: 1m,
     argv: [/usr/bin/dormouse, read, --board=sim, "--sensor=office=sht4x,addr=0x44", --textfile=/var/lib/dormouse/office.prom]}
  - {name: absent, driver: sht4x, addr: 0x44}
`

// newEngine is this machine in namespaces of its own, with a container engine.
func newEngine(t *testing.T) *machine {
	t.Helper()
	kit.Must(t, rig.Install(t.Context(), "podman", "iproute2"))
	m := &machine{place: newPlace(t)}
	for _, dir := range []string{"upper", "dev", "storage", "context/dist"} {
		kit.Must(t, os.MkdirAll(m.path(dir), 0o755))
	}
	kit.Must(t, os.CopyFS(m.path("context/packaging"), os.DirFS(kit.Source("packaging"))))
	m.mount("storage", m.path("storage"), "tmpfs", 0, "mode=0755")
	m.write("containers.conf", engineConf)
	m.write("storage.conf", strings.ReplaceAll(engineStorage, "DIR", m.dir))
	m.write("first.yml", fmt.Sprintf(contained, "first"))
	m.start("sleep", "unshare", "--mount", "--uts", "--ipc", "--net", "bash", "-c", engineHost, m.dir, released(t))
	m.root = fmt.Sprintf("/proc/%d/root", m.leader)
	return m
}

// docker types a command of docs/install.md.
func (m *machine) docker(command string) string {
	m.Helper()
	return m.types("cd '" + m.dir + "'; " + engine + command)
}

// TestAContainer builds and runs the image by the commands of docs/install.md: as
// process 1, as a user of no name in the wires' groups, with its log and signals.
func TestAContainer(t *testing.T) {
	m := newEngine(t)
	text, err := os.ReadFile(kit.Source("docs/install.md"))
	kit.Must(t, err)
	_, section, _ := strings.Cut(string(text), "\n## In a container\n")
	section, _, _ = strings.Cut(section, "\n## ")

	// The last of the platforms is this machine's.
	var platforms []string
	for _, m := range regexp.MustCompile("`(linux/[a-z0-9/]+)`").FindAllStringSubmatch(section, -1) {
		platforms = append(platforms, m[1])
	}
	if want := []string{"linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/amd64"}; !slices.Equal(platforms, want) {
		t.Fatalf("the platforms are %q, want %q", platforms, want)
	}
	build := kit.BlockOf(t, "docs/install.md, In a container")
	for _, platform := range platforms {
		m.docker(strings.Replace(build, platforms[0], platform, 1))
		_, architecture, _ := strings.Cut(platform, "/")
		architecture, _, _ = strings.Cut(architecture, "/")
		if got := m.docker("docker inspect --format '{{.Architecture}}' dormouse"); got != architecture {
			t.Errorf("the image for %s is for %s", platform, got)
		}
	}

	m.docker(kit.BlockOf(t, "docs/install.md, In a container (2)"))
	up := func(sensor string) {
		t.Helper()
		m.settled("the sensors of the container", func() error {
			page, err := m.page(t.Context())
			for series, want := range map[string]float64{sensor: 1, "absent": 0} {
				if v, ok := page.Value(fmt.Sprintf("dormouse_sensor_up{sensor=%q}", series)); err == nil && (!ok || v != want) {
					err = fmt.Errorf("%s is not %v on the page:\n%s", series, want, page)
				}
			}
			return err
		})
	}
	up("first")
	m.contained()
	if text := m.do("cat", "/srv/dormouse/office.prom"); !aTemperature.MatchString(text) {
		t.Errorf("the program in the container wrote\n%s", text)
	}

	var commands []string
	for _, c := range regexp.MustCompile("`(docker (?:stop|kill|logs) [^`|]+)`").FindAllStringSubmatch(section, -1) {
		commands = append(commands, c[1])
	}
	if want := []string{"docker stop dormouse", "docker kill -s HUP dormouse", "docker logs dormouse"}; !slices.Equal(commands, want) {
		t.Fatalf("docs/install.md has %q, want %q", commands, want)
	}
	stop, reload, logs := commands[0], commands[1], commands[2]
	m.inside("/etc/dormouse/dormouse.yml", fmt.Sprintf(contained, "second"))
	m.docker(reload)
	up("second")
	// The engine copies the log in a process of its own.
	says := func(texts ...string) {
		t.Helper()
		m.settled("the container's log", func() error {
			log := m.docker(logs)
			for _, text := range texts {
				if !strings.Contains(log, text) {
					return fmt.Errorf("no %q in\n%s", text, log)
				}
			}
			return nil
		})
	}
	// The device was given, and this machine has no driver for it.
	says("msg=listening", "msg=reloaded", "/dev/i2c-1 is there, and nothing behind it")
	// What is executed in the container finds the daemon there.
	for _, line := range strings.Split(strings.TrimSpace(kit.BlockOf(t, "docs/install.md, In a container (3)")), "\n") {
		switch command := line[strings.LastIndexByte(line, ' ')+1:]; command {
		case "read":
			m.docker(line + " second") // absent is
		case "reload":
			m.docker(line)
			m.settled("the reload from inside", func() error {
				if log := m.docker(logs); strings.Count(log, "msg=reloaded") != 2 {
					return fmt.Errorf("the log is\n%s", log)
				}
				return nil
			})
		default:
			if out := m.docker(line); !regexp.MustCompile(executed[command]).MatchString(out) {
				t.Errorf("%s says\n%s", line, out)
			}
		}
	}
	m.docker(stop)
	if state := m.docker("docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' dormouse"); state != "exited 0" {
		t.Errorf("after docker stop it is %s", state)
	}
	says("msg=stopped")
}

// executed is what commands say that are executed in the container.
var executed = map[string]string{"status": `^dormouse: running as process 1\n1 of 2 sensors up`, "inspect": `^process 1, dormouse`}

// contained looks at the process in the container.
func (m *machine) contained() {
	m.Helper()
	pid := m.docker("docker inspect --format '{{.State.Pid}}' dormouse")
	status := m.do("cat", filepath.Join("/proc", pid, "status"))
	i2c, gpio := m.do("sh", "-c", "getent group i2c | cut -d: -f3"), m.do("sh", "-c", "getent group gpio | cut -d: -f3")
	for _, want := range []string{`NSpid:\t.*\t1`, `Uid:\t65534\t65534\t65534\t65534`, `Groups:\t.*\b` + i2c + `\b`, `Groups:\t.*\b` + gpio + `\b`, `CapEff:\t0000000000000000`} {
		if !regexp.MustCompile(`(?m)^` + want).MatchString(status) {
			m.Errorf("the process has no %s:\n%s", want, status)
		}
	}
}
