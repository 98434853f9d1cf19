//go:build system

package system

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

func TestMain(m *testing.M) { kit.Main(m) }

// releases makes what ships, from nothing, since an old binary must not pass for
// it, and returns the directory.
var releases = sync.OnceValues(func() (string, error) {
	// A directory of its own: other packages' tests make packages in dist meanwhile.
	build := exec.Command("make", "clean", "build", "DIST=dist/system")
	build.Dir = kit.Source(".")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make clean build: %w\n%s", err, out)
	}
	return kit.Source("dist/system"), nil
})

// binary is the release that this machine and the guest run.
func binary() (string, error) {
	dir, err := releases()
	return filepath.Join(dir, "dormouse-linux-amd64"), err
}

// later does something when the test ends, or as soon as the returned function
// is called: what a test changes on the bench it puts right again.
func later(t *testing.T, do func(context.Context) error) (now func()) {
	var once sync.Once
	now = func() {
		t.Helper()
		once.Do(func() {
			// The test's own context has ended before its cleanups run.
			if err := do(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(now)
	return now
}

// The addresses and lines of the bench.
const (
	bmp280Address = 0x76 // the data sheet's worked example: 25.08 °C, 100653.27 Pa
	railedAddress = 0x77 // the same chip again, supplied by railLine
	lm75Address   = 0x48 // −25.0 °C
	tmp102Address = 0x49 // −10.125 °C

	railLine = 17
	lowRail  = 18 // a supply that a low level switches on; pulled up
	rainLine = 22
	doorLine = 27
	heldLine = 5
)

// frost is the thermometer on the 1-Wire bus, at −10.125 °C.
var frost = rig.DS18B20{Serial: 0x0316a2793aff, Sixteenths: -162}

// bench is the machine that the tests share, with everything connected. Each
// test leaves it as it was.
type bench struct {
	*kit.Machine
	header  *rig.GPIOChip
	bus     *rig.I2CBus
	onewire *rig.OneWireBus
}

// theBench is booted by the first test that needs it.
var theBench = sync.OnceValues(func() (*bench, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	b := &bench{}
	return b, kit.Share(path, func(ctx context.Context, m *kit.Machine) error {
		b.Machine = m
		return b.connect(ctx)
	})
})

func (b *bench) connect(ctx context.Context) (err error) {
	if b.header, err = b.AddHeader(ctx); err != nil {
		return err
	}
	// Dormouse's default is bus 1, so let it be another: the number must count.
	if b.bus, err = b.AddI2CBus(ctx); err != nil {
		return err
	}
	if b.onewire, err = b.AddOneWireBus(ctx, frost); err != nil {
		return err
	}
	return errors.Join(
		b.bus.AddChip(ctx, bmp280Address, i2c.BMP280()),
		b.bus.AddPoweredChip(ctx, railedAddress, i2c.BMP280(), b.header, railLine),
		b.bus.AddChip(ctx, lm75Address, i2c.LM75(-50)),
		b.bus.AddChip(ctx, tmp102Address, i2c.TMP102(-162)),
		b.header.SetPull(ctx, lowRail, true),
		b.Modprobe(ctx, "bmp280-i2c", ""),
		b.Modprobe(ctx, "lm75", ""),
	)
}

// newBench gives a test the machine; when the test fails its log is shown.
func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := theBench()
	kit.Must(t, err)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		log, err := b.KernelLog(context.WithoutCancel(t.Context()))
		if len(log) > 4000 {
			log = "…" + log[len(log)-4000:]
		}
		t.Logf("the kernel's log (%v):\n%s", err, log)
	})
	return b
}

// logged counts the lines of the log that hold all the words.
func logged(d *kit.Daemon, words ...string) int {
	n := 0
lines:
	for line := range strings.Lines(d.Log()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue lines
			}
		}
		n++
	}
	return n
}

// checkPage checks series of a page for their values, to within a hundred-millionth
// part.
func checkPage(t testing.TB, p kit.Page, series map[string]float64) {
	t.Helper()
	for name, want := range series {
		got, ok := p.Value(name)
		if diff := got - want; !ok || diff > 1e-8*max(want, -want) || diff < -1e-8*max(want, -want) {
			t.Errorf("%s is %v (there: %t), want %v", name, got, ok, want)
		}
	}
}
