//go:build system

package inits

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A Python task in a virtual environment on a drive, from which the daemon was
// started: between two runs the drive can be unmounted. The missing program is
// that task's failure, and it is back with the drive.
func TestATaskOnADrive(t *testing.T) {
	kit.Must(t, rig.Install(t.Context(), "python3", "python3-venv"))
	p := newPlace(t)
	device, point := loopDevice(p), p.path("usb")
	p.mount(device, point, "ext4", 0, "")
	p.host("cp", binary, filepath.Join(point, "dormouse"))
	p.host("/usr/bin/python3", "-m", "venv", "--without-pip", filepath.Join(point, "venv"))
	ran := p.path("ran")
	p.write(filepath.Join(point, "task.py"), fmt.Sprintf("import sys\nwith open(%q, 'a') as f:\n    print(sys.prefix, file=f)\n", ran))
	p.write(filepath.Join(point, "dormouse.yml"), fmt.Sprintf("tasks:\n  - {name: backup, argv: [%[1]s/venv/bin/python, %[1]s/task.py], every: 1s}\n", point))

	cmd := p.command()
	cmd.Path, cmd.Dir = filepath.Join(point, "dormouse"), point
	cmd.Args = []string{"./dormouse", "start", "--board=sim", "--config.file=dormouse.yml", "--web.listen-address=127.0.0.1:0", "--log.output=" + p.path("log")}
	t.Cleanup(func() { p.run("stop") })
	if out, code := p.finish(cmd); code != 0 {
		t.Fatalf("start: exit status %d\n%s", code, out)
	}
	p.up(nil, "backup")
	if text := p.read(ran); !strings.HasPrefix(text, filepath.Join(point, "venv")+"\n") {
		t.Errorf("the task ran in %q", text)
	}

	// A run has the drive busy for some milliseconds of each second.
	kit.Eventually(t, func() error { return unix.Unmount(point, 0) })
	free(p, device)
	kit.Eventually(t, func() error {
		page, err := p.scrape(nil)
		if up, ok := page.Value(`dormouse_sensor_up{sensor="backup"}`); err != nil || !ok || up != 0 {
			return fmt.Errorf("without the drive: %v\n%s", err, page)
		}
		return nil
	})
	if log := p.read("log"); !strings.Contains(log, "sensor=backup") || !strings.Contains(log, "venv/bin/python") || !strings.Contains(log, "no such file") {
		t.Errorf("the log doesn't say what is missing:\n%s", log)
	}
	p.must("status")

	before := strings.Count(p.read(ran), "\n")
	kit.Must(t, unix.Mount(device, point, "ext4", 0, ""))
	p.up(nil, "backup")
	kit.Eventually(t, func() error {
		if now := strings.Count(p.read(ran), "\n"); now <= before {
			return fmt.Errorf("%d runs, as before", now)
		}
		return nil
	})
}

// Two builds of one commit in two directories give the same bytes.
func TestBuildsAreReproducible(t *testing.T) {
	var made [2][2][]byte
	for i, dir := range []string{"one", filepath.Join("a", "much", "longer", "two")} {
		clone := filepath.Join(t.TempDir(), dir)
		if out, err := exec.Command("git", "clone", "-q", kit.Source(""), clone).CombinedOutput(); err != nil {
			t.Fatalf("clone: %v\n%s", err, out)
		}
		build := exec.Command("make", "-s", "dist/dormouse_armhf.deb", "dist/dormouse-1.2.3-linux-armv6.tar.gz", "DEB_VERSION=1.2.3")
		build.Dir = clone
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		for k, file := range []string{"dormouse_armhf.deb", "dormouse-1.2.3-linux-armv6.tar.gz"} {
			data, err := os.ReadFile(filepath.Join(clone, "dist", file))
			kit.Must(t, err)
			made[i][k] = data
		}
	}
	for k, file := range []string{"the package", "the tarball"} {
		if string(made[0][k]) != string(made[1][k]) || len(made[0][k]) < 1<<20 {
			t.Errorf("%s of one commit has %d bytes in one directory and in another %d: they differ", file, len(made[0][k]), len(made[1][k]))
		}
	}
}
