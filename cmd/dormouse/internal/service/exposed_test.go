package service

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/exporter/web"
)

func TestExposed(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "open")
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, f := range []struct {
		name string
		mode os.FileMode
	}{
		{"good.yml", 0o644}, {"written.yml", 0o646}, {"web.yml", 0o640}, {"web-read.yml", 0o644}, {"open/x.yml", 0o644},
		{"key.pem", 0o604}, {"safe.pem", 0o660}, {"cert.pem", 0o644},
	} {
		if err := os.MkdirAll(filepath.Dir(path(f.name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(f.name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path(f.name), f.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	const key, cert, users = "-----BEGIN EC PRIVATE KEY-----\n", "-----BEGIN CERTIFICATE-----\n", "basic_auth_users: {prometheus: $2y$10$x}\n"
	for _, tt := range []struct {
		config string
		files  map[string]string
		mode   os.FileMode // of the directory "open"
		want   []string
	}{
		{config: "good.yml"},
		{config: "gone.yml"},
		{config: "written.yml", want: []string{"--config.file: every user can change DIR/written.yml: chmod o-w DIR/written.yml"}},
		{config: "open/x.yml", mode: 0o777, want: []string{"--config.file: every user can replace DIR/open/x.yml, because its directory is writable: chmod o-w DIR/open"}},
		{config: "open/x.yml", mode: 0o777 | os.ModeSticky},
		{files: map[string]string{"web.yml": users, "safe.pem": key, "cert.pem": cert}},
		{files: map[string]string{"web-read.yml": "tls_server_config: {}", "cert.pem": cert}},
		{files: map[string]string{"web-read.yml": users, "key.pem": key}, want: []string{
			"--web.config.file: every user can read DIR/key.pem, which holds a key or passwords: chmod o-r DIR/key.pem",
			"--web.config.file: every user can read DIR/web-read.yml, which holds a key or passwords: chmod o-r DIR/web-read.yml"}},
	} {
		if err := os.Chmod(sub, 0o755|tt.mode); err != nil {
			t.Fatal(err)
		}
		s, in := &Source{}, &Inputs{}
		if tt.config != "" {
			s.ConfigFile = path(tt.config)
		}
		for name, content := range tt.files {
			if in.WebFiles == nil {
				in.WebFiles = web.Files{}
			}
			in.WebFiles[path(name)] = []byte(content)
		}
		var want []string
		for _, w := range tt.want {
			want = append(want, strings.ReplaceAll(w, "DIR", dir))
		}
		if got := s.Exposed(in); !slices.Equal(got, want) {
			t.Errorf("%s %v:\n got %q\nwant %q", tt.config, tt.files, got, want)
		}
	}
	// What a sensor runs, and what describes a chip.
	program, env, hook, chip := path("task.sh"), path("environment"), path("hook.sh"), path("chip.yml")
	for _, p := range []string{program, env, hook, chip} {
		if err := os.WriteFile(p, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	s := &Source{Tasks: []string{fmt.Sprintf(`backup="'%s'",environment-file="%s",on-failure="'%s'",every=1h`, program, env, hook)}}
	in, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	in.Described[chip] = nil
	want := []string{
		"description: every user can change " + chip + ": chmod o-w " + chip,
		"backup: argv: every user can change " + program + ": chmod o-w " + program,
		"backup: on-failure: every user can change " + hook + ": chmod o-w " + hook,
		"backup: environment-file: every user can change " + env + ": chmod o-w " + env,
		"backup: environment-file: every user can read " + env + ", which may hold passwords: chmod o-r " + env,
	}
	if got := s.Exposed(in); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := (&Source{ConfigFile: path("written.yml"), Builtin: []byte("x")}).Exposed(&Inputs{}); got != nil {
		t.Errorf("built in: %q", got)
	}
}
