//go:build system

package inits

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
)

// The slow task ends when there is a file that lets it, and leaves a mark where it
// came to its end.
const (
	mayEnd   = "/var/lib/dormouse/may-end"
	over     = "/var/lib/dormouse/over"
	slowTask = "defaults: {every: 1h}\ntasks:\n  - {name: slow, argv: [/bin/sh, -c, \"echo begun; until test -e " + mayEnd + "; do sleep 0.2; done; echo over >" + over + "\"]}\n"
)

// stopsWhileATaskRuns stops the service while the task is being run: with wait it
// comes to its end, beyond the time that the supervisor waits by itself, with term
// it is ended at once, and the log tells it.
func stopsWhileATaskRuns(m *machine, log func(text string), start, stop []string) {
	const beyond = 12 * time.Second
	for _, mode := range []string{"wait", "term"} {
		m.inside("/etc/dormouse/dormouse.yml", "stop-tasks: "+mode+"\n"+slowTask)
		m.do(start...)
		kit.Eventually(m, func() error {
			if out, code := m.exec("pgrep", "-xu", "dormouse", "sleep"); code != 0 {
				return errors.New("the task isn't run: " + out)
			}
			return nil
		})
		if mode == "wait" {
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				m.wants(0, stop...)
			}()
			log("waiting for tasks to end")
			select {
			case <-stopped:
				m.Errorf("the task wasn't waited for")
			case <-time.After(beyond):
			}
			m.do("touch", mayEnd)
			<-stopped
		} else {
			m.wants(0, stop...)
			log(`msg="the program was ended"`)
		}
		if _, err := os.Stat(m.root + over); (err == nil) != (mode == "wait") {
			m.Errorf("%s: the task's mark is there: %v", mode, err == nil)
		}
		m.exec("rm", "-f", over, mayEnd)
	}
}

func TestSystemdStopsTasks(t *testing.T) {
	m := bootSystemd(t, nil, "dormouse.service")
	m.do("systemctl", "stop", "dormouse")
	if limit := m.show("TimeoutStopUSec"); limit != "10s" {
		t.Fatalf("systemd would wait for %s: this proves nothing", limit)
	}
	stopsWhileATaskRuns(m, m.journal, []string{"systemctl", "start", "dormouse"}, []string{"systemctl", "stop", "dormouse"})
	if result := m.show("Result"); result != "success" {
		t.Errorf("the result is %s", result)
	}
}

func TestSysvinitStopsTasks(t *testing.T) {
	m := bootSysvinit(t, nil)
	m.do("service", "dormouse", "stop")
	stopsWhileATaskRuns(m, m.awaitLog, []string{"service", "dormouse", "start"}, []string{"service", "dormouse", "stop"})
}

// TestWhatATaskIsGivenUnderTheUnit: its environment from a file that others can't
// read, its umask and its nice value.
func TestWhatATaskIsGivenUnderTheUnit(t *testing.T) {
	m := bootSystemd(t, func(m *machine) {
		m.inside("/etc/dormouse/secret", "TOKEN=\"s3 cret\"\n")
		m.host("chroot", m.root, "chown", "root:dormouse", "/etc/dormouse/secret")
		m.host("chroot", m.root, "chmod", "640", "/etc/dormouse/secret")
		m.inside("/etc/dormouse/dormouse.yml", `tasks:
  - name: given
    argv: [/bin/sh, -c, "echo $TOKEN; nice; touch /var/lib/dormouse/made; stat -c %a /var/lib/dormouse/made"]
    environment-file: /etc/dormouse/secret
    umask: "027"
    nice: 7
    at: "0 0 29 2 *"
`)
	}, "dormouse.service")
	out := m.do("dormouse", "read", "given")
	if !strings.Contains(out, "exit status 0\n  | s3 cret\n  | 7\n  | 640") {
		t.Errorf("read given says\n%s", out)
	}
	if out := m.do("dormouse", "status", "given"); !strings.Contains(out, "given: last run: ") || !strings.Contains(out, "  | s3 cret") {
		t.Errorf("status given says\n%s", out)
	}
	// Root and the daemon's user are told, and nobody else.
	for user, code := range map[string]int{"dormouse": 0, "nobody": 1} {
		out, got := m.exec("su", "-s", "/bin/sh", "-c", "dormouse status --pid-file=/run/dormouse/dormouse.pid given", user)
		if got != code || strings.Contains(out, "s3 cret") != (code == 0) {
			t.Errorf("%s: exit status %d\n%s", user, got, out)
		}
	}
	if page, err := m.page(t.Context()); err != nil || regexp.MustCompile("s3 cret").Match([]byte(page)) {
		t.Errorf("the page: %v\n%s", err, page)
	}
	if log := m.do("journalctl", "--no-pager", "-o", "cat", "-u", "dormouse"); strings.Contains(log, "s3 cret") {
		t.Errorf("the journal has what the task printed:\n%s", fmt.Sprint(last(log, 2000)))
	}
}

// The unit's sandbox hides a task below /home: its failure names the drop-in that
// ships, and with that the task is run by the user who owns it.
func TestATaskInHomeUnderTheUnit(t *testing.T) {
	m := bootSystemd(t, func(m *machine) {
		m.host("chroot", m.root, "useradd", "--create-home", "pi")
		m.inside("/home/pi/backup", "#!/bin/sh\nid -un; echo kept >/home/pi/copy && cat /home/pi/copy\n")
		m.host("chmod", "755", m.root+"/home/pi/backup")
		m.inside("/etc/dormouse/dormouse.yml", "tasks: [{name: backup, argv: [/home/pi/backup], at: \"0 0 29 2 *\"}]\n")
	}, "dormouse.service")
	if out := m.wants(1, "dormouse", "read", "backup"); !strings.Contains(out, "ProtectHome= hides /home") || !strings.Contains(out, "tasks-in-home.conf") {
		t.Errorf("the failure doesn't name the drop-in:\n%s", out)
	}
	m.install(kit.Source("systemd/tasks-in-home.conf"), unitDirectory+"dormouse.service.d/tasks-in-home.conf", 0o644)
	m.do("systemctl", "daemon-reload")
	m.do("systemctl", "restart", "dormouse")
	if out := m.do("dormouse", "read", "backup"); !strings.Contains(out, "exit status 0\n  | pi\n  | kept") {
		t.Errorf("with the drop-in:\n%s", out)
	}
	if owner := strings.TrimSpace(m.do("stat", "-c", "%U", "/var/lib/dormouse")); owner != "pi" {
		t.Errorf("the state belongs to %s", owner)
	}
}
