package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Whatever fails, the previous file stays and nothing else is left there.
func TestReplaceThatFails(t *testing.T) {
	refused := errors.New("refused")
	for name, how := range map[string]struct {
		prepare func(*os.File) error
		want    error
	}{
		"prepare":     {func(*os.File) error { return refused }, refused},
		"flush":       {func(f *os.File) error { return f.Close() }, os.ErrClosed},
		"new is gone": {func(f *os.File) error { return os.Remove(f.Name()) }, os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a")
			if err := os.WriteFile(path, []byte("previous"), 0o644); err != nil {
				t.Fatal(err)
			}
			temp, err := os.Create(filepath.Join(dir, "a.new"))
			if err != nil {
				t.Fatal(err)
			}
			if err := Replace(path, temp, []byte("new"), how.prepare, true); !errors.Is(err, how.want) {
				t.Errorf("error %v, want %v", err, how.want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "previous" {
				t.Errorf("the file holds %q, %v", got, err)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
				t.Errorf("files are left: %v, %v", files, err)
			}
		})
	}
}
