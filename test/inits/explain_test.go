//go:build system

package inits

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

var update = flag.Bool("update", false, "write the golden files")

// TestExplain compares what `start --explain` says with the golden files, where
// nobody has detached the process yet and where somebody has.
func TestExplain(t *testing.T) {
	for name, explain := range map[string]func(*testing.T) string{
		"detached": explainDetached, "usb": explainFromUSB, "container": explainInContainer,
		"sysvinit": explainUnderSysvinit, "systemd": explainUnderSystemd,
	} {
		t.Run(name, func(t *testing.T) {
			got := explain(t)
			file := filepath.Join("testdata", "explain-"+name+".golden")
			if *update {
				kit.Must(t, os.MkdirAll("testdata", 0o755))
				kit.Must(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			kit.Must(t, err)
			if got != string(want) {
				t.Errorf("it differs from %s:\n%s", file, got)
			}
		})
	}
}

// explanationEnds is the last thing that is explained.
const explanationEnds = "its files are open\n"

// What differs from machine to machine, and from run to run.
var differing = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`/dev/loop\d+`), "/dev/loopN"},
	{regexp.MustCompile(`\b(user|group) [1-9]\d*`), "$1 N"},
	{regexp.MustCompile(`\([1-9]\d*\), group`), "(N), group"},
	{regexp.MustCompile(`groups \[[^]]*\]`), "groups [N]"},
}

// explanation takes the explanation out of what was printed.
func (p *place) explanation(printed string) string {
	p.Helper()
	text, _, ok := strings.Cut(printed, explanationEnds)
	if !ok {
		p.Fatalf("the explanation has no end:\n%s", printed)
	}
	text = strings.ReplaceAll(text+explanationEnds, p.dir, "DIR")
	for _, d := range differing {
		text = d.pattern.ReplaceAllString(text, d.instead)
	}
	return text
}

var explaining = []string{"start", "--explain", "--board=sim", "--no-web", "--sensor=office=sht4x", "--log.output=log"}

// clean starts a program as a login shell does: no signal is ignored or blocked.
// The mask is a careful person's.
func (p *place) clean(program string, args ...string) *exec.Cmd {
	cmd := p.command()
	cmd.Path = "/usr/bin/env"
	cmd.Args = append([]string{"env", "--default-signal", "--block-signal=", "sh", "-c", `umask 077; exec "$0" "$@"`, program}, args...)
	return cmd
}

// systemProgram is the program on a file system that belongs to the system.
func (p *place) systemProgram() string {
	p.Helper()
	p.mount("system", "/opt", "tmpfs", 0, "mode=0755")
	p.copyProgram("/opt/dormouse")
	return "/opt/dormouse"
}

func (p *place) copyProgram(to string) {
	p.Helper()
	data, err := os.ReadFile(binary)
	kit.Must(p, err)
	kit.Must(p, os.WriteFile(to, data, 0o755))
}

func explainDetached(t *testing.T) string {
	p := newPlace(t)
	cmd := p.clean(p.systemProgram(), append(explaining, "--user=nobody")...)
	t.Cleanup(func() { p.run("stop") })
	out, code := p.finish(cmd)
	if code != 0 {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	return p.explanation(out)
}

// explainFromUSB starts it on a disk, which must be free afterwards.
func explainFromUSB(t *testing.T) string {
	p := newPlace(t)
	device := loopDevice(p)
	point := p.path("usb")
	p.mount(device, point, "ext4", 0, "")
	p.copyProgram(point + "/dormouse")
	cmd := p.clean("./dormouse", explaining...)
	cmd.Args[len(cmd.Args)-1] = "--log.output=" + p.path("log")
	cmd.Dir = point
	t.Cleanup(func() { p.run("stop") })
	out, code := p.finish(cmd)
	if code != 0 {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	if err := unix.Unmount(point, 0); err != nil {
		t.Errorf("umount: %v", err)
	}
	free(p, device)
	return p.explanation(out)
}

// explainInContainer makes it process 1.
func explainInContainer(t *testing.T) string {
	p := newPlace(t)
	cmd := p.clean("unshare", append([]string{"--fork", "--kill-child", "--pid", "--mount-proc", p.systemProgram()}, explaining...)...)
	out, err := os.Create(p.path("out"))
	kit.Must(t, err)
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	kit.Must(t, startTied(cmd))
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // it runs until then
		_ = cmd.Wait()                          // killed, as it must be
	})
	return p.explained("out")
}

// explained waits until all is explained in the file.
func (p *place) explained(file string) string {
	p.Helper()
	kit.Eventually(p, func() error {
		if text := p.read(file); !strings.Contains(text, explanationEnds) {
			return fmt.Errorf("it says\n%s", text)
		}
		return nil
	})
	return p.explanation(p.read(file))
}

// explainUnderSysvinit makes it an entry of a real init's table.
func explainUnderSysvinit(t *testing.T) string {
	m := newMachine(t, "")
	// A process of the table has at most 127 characters; inittab(5).
	m.inside("/etc/dormouse/start", "exec dormouse start --explain --board=sim --no-web --sensor=office=sht4x --user=dormouse "+
		"--pid-file=/run/dormouse/dormouse.pid --state.directory=/var/lib/dormouse --log.output=/var/log/dormouse.log >/var/log/explained 2>&1\n")
	const table = "/etc/inittab"
	m.inside(table, m.read(m.root+table)+"dm:2345:respawn:/bin/sh /etc/dormouse/start\n")
	m.startSysvinit()
	return m.explained(m.root + "/var/log/explained")
}

// explainUnderSystemd has our own unit start it.
func explainUnderSystemd(t *testing.T) string {
	m := bootSystemd(t, func(m *machine) {
		unit := m.read(kit.Source("systemd/dormouse.service"))
		ran := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/dormouse run (.*)$`).FindStringSubmatch(unit)
		if ran == nil {
			t.Fatalf("how does the unit start the program?\n%s", unit)
		}
		m.dropIn("explain.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/dormouse start --explain "+ran[1]+"\nStandardOutput=truncate:/var/log/explained\n")
	}, "dormouse.service")
	return m.explained(m.root + "/var/log/explained")
}
