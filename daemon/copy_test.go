package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRunsFromMemory(t *testing.T) {
	h := newHelper(t)
	h.plan.ReleaseExecutable = ReleaseAlways
	h.mustStart()
	d := h.describe()
	if d.Copied != "memory" {
		t.Errorf("copied to %q", d.Copied)
	}
	exe := d.point(t, aboutExecutable).Evidence[0]
	if exe != "executable /memfd:helper (deleted)" {
		t.Errorf("it runs from %q", exe)
	}
}

func TestAutoDoesNotCopyWhatStays(t *testing.T) {
	h := newHelper(t)
	cmd := h.command()
	mount, err := MountOf(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	h.ready(h.runCommand(cmd))
	if d := h.describe(); (d.Copied == "") != mount.Stays() {
		t.Errorf("on %v: copied to %q", mount, d.Copied)
	}
}

func TestCopyToDisk(t *testing.T) {
	f, err := copyToDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if st.Nlink != 0 || st.Mode&0o777 != 0o555 {
		t.Errorf("%d names, mode %o; want none, 555", st.Nlink, st.Mode&0o777)
	}
	runs(t, f)
	if _, err := copyToDisk("/proc"); err == nil {
		t.Error("a copy in /proc")
	}
	if _, err := copyToDisk(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestCopyToMemory(t *testing.T) {
	f, err := copyToMemory("x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runs(t, f)
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the copy can be written")
	}
	original, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if copied.Size() >= original.Size() {
		t.Errorf("the copy has %d bytes of %d: symbols and debugging information too", copied.Size(), original.Size())
	}
}

// runs executes the copy, which lists this package's tests.
func runs(t *testing.T, f *os.File) {
	t.Helper()
	cmd := exec.Command("/proc/self/fd/3", "-test.list", "^TestCopyToMemory$")
	cmd.ExtraFiles = []*os.File{f}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "TestCopyToMemory") {
		t.Errorf("the copy doesn't run: %v, %s", err, out)
	}
}

func (d *description) point(t testing.TB, name string) Point {
	t.Helper()
	for _, p := range d.Inspection.Points {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no point %q", name)
	return Point{}
}
