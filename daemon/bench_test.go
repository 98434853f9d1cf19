package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkStart measures from the command that is typed to its end, when the
// daemon is ready, and what memory the daemon has then. The test binary is about
// as large as a release binary.
func BenchmarkStart(b *testing.B) {
	for _, release := range []Release{ReleaseNever, ReleaseAlways} {
		b.Run("release="+string(release), func(b *testing.B) {
			var took time.Duration
			kB := map[string]float64{}
			for b.Loop() {
				h := &helper{t: b, dir: b.TempDir()}
				h.pidFile = h.dir + "/pid"
				h.plan.Context = *New("helper")
				h.plan.PIDFile, h.plan.DetachProcess, h.plan.ReleaseExecutable = h.pidFile, DetachAlways, release
				cmd := h.command()
				begin := time.Now()
				out, code := h.runCommand(cmd)
				took += time.Since(begin)
				pid := h.ready(out, code)
				status, err := readStatus(fmt.Sprintf("/proc/%d/status", pid))
				if err != nil {
					b.Fatal(err)
				}
				for _, key := range []string{"VmRSS", "RssAnon", "RssFile", "RssShmem"} {
					var n float64
					if _, err := fmt.Sscan(strings.TrimSuffix(status[key], " kB"), &n); err != nil {
						b.Fatal(err)
					}
					kB[key] += n
				}
				h.stop()
				if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
					b.Errorf("the pidfile is left: %v", err)
				}
			}
			b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms/start")
			for key, sum := range kB {
				b.ReportMetric(sum/float64(b.N), key+"-kB")
			}
		})
	}
}
