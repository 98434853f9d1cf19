//go:build system

package pi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// notOnTheZero are the tests that can't run there, and why.
var notOnTheZero = map[string]map[string]string{
	"daemon": {
		"TestExamplesInAModuleOfTheirOwn": "builds programs, and no Go is on the machine",
		"TestDocumentCommands":            "types the commands of docs/daemon.md, which are for a distribution's programs, not busybox's",
	},
	"sensors/poll": {
		"TestAMonthOfTasks": "makes some 20,000 runs, minutes of emulation: it is the agenda's and the calendar's arithmetic, which TestAYear has",
	},
}

// source is where the repository is on the machine.
const source = "usr/src/dormouse/"

// TestUnits runs the unit tests of kit.OnTheZero on the Zero, those included that
// execute themselves, which QEMU's user mode can't. The machine's time is that of
// a processor of 1000 million instructions a second, about the real one's; what
// nobody computes takes none of the host's.
func TestUnits(t *testing.T) {
	turn(t, 130*time.Second)
	packages := kit.Packages(t, kit.OnTheZero...)
	dir := t.TempDir()
	files := map[string]string{}
	args := []string{"test", "-c", "-tags=timetzdata", "-trimpath", "-ldflags=-s -w", "-o", dir + "/"}
	for _, p := range packages {
		args = append(args, "./"+p)
		files[source+p+"/units"] = filepath.Join(dir, path.Base(p)+".test")
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir, build.Env = kit.Source("."), rig.Zero.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	// Some tests read the sources or the documents.
	for _, dir := range append(packages, "docs") {
		entries, err := os.ReadDir(kit.Source(dir))
		kit.Must(t, err)
		for _, e := range entries {
			if e.Type().IsRegular() {
				files[source+dir+"/"+e.Name()] = filepath.Join(kit.Source(dir), e.Name())
			}
		}
	}
	p, err := rig.BootPi(t.Context(), rig.Zero, rig.Options{Files: files, QEMU: []string{"-icount", "shift=0,sleep=off"}})
	kit.Must(t, err)
	defer func() { kit.Must(t, p.Close()) }()
	// A clock that is right, for certificates and time zones, and an account that
	// isn't root's.
	kit.Do(t, p.Machine, "date", "-s", fmt.Sprintf("@%d", time.Now().Unix()))
	kit.Do(t, p.Machine, "sh", "-c", "echo daemon:x:1:1:daemon:/:/bin/false >>/etc/passwd; echo tty:x:5: >>/etc/group")
	for _, pkg := range packages {
		t.Run(pkg, func(t *testing.T) { unitsOf(t, p, pkg) })
	}
}

// passed finds the tests that passed in the output of -test.v, not subtests.
var passed = regexp.MustCompile(`(?m)^--- PASS: (\S+)`)

// unitsOf runs one package's tests: all that the binary lists but the exceptions
// pass, and none is skipped.
func unitsOf(t *testing.T, p *rig.Pi, pkg string) {
	listed := strings.Fields(units(t, p, pkg, "-test.list=^(Test|Fuzz|Example)"))
	except := slices.Sorted(maps.Keys(notOnTheZero[pkg]))
	args := []string{"-test.v", "-test.timeout=1h"}
	if len(except) > 0 {
		args = append(args, "-test.skip=^("+strings.Join(except, "|")+")$")
	}
	out := units(t, p, pkg, args...)
	var ran []string
	for _, m := range passed.FindAllStringSubmatch(out, -1) {
		ran = append(ran, m[1])
	}
	slices.Sort(ran)
	want := slices.DeleteFunc(slices.Sorted(slices.Values(listed)), func(name string) bool { return slices.Contains(except, name) })
	if !slices.Equal(ran, want) || len(want)+len(except) != len(listed) || len(want) == 0 || strings.Contains(out, "--- SKIP") {
		t.Errorf("%q passed, of %q without %q:\n%s", ran, listed, except, out)
	}
}

// units runs a package's test binary in the package's directory, and returns
// what it prints.
func units(t *testing.T, p *rig.Pi, pkg string, args ...string) string {
	t.Helper()
	// An hour of the machine's own time, in which nothing that waits takes long.
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	process, err := p.Start(ctx, rig.Command{
		Argv: append([]string{"./units"}, args...), Dir: "/" + source + pkg,
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "TMPDIR=/var/tmp"},
	}, nil)
	kit.Must(t, err)
	begun := time.Now()
	exit, err := process.Wait(ctx)
	kit.Must(t, err)
	t.Logf("%s %s took %s", pkg, args[0], time.Since(begun).Round(time.Second/10))
	if exit.Status != 0 {
		t.Errorf("%s %q: exit status %d, signal %d: %s", pkg, args, exit.Status, exit.Signal, exit.Stderr)
	}
	return string(exit.Stdout)
}
