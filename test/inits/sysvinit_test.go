//go:build system

package inits

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
)

const sysvLog = "/var/log/dormouse.log"

// bootSysvinit starts System V init as process 1, and returns when it has run all
// scripts of its runlevel.
func bootSysvinit(t *testing.T, prepare func(*machine)) *machine {
	t.Helper()
	m := newMachine(t, "--log.output="+sysvLog)
	m.install(kit.Source("init.d/dormouse"), "/etc/init.d/dormouse", 0o755)
	m.host("chroot", m.root, "update-rc.d", "dormouse", "defaults")
	if prepare != nil {
		prepare(m)
	}
	m.startSysvinit()
	return m
}

// startSysvinit boots the machine, and returns when the last script of its
// runlevel has run.
func (m *machine) startSysvinit() {
	m.Helper()
	m.inside("/etc/rc.local", "#!/bin/sh\ntouch /run/booted\n") // its script comes after all others
	kit.Must(m, os.Chmod(m.root+"/etc/rc.local", 0o755))
	const mounts = `cd "$0" && mount -t proc proc proc && mount -t tmpfs run run && mount -t tmpfs dev dev &&
for d in null zero full random urandom tty; do touch dev/$d && mount --bind /dev/$d dev/$d || exit; done; exec chroot . /sbin/init`
	m.start("init", "unshare", "--mount", "--uts", "--ipc", "--net", "sh", "-c", mounts, m.root)
	kit.Eventually(m, func() error {
		if _, code := m.exec("test", "-e", "/run/booted"); code != 0 {
			level, _ := m.exec("runlevel")
			return fmt.Errorf("still booting, runlevel %q", level)
		}
		return nil
	})
	// No script of this runlevel configures the network.
	m.host("nsenter", "-t", strconv.Itoa(m.leader), "-n", "ip", "link", "set", "lo", "up")
}

func (m *machine) awaitLog(text string) {
	m.Helper()
	kit.Eventually(m, func() error {
		if log := m.read(m.root + sysvLog); !strings.Contains(log, text) {
			return fmt.Errorf("no %q in the log:\n%s", text, log)
		}
		return nil
	})
}

func TestSysvinit(t *testing.T) {
	m := bootSysvinit(t, nil)
	// Started at boot.
	kit.Eventually(m, func() error {
		out, code := m.exec("service", "dormouse", "status")
		if code != 0 || !strings.Contains(out, "3 of 3 sensors up") {
			return fmt.Errorf("exit status %d: %s", code, out)
		}
		return nil
	})
	if out := m.do("dormouse", "inspect"); strings.Contains(out, "\nfail") || !regexp.MustCompile(`privileges +user (\d+) .*ambient 0000000000000000; no_new_privs 1`).MatchString(out) || strings.Contains(out, "user 0 ") {
		t.Errorf("inspect says\n%s", out)
	}

	const service = "service"
	pid := m.do("cat", "/run/dormouse/dormouse.pid")
	m.wants(0, service, "dormouse", "start") // LSB: running already is a success
	if again := m.do("cat", "/run/dormouse/dormouse.pid"); again != pid {
		t.Errorf("start of what runs made %s of process %s", again, pid)
	}
	m.wants(0, service, "dormouse", "reload")
	m.wants(0, service, "dormouse", "force-reload")
	if again := m.do("cat", "/run/dormouse/dormouse.pid"); again != pid {
		t.Errorf("reload made %s of process %s", again, pid)
	}
	m.wants(0, service, "dormouse", "restart")
	if again := m.do("cat", "/run/dormouse/dormouse.pid"); again == pid {
		t.Error("restart left the process")
	}
	if out := m.wants(1, "sh", "-c", "ulimit -v 600000; exec service dormouse restart"); strings.Count(out, "\n") > 1 || !strings.Contains(out, "ulimit -v 600000 is less than") {
		t.Errorf("with few addresses:\n%s", out)
	}
	m.wants(2, service, "dormouse", "dance")
	m.wants(0, service, "dormouse", "stop")
	m.wants(3, service, "dormouse", "status")
	m.wants(0, service, "dormouse", "stop")
	m.wants(7, service, "dormouse", "reload")
	m.wants(0, service, "dormouse", "restart") // starts what doesn't run
	m.wants(0, service, "dormouse", "status")

	// A wrong configuration: what runs stays.
	m.inside("/etc/dormouse/dormouse.yml", threeSensors+"  - {name: cellar, driver: none, addr: 0x48}\n")
	m.wants(6, service, "dormouse", "reload")
	m.wants(6, service, "dormouse", "restart")
	m.wants(0, service, "dormouse", "status")
	m.do(service, "dormouse", "stop")
	m.wants(6, service, "dormouse", "start")
	kit.Must(t, os.Remove(m.root+"/etc/dormouse/dormouse.yml"))
	if out := m.wants(6, service, "dormouse", "start"); !strings.Contains(out, "/etc/dormouse/dormouse.yml is missing") {
		t.Errorf("without a configuration: %s", out)
	}
	m.inside("/etc/dormouse/dormouse.yml", threeSensors)

	// Killed: the pidfile is left, and the next start isn't hindered by it.
	m.do(service, "dormouse", "start")
	m.do("kill", "-9", m.do("cat", "/run/dormouse/dormouse.pid"))
	kit.Eventually(m, func() error {
		if out, code := m.exec(service, "dormouse", "status"); code != 1 {
			return fmt.Errorf("status after kill -9: %d\n%s", code, out)
		}
		return nil
	})
	m.do(service, "dormouse", "start")
	m.wants(0, service, "dormouse", "status")

	// Halt while a rail is up, for a program that takes its time.
	m.inside("/etc/dormouse/dormouse.yml", threeSensors+
		"  - {name: camera, driver: command, argv: [/bin/sleep, \"3600\"], output: none, power: probes, timeout: 2h}\n")
	m.do(service, "dormouse", "reload")
	kit.Eventually(m, func() error {
		if out, code := m.exec("pgrep", "-xu", "dormouse", "sleep"); code != 0 {
			return fmt.Errorf("the program isn't running: %s", out)
		}
		return nil
	})
	m.do("truncate", "-s0", sysvLog)
	began := time.Now()
	m.do("init", "0")
	m.halted()
	t.Logf("halt took %s", time.Since(began).Round(10*time.Millisecond))
	m.awaitLog("msg=stopping")
	m.awaitLog(`msg=stopped rails=off`)
	if counts := m.read(m.root + "/var/lib/dormouse/counters.json"); !strings.Contains(counts, `"rain"`) {
		t.Errorf("the counts weren't kept: %q", counts)
	}
}

func TestSysvinitWithoutProgramOrUser(t *testing.T) {
	m := bootSysvinit(t, func(m *machine) {
		kit.Must(t, os.Remove(m.root+"/usr/bin/dormouse"))
		m.host("sed", "-i", "/^dormouse:/d", m.root+"/etc/passwd")
	})
	m.wants(5, "service", "dormouse", "start")
	m.wants(4, "service", "dormouse", "status")
	m.wants(0, "service", "dormouse", "stop")
	// It comes, and with no user of its own it runs as root.
	m.install(binary, "/usr/bin/dormouse", 0o755)
	m.wants(0, "service", "dormouse", "start")
	if user := m.do("ps", "-o", "user=", "-p", m.do("cat", "/run/dormouse/dormouse.pid")); user != "root" {
		t.Errorf("it runs as %q", user)
	}
}
