//go:build system

package pi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// products is the directory with what ships, made once by one make in a copy of
// the repository: the tests of other packages make theirs in dist meanwhile.
var products = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dormouse-pi-")
	if err != nil {
		return "", err
	}
	made = dir
	build := exec.Command("sh", "-ec", `git ls-files -z | xargs -0 cp --parents --no-dereference --target-directory="$0"
exec make -s -C "$0" dist/dormouse_armhf.deb dist/dormouse_arm64.deb dist/dormouse-linux-armv7 DEB_VERSION=0.0.1`, dir)
	build.Dir = kit.Source(".")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("making binaries and packages: %w\n%s", err, out)
	}
	return filepath.Join(dir, "dist"), nil
})

// made is what TestMain removes.
var made string

// release is the binary for a model, as make build makes it.
func release(t *testing.T, m rig.Model) string {
	t.Helper()
	dir, err := products()
	kit.Must(t, err)
	return filepath.Join(dir, map[string]string{rig.Zero.Name: "dormouse-linux-armv6", rig.Two.Name: "dormouse-linux-armv7", rig.Three.Name: "dormouse-linux-arm64"}[m.Name])
}

func TestMain(m *testing.M) {
	kit.Pace = 200 * time.Millisecond // a look at a file takes 30 ms of the Zero's processor
	if err := allParallel(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if err := os.RemoveAll(made); err != nil {
		fmt.Fprintln(os.Stderr, "the binaries are left:", err)
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
	wire := filepath.Join(t.TempDir(), "wire")
	kit.Must(t, model.Build(t.Context(), wire, "test/pi/wire"))
	files := map[string]string{program: release(t, model), wireProgram: wire}
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

// patient gives each sensor of a command line that says nothing else two minutes:
// ten seconds, the default, are few for a read on a processor that is emulated
// beside other machines. The first look at a line alone goes through all of the
// device tree.
func patient(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		if strings.HasPrefix(a, "--sensor=") && !strings.Contains(a, ",timeout=") {
			args[i] += ",timeout=2m"
		}
	}
	return args
}

// Daemon and Run are the machine's, of patient sensors.
func (b *bench) Daemon(t testing.TB, args ...string) *kit.Daemon {
	t.Helper()
	return b.Machine.Daemon(t, patient(args)...)
}

func (b *bench) Run(t testing.TB, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return b.Machine.Run(t, patient(args)...)
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
