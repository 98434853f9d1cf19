//go:build system

package gpio

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

func TestMain(m *testing.M) { kit.Main(m) }

// bench is the machine that the tests share: a header, and an expander that can
// be pulled out. Each test leaves it as it was.
type bench struct {
	*kit.Machine
	header, expander *rig.GPIOChip
}

var (
	theBench  bench
	benchOnce sync.Once
	errBench  = errors.New("dormouse can't be built: the first test says why")
)

// newBench boots the machine for the first test. The binary is the release's:
// the runtime of another wakes each minute, whatever the lines do.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &theBench
	benchOnce.Do(func() {
		binary := kit.Executable(t, "./cmd/dormouse")
		errBench = kit.Share(binary, func(ctx context.Context, m *kit.Machine) (err error) {
			b.Machine = m
			if b.header, err = m.AddHeader(ctx); err != nil {
				return err
			}
			b.expander, err = m.AddGPIOChip(ctx, "expander", []string{"FLOAT", "PUMP_EN", "", ""})
			return err
		})
	})
	kit.Must(t, errBench)
	return b
}

// pulses makes n pulses on a line of the header, as fast as the guest can where
// the period is 0.
func (b *bench) pulses(t *testing.T, line, n int, period time.Duration) {
	t.Helper()
	_, err := b.header.Pulses(t.Context(), line, n, period)
	kit.Must(t, err)
}

// interrupts is how many interrupts the kernel itself has counted for the line
// that a consumer holds.
func (b *bench) interrupts(t *testing.T, consumer string) int {
	t.Helper()
	text, err := b.ReadFile(t.Context(), "/proc/interrupts")
	kit.Must(t, err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(strings.TrimSpace(line), " "+consumer) {
			continue
		}
		n, err := strconv.Atoi(strings.Fields(line)[1]) // of the one processor
		kit.Must(t, err)
		return n
	}
	t.Fatalf("%q holds no line with an interrupt:\n%s", consumer, text)
	return 0
}

// start detaches a daemon. Its configuration is a file, so that it may be
// reloaded.
func (b *bench) start(t *testing.T, yaml string) *kit.Daemon {
	t.Helper()
	return b.Daemon(t, b.Config(t, yaml))
}

// reload has the daemon read another configuration.
func (b *bench) reload(t *testing.T, d *kit.Daemon, yaml string) {
	t.Helper()
	b.Config(t, yaml)
	if _, stderr, status := b.Run(t, "reload", "--timeout=2m", "--pid-file="+d.PIDFile); status != 0 {
		t.Fatalf("reload: exit status %d: %s", status, stderr)
	}
	kit.Eventually(t, func() error {
		if !strings.Contains(d.Log(), "msg=reloaded") {
			return errors.New("it isn't reloaded")
		}
		return nil
	})
}

// isDown checks that a sensor is down, with these words in its error.
func isDown(t *testing.T, s exporter.SensorJSON, words ...string) {
	t.Helper()
	if *s.Up {
		t.Errorf("%s is up", s.Name)
	}
	for _, w := range words {
		if !strings.Contains(s.Error, w) {
			t.Errorf("%s says %q, which lacks %q", s.Name, s.Error, w)
		}
	}
}
