//go:build system

package inits

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

// often is a configuration that is read every second, and counts.
const often = `sensors:
  - {name: office, driver: sht4x, addr: 0x44, every: 1s}
  - {name: rain, driver: pulse, pin: GPIO22, every: 1s}
`

// spoiled is a directory in which nothing can be written.
func spoiled(p *place, kind string) string {
	p.Helper()
	dir := p.path(kind)
	switch kind {
	case "full":
		p.mount(kind, dir, "tmpfs", 0, "size=4k,mode=0755")
		fill(p, dir)
	case "read-only":
		p.mount(kind, dir, "tmpfs", unix.MS_RDONLY, "")
	case "vanished":
		return filepath.Join(dir, "with", "its", "parents")
	}
	return dir
}

func fill(p *place, dir string) {
	p.Helper()
	f, err := os.Create(filepath.Join(dir, "fill"))
	kit.Must(p, err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		p.Fatalf("fill %s: %v", dir, err)
	}
}

func TestStartOnASpoiledDisk(t *testing.T) {
	const full, readOnly, vanished = "no space left on device", "read-only file system", "no such file or directory"
	for _, tt := range []struct {
		kind, flag string
		code       int
		wants      []string
		log        string // also in the log
	}{
		{"full", "--pid-file=%s/x.pid", 1, []string{"pidfile", full, "free space there"}, ""},
		{"read-only", "--pid-file=%s/x.pid", 1, []string{"pidfile", readOnly, "name another place"}, ""},
		{"vanished", "--pid-file=%s/x.pid", 1, []string{"pidfile", vanished, "make the directory"}, ""},
		{"full", "--log.output=%s/log", 0, []string{"warning: --log.output", full, "free space there"}, ""},
		{"read-only", "--log.output=%s/log", 1, []string{"--log.output", readOnly, "choose a file"}, ""},
		{"vanished", "--log.output=%s/log", 1, []string{"--log.output", vanished, "choose a file"}, ""},
		{"full", "--state.directory=%s", 0, []string{"warning: --state.directory", full, "choose a directory"}, "won't be kept"},
		{"read-only", "--state.directory=%s", 0, []string{"warning: --state.directory", readOnly, "choose a directory"}, "won't be kept"},
		{"vanished", "--state.directory=%s", 0, nil, ""}, // it is made
		{"full", "--textfile=%s/x.prom", 0, []string{"warning: --textfile", "tmpfs", "choose a path elsewhere"}, full},
		{"read-only", "--textfile=%s/x.prom", 0, []string{"warning: --textfile", "tmpfs", "choose a path elsewhere"}, readOnly},
		{"vanished", "--textfile=%s/x.prom", 0, nil, vanished},
	} {
		flag, _, _ := strings.Cut(tt.flag, "=")
		t.Run(tt.kind+" "+flag, func(t *testing.T) {
			p := newPlace(t)
			p.write("dormouse.yml", often)
			args := []string{"start", "--board=sim", "--no-web", "--config.file=dormouse.yml", fmt.Sprintf(tt.flag, spoiled(p, tt.kind))}
			if flag != "--log.output" {
				args = append(args, "--log.output=log")
			}
			out, code := p.run(args...)
			t.Cleanup(func() { p.run("stop") })
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, want := range tt.wants {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in %q", want, out)
				}
			}
			if tt.wants == nil && strings.Contains(out, "warning") {
				t.Errorf("a needless warning: %s", out)
			}
			if code != 0 {
				return
			}
			kit.Eventually(p, func() error {
				if status, code := p.run("status"); code != 0 || !strings.Contains(status, "2 of 2 sensors up") {
					return fmt.Errorf("status: %d\n%s", code, status)
				}
				if log := p.read("log"); !strings.Contains(log, tt.log) {
					return fmt.Errorf("no %q in the log:\n%s", tt.log, log)
				}
				return nil
			})
			if log := p.read("log"); strings.Contains(log, "of the previous run") {
				t.Errorf("there was none, and the log says\n%s", log)
			}
		})
	}
}

