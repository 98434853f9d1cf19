//go:build system

package arm

import (
	"os/exec"
	"regexp"
	"slices"
	"testing"

	"example.org/dormouse/sensors/sensortest"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// TestTheUnitTestsPassOn32BitARM runs unit tests as ARMv6 code in QEMU's user
// mode: those of all packages but the ones that test/pi runs on a Pi Zero's
// kernel, and but those of cmd/dormouse, each of which starts the binary that it
// has built, which the host's kernel can't execute (TestReleaseBinaries runs
// that one in QEMU), and of test/howto, which runs `go test`.
func TestTheUnitTestsPassOn32BitARM(t *testing.T) {
	qemu, err := rig.QEMUUser(t.Context(), "arm")
	kit.Must(t, err)
	elsewhere := append(kit.Packages(t, kit.OnTheZero...), "cmd/dormouse", "test/howto")
	args := []string{"test", "-trimpath", "-exec=" + qemu, "-timeout=25m"}
	packages := 0
	for _, p := range kit.Packages(t, "./...") {
		if !slices.Contains(elsewhere, p) {
			args = append(args, "./"+p)
			packages++
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = kit.Source(".")
	cmd.Env = append(rig.Zero.Environ(), sensortest.ThinVariable+"=8")
	out, err := cmd.CombinedOutput()
	passed := len(regexp.MustCompile(`(?m)^ok\s`).FindAll(out, -1))
	if err != nil || passed != packages || packages < 10 {
		t.Errorf("%d of %d packages passed: %v\n%s", passed, packages, err, out)
	}
}
