//go:build system

package pi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// The sensors that QEMU models on I2C bus 1, by the ids by which their values
// are set.
var addresses = map[string]string{
	"tmp105":  "0x48", // one thermometer, as a TMP75
	"tmp421":  "0x4c", // its own and a remote one
	"emc1413": "0x4d", // its own and two remote ones, in whole degrees from 0 on
	"ds1338":  "0x68", // a clock chip
}

// releases builds what ships, once for each model.
var releases = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "dormouse-pi-") })

// release is the binary for a model, as make build makes it.
func release(m rig.Model) (string, error) {
	dir, err := releases()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, m.Name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	build := exec.Command("make", "-s", "executable", "OUT="+path)
	build.Dir = kit.Source(".")
	build.Env = m.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make executable for %s: %w\n%s", m.Name, err, out)
	}
	return path, nil
}

func TestMain(m *testing.M) {
	status := m.Run()
	if dir, err := releases(); err != nil || os.RemoveAll(dir) != nil {
		fmt.Fprintln(os.Stderr, "the binaries are left in", dir, err)
		status = 1
	}
	os.Exit(status)
}

// A bench is a Pi with dormouse on it and the sensors connected.
type bench struct {
	*kit.Machine
	pi *rig.Pi
	// booted is what the lines were after the boot.
	booted []rig.Function
}

// Where programs are on it.
const (
	program     = "usr/bin/dormouse"
	wireProgram = "usr/bin/wire"
)

// newBench boots a Pi for a test and its subtests, and ends it with the test.
func newBench(t *testing.T, model rig.Model, o rig.Options) *bench {
	t.Helper()
	binary, err := release(model)
	kit.Must(t, err)
	wire := filepath.Join(t.TempDir(), "wire")
	kit.Must(t, model.Build(t.Context(), wire, "test/pi/wire"))
	files := map[string]string{program: binary, wireProgram: wire}
	maps.Copy(files, o.Files)
	o.Files = files
	o.QEMU = append(o.QEMU, "-device", flash)
	for id, address := range addresses {
		o.QEMU = append(o.QEMU, "-device", fmt.Sprintf("%s,id=%[1]s,bus=i2c-bus.1,address=%s", id, address))
	}
	p, err := rig.BootPi(t.Context(), model, o)
	kit.Must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			log, err := p.KernelLog(context.WithoutCancel(t.Context()))
			t.Logf("the kernel's log (%v):\n%s", err, log[max(0, len(log)-4000):])
		}
		kit.Must(t, p.Close())
	})
	b := &bench{Machine: &kit.Machine{Machine: p.Machine}, pi: p}
	kit.Must(t, p.LoadDrivers(t.Context()))
	b.booted, err = p.Functions(t.Context())
	kit.Must(t, err)
	return b
}

// set sets what a sensor measures, in 1/1000 °C.
func (b *bench) set(t *testing.T, sensor, property string, millidegrees int) {
	t.Helper()
	kit.Must(t, b.pi.SetProperty(t.Context(), "/machine/peripheral/"+sensor, property, millidegrees))
}

// changed lists the lines whose function isn't what it was before.
func (b *bench) changed(t testing.TB, before []rig.Function) string {
	t.Helper()
	now, err := b.pi.Functions(context.WithoutCancel(t.Context()))
	kit.Must(t, err)
	var changed []string
	for n, f := range now {
		if f != before[n] {
			changed = append(changed, fmt.Sprintf("GPIO%d was %s and is %s", n, before[n], f))
		}
	}
	return strings.Join(changed, ", ")
}

// run runs a subtest, which may leave no line other than it was after the boot.
func (b *bench) run(t *testing.T, name string, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		test(t, b)
		if changed := b.changed(t, b.booted); changed != "" {
			t.Errorf("after the test %s", changed)
		}
	})
}
