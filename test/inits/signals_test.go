//go:build system

package inits

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
)

// serve runs the daemon in the foreground, so that its exit status can be seen.
func (p *place) serve(config string, args ...string) *exec.Cmd {
	p.Helper()
	cmd := p.launch(config, args...)
	p.up(nil, "office")
	return cmd
}

// launch doesn't wait for it.
func (p *place) launch(config string, args ...string) *exec.Cmd {
	p.Helper()
	p.write("dormouse.yml", config)
	cmd := p.command(append([]string{"run", "--board=sim", "--config.file=dormouse.yml", "--log.output=log",
		"--web.listen-address=127.0.0.1:0", "--pid-file=run/dormouse.pid"}, args...)...)
	kit.Must(p, cmd.Start())
	p.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // it is still ours
			_ = cmd.Wait()
		}
		if p.Failed() {
			p.Logf("log:\n%s", last(p.read("log"), 3000))
		}
	})
	return cmd
}

// ends waits until the daemon has ended, and checks that it did so in time, with
// status 0, and left nothing.
func (p *place) ends(cmd *exec.Cmd) {
	p.Helper()
	began := time.Now()
	if err := cmd.Wait(); err != nil {
		p.Errorf("ended by %v", err)
	}
	took := time.Since(began)
	p.Logf("the end took %v", took.Round(time.Millisecond))
	if took > 10*time.Second { // systemd would kill it
		p.Error("that is too long")
	}
	if _, err := os.Lstat(p.path("run/dormouse.pid")); !errors.Is(err, os.ErrNotExist) {
		p.Errorf("the pidfile is left: %v", err)
	}
	if log := p.read("log"); !strings.Contains(log, "msg=stopped rails=off") {
		p.Errorf("the rails:\n%s", last(log, 1000))
	}
}

func (p *place) send(cmd *exec.Cmd, sig syscall.Signal) {
	p.Helper()
	kit.Must(p, cmd.Process.Signal(sig))
}

func TestSignalBurst(t *testing.T) {
	p := newPlace(t)
	cmd := p.serve(threeSensors)
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGTTIN,
		syscall.SIGTTOU, syscall.SIGTSTP, syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG}
	for i := range 1000 {
		p.send(cmd, signals[i%len(signals)])
	}
	p.up(nil, "office")
	if state := p.procStatus(cmd.Process.Pid)["State"]; strings.HasPrefix(state, "T") {
		t.Errorf("it is %s", state)
	}
	p.send(cmd, syscall.SIGTERM)
	p.ends(cmd)
}

func TestTermAtAnyTime(t *testing.T) {
	const hangs = "  - {name: hung, driver: command, output: none, timeout: 2h, kill-after: 1s, argv: [/bin/sh, -c, \"trap '' TERM; echo $$ > %s; while :; do sleep 3600; done\"]}\n"
	t.Run("during a reload", func(t *testing.T) {
		p := newPlace(t)
		cmd := p.serve(threeSensors)
		p.write("dormouse.yml", threeSensors+"  - {name: cellar, driver: tmp102, addr: 0x48}\n")
		p.send(cmd, syscall.SIGHUP)
		p.send(cmd, syscall.SIGTERM)
		p.ends(cmd)
	})
	t.Run("during a hung read", func(t *testing.T) {
		p := newPlace(t)
		cmd := p.serve(threeSensors + fmt.Sprintf(hangs, p.path("hung")))
		var hung int
		kit.Eventually(p, func() (err error) {
			hung, err = strconv.Atoi(strings.TrimSpace(p.read("hung")))
			return err
		})
		p.send(cmd, syscall.SIGTERM)
		p.ends(cmd)
		kit.Eventually(p, func() error {
			if err := syscall.Kill(hung, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("the program outlives the daemon: %v", err)
			}
			return nil
		})
	})
	t.Run("during a warm-up", func(t *testing.T) {
		p := newPlace(t)
		cmd := p.serve(threeSensors + "  - {name: soil, driver: tmp102, addr: 0x48, power: probes, warmup: 1h, timeout: 2h}\n")
		p.send(cmd, syscall.SIGTERM)
		p.ends(cmd)
	})
	t.Run("during the start", func(t *testing.T) {
		p := newPlace(t)
		died := map[string]int{}
		for i := range 80 {
			cmd := p.launch(threeSensors)
			moment := time.Duration(i) * 300 * time.Microsecond // another one each time
			time.Sleep(moment)
			p.send(cmd, syscall.SIGTERM)
			late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // the error tells
			err := cmd.Wait()
			late.Stop()
			died[fmt.Sprint(err)]++
			// Until it catches signals it ends as any program; after that, well.
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM) {
				t.Errorf("after %v: %v", moment, err)
			}
			if out, code := p.run("status"); code != 3 {
				t.Errorf("after %v: status %d: %s", moment, code, out)
			}
		}
		t.Logf("ended by %v", died)
		cmd := p.serve(threeSensors)
		p.send(cmd, syscall.SIGTERM)
		p.ends(cmd)
	})
}