// The counts are taken from their file at the start, and a start that fails gives
// them back.
func TestAStartThatFailsKeepsTheCounts(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", often)
	args := []string{"start", "--board=sim", "--no-web", "--config.file=dormouse.yml", "--log.output=log", "--state.directory=state"}
	p.must(args...)
	p.must("stop")
	counts := p.read("state/counters.json")
	if counts == "" {
		t.Fatal("no counts were kept")
	}
	dir := spoiled(p, "full")
	if out, code := p.run(append(args, "--pid-file="+filepath.Join(dir, "x.pid"))...); code != 1 {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	kit.Eventually(p, func() error { // the daemon's last act
		if _, err := os.Lstat(filepath.Join(dir, "x.sock")); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the control socket is left: %v", err)
		}
		return nil
	})
	if p.read("state/counters.json") == "" {
		t.Errorf("the counts are lost, which were %s", counts)
	}
}

// While it runs the disk fills, becomes read-only or is lost: it goes on serving
// and says so once.
func TestDiskIsSpoiledWhileRunning(t *testing.T) {
	for kind, spoil := range map[string]func(p *place, disk string){
		"full": fill,
		"read-only": func(p *place, disk string) {
			kit.Eventually(p, func() error { // the kernel refuses that while the text file is being written
				return unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
			})
		},
		"vanished": func(p *place, disk string) {
			for _, name := range []string{"run/dormouse.pid", "state", "text"} {
				kit.Eventually(p, func() error { return os.RemoveAll(filepath.Join(disk, name)) }) // a file may be made meanwhile
			}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			p := newPlace(t)
			p.write("dormouse.yml", often)
			disk := p.path("disk")
			p.mount("disk", disk, "tmpfs", 0, "size=64k,mode=0755")
			for _, dir := range []string{"run", "state", "text"} {
				kit.Must(t, os.Mkdir(filepath.Join(disk, dir), 0o755))
			}
			log := p.path("log")
			if kind == "full" {
				log = filepath.Join(disk, "log")
				kit.Must(t, os.Symlink(log, p.path("log"))) // for who looks there
			}
			pidFile := "--pid-file=" + filepath.Join(disk, "run", "dormouse.pid")
			if kind == "read-only" { // the kernel refuses that while a file is open for writing
				pidFile = "--pid-file=" + p.path("run/dormouse.pid")
			}
			p.must("start", "--board=sim", "--web.listen-address=127.0.0.1:0", "--config.file=dormouse.yml", "--log.output="+log,
				"--state.directory="+filepath.Join(disk, "state"), "--textfile="+filepath.Join(disk, "text", "x.prom"), pidFile)
			t.Cleanup(func() { p.run("stop", pidFile) })
			p.up(nil, "office")
			spoil(p, disk)

			// It polls and serves on: reads are counted.
			seen := map[float64]bool{}
			kit.Eventually(p, func() error {
				if seen[p.metric(`dormouse_sensor_reads_total{sensor="office"}`)] = true; len(seen) < 4 {
					return fmt.Errorf("read %d times", len(seen))
				}
				if !strings.Contains(p.read(log), "the text file can't be written") && kind != "full" {
					return errors.New("nothing is said of the text file")
				}
				return nil
			})
			if said := strings.Count(p.read(log), "the text file can't be written"); said != 1 && kind != "full" {
				t.Errorf("said %d times, want once:\n%s", said, p.read(log))
			}
			if out, code := p.run("status", pidFile); code != 0 {
				t.Errorf("status: %d\n%s", code, out)
			}
			if out, code := p.run("stop", pidFile); code != 0 || !strings.Contains(out, "has ended") {
				t.Errorf("stop: %d\n%s", code, out)
			}
			if out, code := p.run("status", pidFile); code != 3 {
				t.Errorf("status after the stop: %d\n%s", code, out)
			}
		})
	}
}
