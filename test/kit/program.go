package kit

import (
	"bytes"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"testing"
)

// Executable has the Makefile build a program of the repository, such as
// ./cmd/dormouse, with the release's flags; the result is the file.
func Executable(t testing.TB, pkg string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), path.Base(pkg))
	build := exec.Command("make", "-s", "executable", "OUT="+file, "PKG="+pkg)
	build.Dir = Source("")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return file
}

// Output is what a program has written so far. It may be read while the program
// writes.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
