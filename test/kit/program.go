package kit

import (
	"os/exec"
	"path"
	"path/filepath"
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
