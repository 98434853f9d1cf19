package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCheckFindsWhatOpenWouldFail(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"file", "pid", "other"} {
		if err := os.WriteFile(path(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("file", path("link")), os.Link(path("other"), path("hard")), os.Mkdir(path("directory"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		set         func(c *Context)
		field, want string
	}{
		{"nothing", func(c *Context) {}, "", ""},
		{"what is there", func(c *Context) {
			c.PIDFile, c.Directories, c.WorkingDirectory = path("pid"), []string{dir}, dir
		}, "", ""},
		{"what can be made", func(c *Context) {
			c.PIDFile, c.Directories = path("new/pid"), []string{path("a/b/c")}
		}, "", ""},
		{"a name that is a path", func(c *Context) { c.Name = "a/b" }, "Name", "plain name"},
		{"no such user", func(c *Context) { c.User = "no-such-user-here" }, "User", "useradd"},
		{"no such group", func(c *Context) { c.Group = "no-such-group-here" }, "Group", "groupadd"},
		{"no working directory", func(c *Context) { c.WorkingDirectory = path("none") }, "WorkingDirectory", "no such file"},
		{"a file as working directory", func(c *Context) { c.WorkingDirectory = path("file") }, "WorkingDirectory", "not a directory"},
		{"no root directory", func(c *Context) { c.ChrootDirectory = path("none") }, "ChrootDirectory", "no such file"},
		{"below a file", func(c *Context) { c.Directories = []string{path("file/a")} }, "Directories", "not a directory"},
		{"a file as directory", func(c *Context) { c.Directories = []string{path("file")} }, "Directories", "not a directory"},
		{"a pidfile two levels away", func(c *Context) { c.PIDFile = path("a/b/pid") }, "PIDFile", "no such file"},
		{"a pidfile below a file", func(c *Context) { c.PIDFile = path("file/pid") }, "PIDFile", "not a directory"},
		{"a symbolic link", func(c *Context) { c.PIDFile = path("link") }, "PIDFile", "symbolic link"},
		{"a hard link", func(c *Context) { c.PIDFile = path("hard") }, "PIDFile", "hard link"},
		{"a directory as pidfile", func(c *Context) { c.PIDFile = path("directory") }, "PIDFile", "is a directory"},
	} {
		c := New("x")
		tt.set(c)
		err := c.Check()
		field, _ := errors.AsType[*FieldError](err)
		switch {
		case tt.field == "" && err != nil, tt.field != "" && (field == nil || field.Field != tt.field), err != nil && !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, want %q of field %q", tt.name, err, tt.want, tt.field)
		}
	}
	for _, name := range []string{"new", "a"} {
		if _, err := os.Lstat(path(name)); !os.IsNotExist(err) {
			t.Errorf("%s was made: %v", name, err)
		}
	}
}

// Only root could write there.
func TestCheckWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 { // whom no mode keeps out
		if err := canWrite("/proc/self/none"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("got %v", err)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	c := New("x")
	for _, set := range []func(){
		func() { c.PIDFile, c.Directories = filepath.Join(dir, "pid"), nil },
		func() { c.PIDFile, c.Directories = filepath.Join(dir, "new", "pid"), nil },
		func() { c.PIDFile, c.Directories = "", []string{filepath.Join(dir, "a", "b")} },
	} {
		set()
		if err := c.Check(); !errors.Is(err, syscall.EACCES) {
			t.Errorf("%+v, %v: %v, want EACCES", c.PIDFile, c.Directories, err)
		}
	}
}
