package daemon

import (
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestIdentityIsNoneByDefault(t *testing.T) {
	who, err := New("x").identity()
	if who != nil || err != nil {
		t.Errorf("got %+v, %v", who, err)
	}
	c := New("x")
	c.AmbientCapabilities = []uintptr{35}
	if _, err := c.identity(); err == nil || !strings.Contains(err.Error(), "set User") {
		t.Errorf("ambient capabilities without a user: %v", err)
	}
}

func TestIdentityErrors(t *testing.T) {
	for _, tt := range []struct{ user, group, want string }{
		{"no-such-user-here", "", `user "no-such-user-here"`},
		{"no-such-user-here", "", "useradd --system no-such-user-here"},
		{"", "no-such-group-here", "groupadd --system no-such-group-here"},
		{"3999999", "", "set the group too"},
		{"4294967295", "0", "unchanged"},
	} {
		c := New("x")
		c.User, c.Group = tt.user, tt.group
		if _, err := c.identity(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:%s: %v, want %q in it", tt.user, tt.group, err, tt.want)
		}
	}
}

func TestIdentityGroups(t *testing.T) {
	root, err := user.LookupId("0")
	if err != nil {
		t.Fatal(err)
	}
	tty, err := user.LookupGroup("tty")
	if err != nil {
		t.Fatal(err)
	}
	gid, err := number(tty.Gid)
	if err != nil {
		t.Fatal(err)
	}
	c := New("x")
	c.SupplementaryGroups = []string{"tty", "no-such-group-here", "tty"}
	got, err := c.groups(root, 12345)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got, gid) || !slices.Contains(got, 12345) || !slices.Contains(got, 0) || !slices.IsSorted(got) {
		t.Errorf("groups %v, want root's, 12345 and tty's %d, sorted", got, gid)
	}
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("a group twice: %v", got)
	}
	c.InitGroups = false
	if got, err = c.groups(root, 12345); err != nil || !slices.Equal(got, []uint32{gid, 12345}) {
		t.Errorf("without the user's own: %v, %v", got, err)
	}
}

func TestBecomingOneself(t *testing.T) {
	c := New("x")
	c.User, c.Group = strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getgid())
	who, err := c.identity()
	if err != nil {
		t.Fatal(err)
	}
	if root := os.Getuid() == 0; (who != nil) != root {
		t.Errorf("as user %d: %+v; only root has something to give up", os.Getuid(), who)
	}
}

func TestEnvironmentIsCleaned(t *testing.T) {
	c := New("x")
	c.KeepEnvironment = []string{"MINE"}
	c.Environment = []string{"GOGC=50"}
	in := []string{"HOME=/mnt/drive", "PATH=/mnt/drive/bin", "TMPDIR=/mnt/drive/tmp", "LC_ALL=C", "LD_PRELOAD=/x", "MINE=1", "GOGC=100", "SSH_AUTH_SOCK=/x", stageVariable + "=daemon:3", "TZ=UTC", "XDG_RUNTIME_DIR=/run/user/0"}
	got := c.cleanEnvironment(in, &identity{Name: "dora", Home: "/home/dora"})
	want := []string{"LC_ALL=C", "MINE=1", "TZ=UTC", "PATH=" + safePath, "HOME=/home/dora", "LOGNAME=dora", "USER=dora", "GOGC=50"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got = c.cleanEnvironment(in, nil)
	home := "HOME=/" // of a user without an account
	if me, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		home = "HOME=" + me.HomeDir
	}
	if !slices.Contains(got, home) || slices.Contains(got, "HOME=/mnt/drive") {
		t.Errorf("got %q, want %s", got, home)
	}
	c.KeepEnvironment = []string{"HOME", "PATH"}
	if got := c.cleanEnvironment(in, nil); !slices.Contains(got, "HOME=/mnt/drive") || !slices.Contains(got, "PATH=/mnt/drive/bin") || slices.Contains(got, home) {
		t.Errorf("kept on request: %q", got)
	}
	got = c.withSettings([]string{"A=b", "GOGC=1"})
	if !slices.Equal(got, []string{"A=b", "GOGC=50"}) {
		t.Errorf("got %q", got)
	}
	if c.hasSettings() {
		t.Error("GOGC=50 isn't set")
	}
	t.Setenv("GOGC", "50")
	if !c.hasSettings() {
		t.Error("GOGC=50 is set")
	}
}

func TestMay(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	for _, tt := range []struct {
		mode os.FileMode
		who  identity
		want bool
	}{
		{0o400, identity{UID: uid + 1, GID: gid + 1}, false},
		{0o404, identity{UID: uid + 1, GID: gid + 1}, true},
		{0o044, identity{UID: uid + 1, GID: gid}, true},
		{0o004, identity{UID: uid + 1, GID: gid}, false},
		{0o040, identity{UID: uid + 1, GID: gid + 1, Groups: []uint32{gid}}, true},
		{0, identity{UID: 0}, true},
	} {
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := tt.who.may(file, 4); (err == nil) != tt.want {
			t.Errorf("%v by %+v: %v", tt.mode, tt.who, err)
		}
	}
	who := identity{UID: uid + 1}
	if err := who.may(filepath.Join(dir, "none"), 4); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	if err := New("x").Readable("/none"); err != nil {
		t.Errorf("without a user nothing changes: %v", err)
	}
}
