//go:build system

package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/output"
)

// A daemon is the release's, on the simulated board, with a wake every 5 s.
type daemon struct {
	url string
	pid int
}

func startDaemon(t *testing.T) daemon {
	t.Helper()
	cmd := exec.Command(kit.Executable(t, "./cmd/dormouse"), "run", "--board=sim", "--every=5s", "--sensor=cellar=tmp102", "--web.listen-address=127.0.0.1:0", "--state.directory="+t.TempDir())
	log := &output.Buffer{}
	cmd.Stderr = log
	kit.Must(t, cmd.Start())
	t.Cleanup(func() {
		kit.Must(t, cmd.Process.Signal(os.Interrupt))
		kit.Must(t, cmd.Wait())
	})
	return daemon{url: "http://" + kit.Address(t, log.String, kit.Listening) + "/", pid: cmd.Process.Pid}
}

// fourWakes counts the wake-ups of the process in 20 s, which are four wakes: the
// voluntary context switches of its threads, of which none ends meanwhile.
func (d daemon) fourWakes(t *testing.T) int {
	t.Helper()
	before := d.wakeUps(t)
	time.Sleep(20 * time.Second) // this is what is measured
	return d.wakeUps(t) - before
}

func (d daemon) wakeUps(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.pid))
	kit.Must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
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
