//go:build system

package inits

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// wired is the emulated machine with sensors on its wires, and systemd as
// process 1 of a process namespace, on the machine's own devices and control
// groups.
type wired struct {
	*place
	*rig.Machine
	leader string // systemd's process id in the machine
}

const wiredSensors = `defaults: {every: 1h}
sensors:
  - {name: air, driver: bme280, bus: %d, addr: 0x76}
  - {name: door, driver: switch, pin: GPIO27}
  - {name: frost, driver: w1, id: 28-0316a2793aff}
  - {name: opener, driver: command, output: none, timeout: 5m, argv: [/bin/sh, /usr/bin/open-devices, /var/lib/dormouse/opened]}
`

// openDevices opens each device for reading and for writing, and writes into a
// file which could be opened, and why others couldn't.
const openDevices = `for device in $(find /dev -type c -o -type b); do
	why=$( (exec 3<"$device") 2>&1 ) && echo "read $device" || echo "refused read $device: $why"
	why=$( (exec 3>>"$device") 2>&1 ) && echo "write $device" || echo "refused write $device: $why"
done >"$1"
`

// bootWired connects the sensors and starts systemd, with the daemon installed
// as docs/install.md tells, and not running yet.
func bootWired(t *testing.T) *wired {
	t.Helper()
	p := newPlace(t)
	// What nobody needs to start a service stays out of the machine's memory.
	const libraries = "./usr/lib/x86_64-linux-gnu/"
	tar := []string{"-C", rootFS(p)}
	for _, needless := range []string{"./dev", "./usr/share", "./var/cache", "./var/lib/apt", "./var/lib/dpkg", "./usr/lib/apt", "./usr/bin/perl*",
		libraries + "gconv", libraries + "perl*", libraries + "libperl*", libraries + "libapt*", libraries + "libstdc*"} {
		tar = append(tar, "--exclude="+needless)
	}
	p.host("tar", append(tar, "-cf", p.path("root.tar"), ".")...)
	m := &wired{place: p, Machine: rig.Start(t, rig.Options{Memory: 512, Files: map[string]string{"root.tar": p.path("root.tar")}})}

	header, err := m.AddHeader(t.Context())
	kit.Must(m, err)
	kit.Must(m, header.SetPull(t.Context(), 27, true))
	bus, err := m.AddI2CBus(t.Context())
	kit.Must(m, err)
	kit.Must(m, bus.AddChip(t.Context(), 0x76, i2c.BMP280()))
	_, err = m.AddOneWireBus(t.Context(), rig.DS18B20{Serial: 0x0316a2793aff, Sixteenths: -162})
	kit.Must(m, err)

	m.sh("mkdir /r; mount -t tmpfs tmpfs /r; tar -xf /root.tar -C /r; rm /root.tar; mkdir -p /r/dev /r/proc /r/sys; " +
		"mount --rbind /dev /r/dev; mount --rbind /sys /r/sys")
	kit.Must(m, m.PushFile(t.Context(), binary, "/r/usr/bin/dormouse"))
	kit.Must(m, m.PushFile(t.Context(), kit.Source("systemd/dormouse.service"), "/r"+unitDirectory+"dormouse.service"))
	kit.Must(m, m.PushFile(t.Context(), kit.Source("systemd/dormouse.sysusers.conf"), "/r/usr/lib/sysusers.d/dormouse.conf"))
	m.put("/usr/bin/open-devices", openDevices)
	m.put("/etc/dormouse/dormouse.yml", fmt.Sprintf(wiredSensors, bus.Number))
	m.put("/etc/machine-id", "")

	init, err := m.Start(t.Context(), rig.Command{Argv: []string{"unshare", "-m", "-p", "-u", "-i", "-f",
		"sh", "-c", "mount -t proc proc /r/proc; cd /r; mount --move . /; exec chroot . /lib/systemd/systemd --unit=basic.target"}}, nil)
	kit.Must(m, err)
	kit.Eventually(m, func() error {
		child, err := m.ReadFile(t.Context(), fmt.Sprintf("/proc/%d/task/%d/children", init.PID, init.PID))
		if err != nil {
			return err
		}
		m.leader = strings.TrimSpace(string(child))
		if out, status := m.exec("systemctl", "is-active", "basic.target"); status != 0 {
			return fmt.Errorf("systemd isn't up: %s", out)
		}
		return nil
	})
	// What the udev rules do; all other devices are anybody's, so that it is the
	// unit that refuses them.
	m.do("/bin/sh", "-c", "chmod 666 $(find /dev -type c -o -type b); chmod 660 /dev/gpiochip* /dev/i2c-*; chgrp gpio /dev/gpiochip*; chgrp i2c /dev/i2c-*")
	return m
}

// sh runs a script in the machine, outside systemd's namespaces.
func (m *wired) sh(script string) {
	m.Helper()
	exit, err := m.Exec(m.place.Context(), "sh", "-ec", script)
	if err != nil || exit.Status != 0 {
		m.Fatalf("%s: %+v, %v", script, exit, err)
	}
}

