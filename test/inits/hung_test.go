//go:build system

package inits

import (
	endian "encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/kit"
)

// hang mounts a file system that answers nothing, as one of a dead file server:
// FUSE whose server says that it is there (linux/fuse.h, FUSE_INIT) and reads no
// request after that. waiting tells how many wait for an answer.
func hang(p *place, point string) (waiting func() int) {
	p.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	kit.Must(p, err)
	p.Cleanup(func() { _ = unix.Close(fd) }) // ends all that waits
	p.mount("hung", point, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", fd))
	in := make([]byte, 1<<17)
	n, err := unix.Read(fd, in)
	kit.Must(p, err)
	const initialize, header = 26, 40
	if opcode := endian.NativeEndian.Uint32(in[4:]); n < header || opcode != initialize {
		p.Fatalf("the kernel's first request to a FUSE server is %d", opcode)
	}
	out := make([]byte, 16+64) // fuse_out_header, fuse_init_out
	endian.NativeEndian.PutUint32(out, uint32(len(out)))
	copy(out[8:16], in[8:16])                        // unique
	copy(out[16:24], in[header:header+8])            // major, minor
	endian.NativeEndian.PutUint32(out[16+20:], 4096) // max_write
	_, err = unix.Write(fd, out)
	kit.Must(p, err)

	control := filepath.Join(p.dir, "fusectl")
	p.mount("fusectl", control, "fusectl", 0, "")
	var connection string
	for line := range strings.Lines(p.read("/proc/self/mountinfo")) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == point {
			_, connection, _ = strings.Cut(f[2], ":")
		}
	}
	return func() int {
		n := 0
		_, err := fmt.Sscan(p.read(filepath.Join(control, connection, "waiting")), &n)
		kit.Must(p, err)
		return n
	}
}

// ends sends TERM to a daemon, and expects it to end with the exit status, -1
// for the signal's default action. A status of 0 tells that nothing was waited for
// until it had to be given up: that is an error, whatever it is.
func ends(p *place, cmd *exec.Cmd, status int) {
	p.Helper()
	kit.Must(p, cmd.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if code := cmd.ProcessState.ExitCode(); code != status {
			p.Errorf("it ended by %v, want status %d\n%s", err, status, p.read("stderr"))
		}
	case <-time.After(kit.Patience):
		kit.Must(p, cmd.Process.Kill())
		<-ended
		p.Fatalf("it ignores TERM\n%s", p.read("stderr"))
	}
}

// launch starts a daemon in the foreground.
func launch(p *place, args ...string) *exec.Cmd {
	p.Helper()
	stderr, err := os.Create(p.path("stderr"))
	kit.Must(p, err)
	defer stderr.Close()
	cmd := p.command(append([]string{"run", "--board=sim", "--web.listen-address=127.0.0.1:0", "--pid-file=" + p.path("run/d.pid")}, args...)...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	kit.Must(p, startTied(cmd))
	return cmd
}

const officeAlone = "sensors:\n  - {name: office, driver: sht4x, addr: 0x44, every: 1s}\n"

// TestHungFileSystem: whatever the daemon reads or writes lies on a file system
// that stops answering. It goes on reading its sensors and ends when it is asked
// to.
func TestHungFileSystem(t *testing.T) {
	for _, tt := range []struct {
		name, flag string
		status     int
	}{
		{"configuration", "", 0},
		{"web configuration", "--web.config.file=%s/web.yml", 0},
		{"text file", "--textfile=%s/d.prom", 0},
		{"log", "--log.output=%s/log", 0},
		// The counts are written at the end, for which there is some time.
		{"state", "--state.directory=%s", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			dir := p.path("away")
			p.write("away/web.yml", "")
			configuration := p.path("dormouse.yml")
			var args []string
			if tt.flag == "" {
				configuration = p.path("away/dormouse.yml")
			} else {
				args = append(args, fmt.Sprintf(tt.flag, dir))
			}
			p.write(configuration, officeAlone+"  - {name: rain, driver: pulse, pin: GPIO22}\n")
			cmd := launch(p, append(args, "--config.file="+configuration)...)
			reads := func() int {
				out, _ := p.run("read", "--pid-file="+p.path("run/d.pid"), "--format=json", "office")
				n := 0
				if _, rest, ok := strings.Cut(out, `"reads": `); ok {
					_, _ = fmt.Sscan(rest, &n)
				}
				return n
			}
			kit.Eventually(t, func() error {
				if reads() == 0 {
					return errors.New("the sensor isn't read:\n" + p.read("stderr"))
				}
				return nil
			})
			waiting := hang(p, dir)
			kit.Must(t, cmd.Process.Signal(syscall.SIGHUP))
			if tt.name != "state" {
				kit.Eventually(t, func() error {
					if waiting() == 0 {
						return errors.New("nothing hangs")
					}
					return nil
				})
			}
			before := reads()
			kit.Eventually(t, func() error {
				if now := reads(); now <= before {
					return fmt.Errorf("%d reads, %d before", now, before)
				}
				return nil
			})
			ends(p, cmd, tt.status)
			if said := p.read("stderr"); strings.Contains(said, "ended without waiting any longer for a file or a disk") != (tt.status == 1) {
				t.Errorf("at its end it says\n%s", said)
			}
		})
	}
}

// TestHungAtTheStart: TERM ends a command whose start hangs, by its default
// action, as it is no daemon yet.
func TestHungAtTheStart(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", officeAlone)
	waiting := hang(p, p.path("away"))
	cmd := launch(p, "--config.file="+p.path("dormouse.yml"), "--state.directory="+p.path("away/state"), "--release-executable=never")
	kit.Eventually(t, func() error {
		if waiting() == 0 {
			return errors.New("nothing hangs")
		}
		return nil
	})
	ends(p, cmd, -1)
}
