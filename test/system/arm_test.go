//go:build system

package system

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

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
