package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheckPlace(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{"own": 0o755, "group": 0o775, "all": 0o777, "sticky": 0o777 | os.ModeSticky} {
		for _, d := range []string{name, name + "/in"} {
			if err := os.Mkdir(path(d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path(name+"/pid"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path("own/open"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path("own/open"), 0o646); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": "own", "out": "own/../all/in", "absolute": path("all"), "loop": "loop", "dangling": "nowhere"} {
		if err := os.Symlink(target, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, want string }{
		{"own/pid", ""}, {"own/in/pid", ""}, {"own/missing/pid", ""}, {"sticky/pid", ""}, {"sticky/in/pid", ""}, {"link/pid", ""}, {"dangling/pid", ""},
		{"group/pid", path("group") + " has mode 0775"}, {"group/in/pid", path("group") + " has mode 0775"},
		{"all/pid", path("all") + " has mode 0777"}, {"own/open", path("own/open") + " has mode 0646"},
		{"out/pid", path("all") + " has mode 0777"}, {"absolute/pid", path("all") + " has mode 0777"},
		{"loop/pid", "too many levels of symbolic links"}, {"own/pid/below", "not a directory"},
	} {
		err := checkPlace(path(tt.name), []uint32{uint32(os.Getuid())})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestCheckOwner(t *testing.T) {
	for _, tt := range []struct {
		owner uint32
		mode  uint32
		want  string
	}{
		{0, unix.S_IFDIR | 0o755, ""}, {7, unix.S_IFREG | 0o644, ""}, {7, unix.S_IFLNK | 0o777, ""}, {0, unix.S_IFDIR | unix.S_ISVTX | 0o777, ""},
		{8, unix.S_IFDIR | 0o755, "belongs to user 8"}, {8, unix.S_IFREG | 0o600, "belongs to user 8"}, {8, unix.S_IFLNK | 0o777, "belongs to user 8"},
		{8, unix.S_IFDIR | unix.S_ISVTX | 0o777, "belongs to user 8"}, {7, unix.S_IFREG | unix.S_ISVTX | 0o622, "chmod go-w"},
	} {
		err := checkOwner("/place", &unix.Stat_t{Uid: tt.owner, Mode: tt.mode}, []uint32{0, 7})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("owner %d, mode %o: %v, want %q", tt.owner, tt.mode, err, tt.want)
		}
	}
}
