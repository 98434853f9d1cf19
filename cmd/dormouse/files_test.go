package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A configuration that is no regular file, or far too large, is an error of each
// command that reads it, and the daemon keeps the one it has.
func TestConfigurationWithoutAnEnd(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	p.write("web.yml", "")
	p.start("--web.config.file=web.yml")
	pid := p.pid()
	for _, name := range []string{"dormouse.yml", "web.yml"} {
		path := filepath.Join(p.dir, name)
		content := p.read(name)
		for _, tt := range []struct {
			want    string
			replace func() error
		}{
			{name + " is a pipe: it has to be a regular file", func() error { return unix.Mkfifo(path, 0o644) }},
			{name + " has more than 1048576 bytes", func() error {
				return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 95_000_000))
			}},
		} {
			if err := errors.Join(os.Remove(path), tt.replace()); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"reload"}, {"check", "--config.file=dormouse.yml", "--web.config.file=web.yml"},
				append([]string{"restart", "--web.config.file=web.yml"}, simulated...),
			} {
				if _, stderr, code := p.run(args...); code != exitConfig || !strings.Contains(stderr, tt.want) {
					t.Errorf("%s: exit status %d, want %d and %q in\n%s", args[0], code, exitConfig, tt.want, stderr)
				}
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		p.write(name, content)
	}
	p.must("reload")
	if now := p.pid(); now != pid {
		t.Errorf("process %d became %d", pid, now)
	}
}
