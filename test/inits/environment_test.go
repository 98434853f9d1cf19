//go:build system

package inits

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
)

// TestRuntimeSettingsReachTheDaemon: the starter's settings of the Go runtime are
// those of the process that lives on, each once, with run and with start. Only
// root can see them: the daemon isn't dumpable.
func TestRuntimeSettingsReachTheDaemon(t *testing.T) {
	for _, command := range []string{"run", "start"} {
		t.Run(command, func(t *testing.T) {
			p := newPlace(t)
			cmd := p.command(command, "--board=sim", "--sensor=a=sht4x", "--no-web", "--pid-file=d.pid", "--log.output="+p.path("log"))
			cmd.Env = append(cmd.Env, "GOGC=77", "GOMEMLIMIT=99MiB", "TMPDIR="+p.path("tmp"), "XDG_STATE_HOME="+p.path("xdg"))
			kit.Must(t, startTied(cmd))
			pid := ""
			kit.Eventually(t, func() error {
				if pid = strings.TrimSpace(p.read("d.pid")); pid == "" {
					return errors.New("it doesn't run")
				}
				return nil
			})
			environment := p.read(fmt.Sprintf("/proc/%s/environ", pid))
			for _, want := range []string{"GOGC=77", "GOMEMLIMIT=99MiB", "GOMAXPROCS=1"} {
				if strings.Count("\x00"+environment, "\x00"+want+"\x00") != 1 {
					t.Errorf("no %s in %q", want, environment)
				}
			}
			// The starter's places stay behind, but for the paths of flags.
			if command == "start" && strings.Contains(environment, p.dir) {
				t.Errorf("paths of the starter are in %q", environment)
			}
			p.must("stop", "--pid-file=d.pid")
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWithoutProc: where /proc isn't mounted, it is said that it has to be.
func TestWithoutProc(t *testing.T) {
	p := newPlace(t)
	for _, command := range []string{"run", "start", "restart"} {
		cmd := p.command()
		cmd.Args = []string{"unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh",
			binary, command, "--board=sim", "--sensor=a=sht4x", "--no-web", "--log.output=" + p.path("log")}
		cmd.Path = "/usr/bin/unshare"
		if out, code := p.finish(cmd); code != 1 || !strings.Contains(out, "/proc has to be mounted: mount -t proc proc /proc") {
			t.Errorf("%s: exit status %d\n%s", command, code, out)
		}
	}
}
