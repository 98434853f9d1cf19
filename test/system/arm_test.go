//go:build system

package system

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/rig"
)

// notUnderQEMU lists all tests that QEMU's user mode can't run, and why. The
// code is the same on ARM; what these tests look at is not there.
var notUnderQEMU = []struct {
	pkg, why string
	tests    []string // nil: all of the package
}{
	{
		pkg: "cmd/dormouse",
		why: "each starts the ARM binary that it has built, which the host's kernel can't execute; TestReleaseBinaries runs it in QEMU",
	},
	{
		pkg: "daemon",
		why: "they start their own test binary again, or a program that they build, for ARM, which the host's kernel can't execute",
		tests: []string{
			"TestStartIsReady", "TestRunsFromMemory", "TestAutoDoesNotCopyWhatStays", "TestCopyToDisk", "TestCopyToMemory",
			"TestHostileStart", "TestHostileStartWithClosedStandardStreams", "TestTerminalHangsUp", "TestNeverAcquiresATerminal",
			"TestStartFails", "TestStartInterrupted", "TestExplain", "TestFilesArePreserved", "TestEnvironmentSettings",
			"TestWorkingDirectoryCannotBeEntered", "TestForegroundIsClean", "TestForegroundWithPIDFile", "TestForegroundCleanAlready",
			"TestForegroundFails", "TestSupervisorIsNotified", "TestSocketsFromSupervisor", "TestSuperserver", "TestBrokenPipe",
			"TestForegroundTerminalHangsUp", "TestSecondStartIsRefused", "TestPIDFileRemovedByHand", "TestFiveStartsAtOnce",
			"TestStaleAndReusedPID", "TestKilledThenStarted", "TestPIDFileOfAnotherKind", "TestPIDFileWithoutDirectory",
			"TestBurstOfSignals", "TestStopOfAStoppedDaemon", "TestTerminateWhileStarting", "TestExampleInAModuleOfItsOwn",
		},
	},
	{
		pkg:   "daemon",
		why:   "QEMU 7.2 doesn't know prctl(PR_SET_CHILD_SUBREAPER) and answers EINVAL",
		tests: []string{"TestReaperTakesStrangersOnly"},
	},
	{
		pkg:   "daemon",
		why:   "QEMU makes up /proc/self/stat, with 0 for the group and the session",
		tests: []string{"TestReadStat"},
	},
}

// moduleRoot is the directory of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

