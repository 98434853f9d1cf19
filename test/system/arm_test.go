//go:build system

package system

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// notUnderQEMU is all that QEMU's user mode can't run, and why: whole packages,
// and files that the build tag "emulated" leaves out. The code is the same on
// ARM; what these tests look at is not there.
var notUnderQEMU = map[string]string{
	"cmd/dormouse":            "each test starts the ARM binary that it has built, which the host's kernel can't execute; TestReleaseBinaries runs that one in QEMU",
	"daemon/bench_test.go":    "starts itself again, an ARM program that the host's kernel can't execute",
	"daemon/children_test.go": "QEMU 7.2 answers prctl(PR_SET_CHILD_SUBREAPER) with EINVAL",
	"daemon/copy_test.go":     "executes copies of itself",
	"daemon/helper_test.go":   "how the others start themselves again",
	"daemon/holder_test.go":   "asks a socket for the process at its other end, which is QEMU",
	"daemon/hostile_test.go":  "starts itself again",
	"daemon/inplace_test.go":  "starts itself again",
	"daemon/start_test.go":    "starts itself again, and reads /proc/self/stat, which QEMU makes up",
	"daemon/stranger_test.go": "builds and starts another ARM program",

	"sensors/board/serial_linux_test.go": "QEMU 7.2 knows none of the ioctls for a terminal's exclusive use",
}

func TestTheUnitTestsPassOn32BitARM(t *testing.T) {
	qemu, err := rig.QEMUUser(t.Context(), "arm")
	kit.Must(t, err)
	goTool := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = kit.Source(".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm", "GOARM=6", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const module = "example.org/dormouse/"
	list := func(format string, tags ...string) []string {
		t.Helper()
		out, err := goTool(slices.Concat([]string{"list", "-f", format}, tags, []string{"./..."})...)
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		return strings.Fields(strings.ReplaceAll(out, module, ""))
	}
	const tag = "-tags=emulated"
	packages := list("{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", tag)
	// What is left out is what the list above says, no more and no less.
	const ignored = "{{$p := .ImportPath}}{{range .IgnoredGoFiles}}{{$p}}/{{.}} {{end}}"
	usual := list(ignored)
	left := slices.DeleteFunc(list(ignored, tag), func(file string) bool { return slices.Contains(usual, file) })
	packages = slices.DeleteFunc(packages, func(p string) bool {
		_, out := notUnderQEMU[p]
		if out {
			left = append(left, p)
		}
		return out
	})
	slices.Sort(left)
	if listed := slices.Sorted(maps.Keys(notUnderQEMU)); !slices.Equal(left, listed) {
		t.Errorf("%q is left out, and the list says %q", left, listed)
	}

	args := []string{"test", tag, "-exec=" + qemu, "-timeout=4m"}
	for _, p := range packages {
		args = append(args, module+p)
	}
	out, err := goTool(args...)
	passed := len(regexp.MustCompile(`(?m)^ok\s`).FindAllString(out, -1))
	if err != nil || passed != len(packages) || len(packages) < 10 {
		t.Errorf("%d of %d packages passed: %v\n%s", passed, len(packages), err, out)
	}
}

func TestReleaseBinaries(t *testing.T) {
	dir, err := releases()
	kit.Must(t, err)
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
			path := filepath.Join(dir, "dormouse-linux-"+c.name)
			file, err := elf.Open(path)
			kit.Must(t, err)
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
			kit.Must(t, err)
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
