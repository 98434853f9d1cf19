//go:build system

package browser

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/output"
)

// A daemon is the release's, on the simulated board, with a wake every 5 s, after
// which it writes its text file.
type daemon struct {
	url  string
	pid  int
	text string // the file
}

func startDaemon(t *testing.T) daemon {
	t.Helper()
	text := filepath.Join(t.TempDir(), "readings.prom")
	cmd := exec.Command(kit.Executable(t, "./cmd/dormouse"), "run", "--board=sim", "--every=5s", "--sensor=cellar=tmp102", "--textfile="+text, "--web.listen-address=127.0.0.1:0", "--state.directory="+t.TempDir())
	log := &output.Buffer{}
	cmd.Stderr = log
	kit.Must(t, cmd.Start())
	t.Cleanup(func() {
		kit.Must(t, cmd.Process.Signal(os.Interrupt))
		kit.Must(t, cmd.Wait())
	})
	return daemon{url: "http://" + kit.Address(t, log.String, kit.Listening) + "/", pid: cmd.Process.Pid, text: text}
}

// watch watches the process for some wakes, and returns how many there were and
// the longest time in which its threads didn't run: in which their voluntary context
// switches stayed as they were.
func (d daemon) watch(t *testing.T, wakes int) (seen int, longest time.Duration) {
	t.Helper()
	first, last, since := d.reads(t), d.wakeUps(t), time.Now()
	kit.Eventually(t, func() error {
		if n := d.wakeUps(t); n != last {
			last, since = n, time.Now()
		}
		longest = max(longest, time.Since(since))
		if seen = d.reads(t) - first; seen < wakes {
			return fmt.Errorf("%d wakes, want %d", seen, wakes)
		}
		return nil
	})
	return seen, longest
}

// reads is how often the sensor was read, as of the last wake.
func (d daemon) reads(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(d.text)
	if errors.Is(err, os.ErrNotExist) {
		return 0 // it hasn't ended
	}
	kit.Must(t, err)
	return int(kit.Page(text).Want(t, `dormouse_sensor_reads_total{sensor="cellar"}`))
}

func (d daemon) wakeUps(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.pid))
	kit.Must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		kit.Must(t, err)
		_, count, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:\t")
		count, _, _ = strings.Cut(count, "\n")
		v, err := strconv.Atoi(count)
		kit.Must(t, err)
		n += v
	}
	if len(files) == 0 {
		t.Fatal("the daemon has ended")
	}
	return n
}