func TestTheUnitTestsPassOn32BitARM(t *testing.T) {
	qemu, err := rig.QEMUUser(t.Context(), "arm")
	must(t, err)
	root := moduleRoot(t)
	goTool := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm", "GOARM=6", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const module = "example.org/dormouse/"
	skipped, whole := map[string][]string{}, []string{}
	for _, n := range notUnderQEMU {
		if n.tests == nil {
			whole = append(whole, module+n.pkg)
		}
		skipped[module+n.pkg] = append(skipped[module+n.pkg], n.tests...)
	}
	out, err := goTool("list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	must(t, err)
	packages := slices.DeleteFunc(strings.Fields(out), func(p string) bool { return slices.Contains(whole, p) })

	for _, p := range packages {
		if len(skipped[p]) == 0 {
			continue
		}
		// An entry that names nothing would hide that its test has moved.
		existing, err := exec.Command("go", "test", "-list", ".", p).CombinedOutput()
		if err != nil {
			t.Fatalf("listing the tests of %s: %v\n%s", p, err, existing)
		}
		for _, name := range skipped[p] {
			if !slices.Contains(strings.Fields(string(existing)), name) {
				t.Errorf("%s has no %s: take it out of notUnderQEMU", p, name)
			}
		}
	}
	var rest []string
	for _, p := range packages {
		if tests := skipped[p]; len(tests) > 0 {
			t.Run(strings.TrimPrefix(p, module), func(t *testing.T) {
				out, err := goTool("test", "-exec="+qemu, "-timeout=4m", "-skip=^("+strings.Join(tests, "|")+")$", p)
				if err != nil || !strings.HasPrefix(out, "ok ") {
					t.Errorf("%v\n%s", err, out)
				}
			})
			continue
		}
		rest = append(rest, p)
	}
	t.Run("all of the others", func(t *testing.T) {
		out, err := goTool(append([]string{"test", "-exec=" + qemu, "-timeout=4m"}, rest...)...)
		passed := len(regexp.MustCompile(`(?m)^ok\s`).FindAllString(out, -1))
		if err != nil || passed != len(rest) || len(rest) < 10 {
			t.Errorf("%d of %d packages passed: %v\n%s", passed, len(rest), err, out)
		}
	})
}

func TestReleaseBinaries(t *testing.T) {
	root := moduleRoot(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "make", "build")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	for _, c := range []struct {
		name    string
		class   elf.Class
		machine elf.Machine
		qemu    string // "": this machine itself
	}{
		{"armv6", elf.ELFCLASS32, elf.EM_ARM, "arm"},
		{"armv7", elf.ELFCLASS32, elf.EM_ARM, "arm"},
		{"arm64", elf.ELFCLASS64, elf.EM_AARCH64, "aarch64"},
		{"amd64", elf.ELFCLASS64, elf.EM_X86_64, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(root, "dist", "dormouse-linux-"+c.name)
			file, err := elf.Open(path)
			must(t, err)
			defer file.Close()
			if file.Class != c.class || file.Machine != c.machine || file.Type != elf.ET_EXEC {
				t.Errorf("%s is %s, %s, %s", path, file.Class, file.Machine, file.Type)
			}
			for _, p := range file.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("%s isn't static: it has a %s", path, p.Type)
				}
			}
			if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) != 0 {
				t.Errorf("%s needs %v (%v)", path, libraries, err)
			}
			runs(t, c.qemu, path)
		})
	}
}

// runs runs a release binary, by QEMU where the machine can't, up to a reading
// of the whole simulated board.
func runs(t *testing.T, qemu, path string) {
	t.Helper()
	home := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		argv := append([]string{path}, args...)
		if qemu != "" {
			program, err := rig.QEMUUser(t.Context(), qemu)
			must(t, err)
			argv = append([]string{program}, argv...)
		}
		var stderr bytes.Buffer
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%v: %v\n%s%s", args, err, out, stderr.Bytes())
		}
		return out
	}
	if out := run("--version"); !bytes.HasPrefix(out, []byte("dormouse, version ")) {
		t.Errorf("--version says %q", out)
	}
	drivers := string(run("drivers"))
	for _, name := range []string{"ads1115", "bme280", "command", "pulse", "sht4x", "switch", "thermal", "tmp102", "w1"} {
		if !regexp.MustCompile(`(?m)^\s*` + name + `\s`).MatchString(drivers) {
			t.Errorf("drivers doesn't list %s:\n%s", name, drivers)
		}
	}
	out := run("read", "--board=sim", "--format=json", "--pid-file="+home+"/none.pid", "--state.directory="+home,
		"--sensor=greenhouse=bme280,power=GPIO17,warmup=10ms", "--sensor=office=sht4x", "--sensor=cellar=tmp102",
		"--sensor=beds=ads1115,addr=0x4a", "--sensor=pond=w1", "--sensor=cpu=thermal",
		"--sensor=door=switch,pin=GPIO27", "--sensor=rain=pulse,pin=GPIO22", "--sensor=seven=command,argv=/bin/echo 7,output=number")
	var readings exporter.Readings
	if err := json.Unmarshal(out, &readings); err != nil || len(readings.Sensors) != 9 {
		t.Errorf("read says %s (%v)", out, err)
	}
	for _, s := range readings.Sensors {
		if s.Up == nil || !*s.Up || len(s.Readings) == 0 {
			t.Errorf("%s: %s", s.Name, s.Error)
		}
	}
}