// put writes a file below systemd's root.
func (m *wired) put(name, text string) {
	m.Helper()
	kit.Must(m, m.Mkdir(m.place.Context(), "/r"+filepath.Dir(name), 0o755))
	kit.Must(m, m.WriteFile(m.place.Context(), "/r"+name, []byte(text), 0o644))
}

// exec runs a program beside systemd's services.
func (m *wired) exec(args ...string) (out string, status int) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.place.Context(), kit.Patience)
	defer cancel()
	exit, err := m.Exec(ctx, append([]string{"nsenter", "-t", m.leader, "-m", "-p", "-u", "-i", "-r"}, args...)...)
	kit.Must(m, err)
	return string(exit.Stdout) + string(exit.Stderr), exit.Status
}

// do is exec where nothing but success will do.
func (m *wired) do(args ...string) string {
	m.Helper()
	out, status := m.exec(args...)
	if status != 0 {
		log, _ := m.exec("systemctl", "status", "--no-pager", "dormouse")
		m.Fatalf("%q: exit status %d\n%s\n%s", args, status, out, log)
	}
	return out
}

// opened reads what openDevices wrote, by the kind of access and the device: ""
// for what could be opened, else why not.
func (m *wired) opened(name string) map[string]string {
	m.Helper()
	text, err := m.ReadFile(m.place.Context(), "/r"+name)
	kit.Must(m, err)
	results := map[string]string{}
	for line := range strings.Lines(string(text)) {
		what, refused := strings.CutPrefix(strings.TrimSpace(line), "refused ")
		what, why, _ := strings.Cut(what, ": ")
		if refused && why == "" {
			m.Fatalf("no reason: %s", line)
		}
		results[what] = why
	}
	return results
}

var (
	// What must pass: the wires, and what systemd lets through in any unit.
	throughUnit = regexp.MustCompile(`^(read|write) /dev/(gpiochip0|i2c-0|ttyS0|null|zero|full|u?random|ptmx|pts/ptmx)$|` +
		// ProtectClock= gives every unit the clock to read.
		`^read /dev/rtc0$`)
	// What must be shown not to pass: some that the unit's user opens elsewhere.
	others = []string{"/dev/tty0", "/dev/tty1", "/dev/ttyS1", "/dev/console", "/dev/vcs", "/dev/input/mice", "/dev/bus/usb/001/001", "/dev/cpu_dma_latency"}
)

// The unit's device policy lets the wires through, and nothing else.
func TestDevicesUnderTheUnit(t *testing.T) {
	m := bootWired(t)

	m.do("systemctl", "start", "dormouse")
	out := m.do("dormouse", "read")
	for _, want := range []string{"temperature +25.08 °C", "pressure +1006.53 hPa", "active +1 ", "temperature +-10.12 °C"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("dormouse read doesn't say %q:\n%s", want, out)
		}
	}

	// The same user opens whatever its mode allows, outside the unit.
	m.do("/usr/bin/setpriv", "--reuid=dormouse", "--regid=dormouse", "--init-groups", "/bin/sh", "/usr/bin/open-devices", "/tmp/opened")
	outside, inside := m.opened("/tmp/opened"), m.opened("/var/lib/dormouse/opened")
	passed, refused := 0, 0
	for what, why := range inside {
		through := throughUnit.MatchString(what)
		switch {
		case why == "" && !through:
			t.Errorf("%s passes", what)
		case why != "" && through:
			t.Errorf("%s is refused: %s", what, why)
		case why == "":
			passed++
		case outside[what] == "":
			refused++
			if !strings.Contains(why, "Operation not permitted") && !strings.Contains(what, "kmsg") { // that one isn't even there: ProtectKernelLogs=
				t.Errorf("%s is refused for another reason: %s", what, why)
			}
		}
	}
	t.Logf("%d ways to open a device pass, %d are refused that are open outside", passed, refused)
	for _, device := range others {
		for _, what := range []string{"read " + device, "write " + device} {
			if why, there := outside[what]; !there || why != "" {
				t.Errorf("%s outside the unit: %t, %q; so its refusal inside proves nothing", what, there, why)
			}
		}
	}

	// Each wire passes by its own line: without it, that one alone is refused.
	for _, c := range []struct{ line, refused, works string }{
		{"DeviceAllow=char-gpiochip rw", "/dev/i2c-0", "active +1 "},
		{"DeviceAllow=char-i2c rw", "/dev/gpiochip0", "temperature +25.08 °C"},
	} {
		m.put(unitDirectory+"dormouse.service.d/devices.conf", "[Service]\nDeviceAllow=\n"+c.line+"\n")
		m.do("systemctl", "daemon-reload")
		m.do("systemctl", "restart", "dormouse")
		out, _ := m.exec("dormouse", "read") // its status tells that a sensor is down, which is the point
		refusal := regexp.MustCompile(`down \(io\): .*` + c.refused + ` may not be opened: .*operation not permitted`)
		if !refusal.MatchString(out) || !regexp.MustCompile(c.works).MatchString(out) {
			t.Errorf("with %s alone, dormouse read says\n%s", c.line, out)
		}
	}
}
