//go:build !emulated

package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example is what a stranger pastes: it has to build in a module of their
// own, and to work.
func TestExampleInAModuleOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(own), "\n")
	module := strings.TrimPrefix(line, "module ")
	for name, text := range map[string]string{
		"main.go": strings.NewReplacer("package daemon_test", "package main", "func Example()", "func main()").Replace(string(source)),
		"go.mod":  "module stranger.example\n\ngo 1.26.0\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n",
		"go.sum":  string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "counter")
	build := exec.Command("go", "build", "-mod=mod", "-o", program, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		args []string
		code int
		out  string
	}{
		{nil, 2, "usage: "},
		{[]string{"status"}, 3, "not running"},
		{[]string{"start"}, 0, "counting as process "},
		{[]string{"start"}, 1, "already running as process "},
		{[]string{"status"}, 0, "running as process "},
		{[]string{"reload"}, 0, ""},
		{[]string{"stop"}, 0, ""},
		{[]string{"status"}, 3, "not running"},
		{[]string{"stop"}, 1, "not running"},
	} {
		cmd := exec.Command(program, tt.args...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(string(out), tt.out) {
			t.Errorf("counter %v: %v\n%swant exit status %d and %q", tt.args, err, out, tt.code, tt.out)
		}
	}
}
