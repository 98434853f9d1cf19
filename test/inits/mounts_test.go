//go:build system

package inits

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

// TestMountBelowRun: a file system that somebody has mounted below /run is as free
// as any other, in memory too; and inspect says of a process that holds it that it
// does, whatever the daemon thinks of it.
func TestMountBelowRun(t *testing.T) {
	p := newPlace(t)
	p.mount("run", "/run", "tmpfs", 0, "mode=0755")
	const stick = "/run/x"
	for _, release := range []string{"auto", "never"} {
		p.mount("x", stick, "tmpfs", 0, "mode=0755")
		data, err := os.ReadFile(binary)
		kit.Must(t, err)
		kit.Must(t, os.WriteFile(stick+"/dormouse", data, 0o755))
		p.write(stick+"/dormouse.yml", officeAlone)
		cmd := p.command("start", "--config.file="+stick+"/dormouse.yml", "--board=sim", "--no-web", "--log.output="+p.path("log"), "--release-executable="+release)
		cmd.Path, cmd.Dir = stick+"/dormouse", stick
		cmd.Env = append(cmd.Env, "RUNTIME_DIRECTORY=/run/dormouse")
		if out, code := p.finish(cmd); code != 0 {
			t.Fatalf("exit status %d\n%s", code, out)
		}
		ask := func(command string) (string, int) { return p.run(command, "--pid-file=/run/dormouse/dormouse.pid") }
		out, code := ask("inspect")
		err = unix.Unmount(stick, 0)
		busy := release == "never"
		if (err != nil) != busy {
			t.Errorf("%s: umount: %v", release, err)
		}
		if (code == 1) != busy || strings.Contains(out, stick+" (tmpfs, x) by executable") != busy || strings.Contains(out, "umount fails") != busy {
			t.Errorf("%s: inspect says, with exit status %d,\n%s", release, code, out)
		}
		if !strings.Contains(out, "the pidfile has to be somewhere") {
			t.Errorf("%s: inspect doesn't explain the pidfile:\n%s", release, out)
		}
		if out, code := ask("stop"); code != 0 {
			t.Fatal(out)
		}
	}
}