func TestKilledAndStarted(t *testing.T) {
	p := newPlace(t)
	for range 3 {
		cmd := p.serve(threeSensors)
		p.send(cmd, syscall.SIGKILL)
		_ = cmd.Wait() // killed
		if out, code := p.run("status"); code != 1 {
			t.Errorf("status %d, want 1: %s", code, out)
		}
	}
	cmd := p.serve(threeSensors)
	p.send(cmd, syscall.SIGTERM)
	p.ends(cmd)
}

func (p *place) metric(series string) float64 {
	p.Helper()
	page, err := p.scrape(nil)
	kit.Must(p, err)
	return page.Want(p, series)
}

// stopped is how long the daemon gets no processor: some missed polls, or with
// DORMOUSE_SOAK (make soak) a minute of them.
var stopped = func() time.Duration {
	if os.Getenv("DORMOUSE_SOAK") != "" {
		return time.Minute
	}
	return 6 * time.Second
}()

func TestStoppedAndContinued(t *testing.T) {
	const reads = `dormouse_sensor_reads_total{sensor="office"}`
	p := newPlace(t)
	cmd := p.serve(often)
	began := time.Now()
	before := p.metric(reads)
	p.send(cmd, syscall.SIGSTOP)
	kit.Eventually(p, func() error {
		if state := p.procStatus(cmd.Process.Pid)["State"]; !strings.HasPrefix(state, "T") {
			return fmt.Errorf("it is %s", state)
		}
		return nil
	})
	ran := time.Since(began)
	time.Sleep(stopped)
	began = time.Now()
	p.send(cmd, syscall.SIGCONT)
	kit.Eventually(p, func() error {
		n := p.metric(reads)
		// Each second in which it could run, begun or whole, has one read; one may have
		// been under way before, and one that was missed is made up for.
		if most := before + 2 + math.Ceil(ran.Seconds()) + math.Ceil(time.Since(began).Seconds()); n > most {
			t.Fatalf("%v reads, %v before it was stopped for %s, want at most %v", n, before, stopped, most)
		}
		if n < before+3 {
			return fmt.Errorf("%v reads, %v before", n, before)
		}
		return nil
	})
	p.send(cmd, syscall.SIGTERM)
	p.ends(cmd)
}

// Reloads cost nothing that stays.
func TestManyReloads(t *testing.T) {
	p := newPlace(t)
	cmd := p.serve(threeSensors, "--web.enable-lifecycle")
	address := kit.Address(p, func() string { return p.read("log") }, kit.Listening)
	other := strings.ReplaceAll(threeSensors, "GPIO17", "GPIO27") + "  - {name: cellar, driver: tmp102, addr: 0x48}\n"
	reload := func(i int) {
		p.write("dormouse.yml", []string{threeSensors, other}[i%2])
		response, err := http.Post("http://"+address+"/-/reload", "", nil)
		kit.Must(t, err)
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("reload %d: %s %v", i, response.Status, err)
		}
	}
	type size struct{ descriptors, goroutines, kilobytes int }
	measure := func() (s size) {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
		kit.Must(t, err)
		s.descriptors = len(fds)
		if _, err := fmt.Sscan(p.procStatus(cmd.Process.Pid)["VmRSS"], &s.kilobytes); err != nil {
			t.Fatal(err)
		}
		seen := len(p.read("log"))
		p.send(cmd, syscall.SIGUSR2)
		kit.Eventually(p, func() error {
			found := regexp.MustCompile(`msg=state daemon=.* goroutines=(\d+)`).FindStringSubmatch(p.read("log")[seen:])
			if found == nil {
				return errors.New("no dump in the log")
			}
			s.goroutines, err = strconv.Atoi(found[1])
			return err
		})
		return s
	}
	for i := range 1000 { // until the heap has the size at which it is collected
		reload(i)
	}
	before := measure()
	for i := range 1000 {
		reload(i)
	}
	// What a read has that has just begun, and what isn't collected yet, goes again.
	kit.Eventually(p, func() error {
		after := measure()
		t.Logf("after 1,000 reloads %+v, after 2,000 %+v", before, after)
		if after.descriptors > before.descriptors+3 || after.goroutines > before.goroutines+6 || after.kilobytes > before.kilobytes+2048 {
			return fmt.Errorf("grown from %+v to %+v", before, after)
		}
		return nil
	})
	p.up(nil, "cellar")
	p.send(cmd, syscall.SIGTERM)
	p.ends(cmd)
}
