// Package howto follows docs/drivers-howto.md to the letter.
package howto

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const source = "../.."

// TestDriversHowto adds the document's driver to a copy of the source: two files
// written by hand, then the commands. It builds, passes the tests that the
// document names, is listed, offered by scan, and drawn.
func TestDriversHowto(t *testing.T) {
	text, err := os.ReadFile(source + "/docs/drivers-howto.md")
	if err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile("(?s)`([a-z0-9_/]+\\.go)`:\n\n```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(string(text))
	if len(files) != 2 || commands == nil {
		t.Fatalf("the document has %d files to be written, and should have two: the driver's and its case's", len(files))
	}
	dir := t.TempDir()
	copySource(t, dir)
	before := contents(t, dir)
	for _, f := range files {
		if _, ok := before[f[1]]; ok {
			t.Fatalf("%s exists already: the document changes a file instead of adding one", f[1])
		}
		if err := os.WriteFile(filepath.Join(dir, f[1]), []byte(f[2]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	printed := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(commands[1]), "\n") {
		printed[line] = run(t, dir, line)
	}
	for command, want := range map[string][]string{
		"make generate":           {"ok"},
		"./dormouse drivers":      {"Example XMP100", "0x6b", "power"},
		"./dormouse check":        {"xmp100", "I2C bus 1, address 0x6b, power GPIO17 (pin 11)"},
		"./dormouse pinout":       {"SDA of I2C bus 1: lab", "GPIO3 ●", "power of lab"},
		"go test ./sensors/all -": {"ok"},
	} {
		i := slices.IndexFunc(strings.Split(strings.TrimSpace(commands[1]), "\n"), func(l string) bool { return strings.HasPrefix(l, command) })
		if i < 0 {
			t.Errorf("the document doesn't give the command %q", command)
			continue
		}
		got := printed[strings.Split(strings.TrimSpace(commands[1]), "\n")[i]]
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: there is no %q in\n%s", command, w, got)
			}
		}
	}
	if list := run(t, dir, "./dormouse drivers"); !strings.Contains(list, "xmp100") {
		t.Errorf("the driver isn't listed:\n%s", list)
	}
	after := contents(t, dir)
	for name, was := range before {
		if after[name] != was && name != "docs/sensors.md" {
			t.Errorf("%s has changed: only docs/sensors.md is generated", name)
		}
	}
	if !strings.Contains(after["docs/sensors.md"], "## xmp100\n") {
		t.Error("docs/sensors.md doesn't describe the driver")
	}
}

// run runs a line of the document's shell.
func run(t *testing.T, dir, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	// This test may be run by make, whose flags aren't for the copy's.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "MAKE") || strings.HasPrefix(e, "MFLAGS") || strings.HasPrefix(e, "TESTFLAGS")
	})
	// Vet has looked at the source already, and nobody debugs these programs.
	cmd.Env = append(cmd.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -vet=off -ldflags=-w"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// copied are what the commands need of the source.
var copied = []string{"Makefile", "go.mod", "go.sum", "cmd", "daemon", "docs", "examples", "exporter", "sensors"}

func copySource(t *testing.T, dir string) {
	t.Helper()
	for _, name := range copied {
		err := filepath.WalkDir(filepath.Join(source, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(source, path)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, relative)
			if d.IsDir() {
				return os.MkdirAll(to, 0o755)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, data, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// contents are those of all files, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
