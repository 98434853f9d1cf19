package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// take has the Store say what it says, for a directory of which sameBoot is known.
func take(t *testing.T, s *Store, sameBoot bool) (string, error) {
	t.Helper()
	payload, err := s.open(true, sameBoot)
	return string(payload), err
}

func write(t *testing.T, dir, payload string) {
	t.Helper()
	s := In(dir, "counts.json")
	if _, err := s.open(true, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func TestAFileIsTakenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	write(t, dir, `{"a": 4287}`)
	if got, err := take(t, In(dir, "counts.json"), false); err != nil || got != `{"a":4287}` {
		t.Errorf("took %q, %v", got, err)
	}
	// The process was killed: the next one starts from nothing.
	if got, err := take(t, In(dir, "counts.json"), false); err != nil || got != "" {
		t.Errorf("a second time %q, %v", got, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileOfAnotherBoot(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, `1`)
	later := In(dir, "counts.json")
	later.boot = "another"
	if got, err := take(t, later, true); err != nil || got != "" {
		t.Errorf("on an overlay, after a boot: %q, %v", got, err)
	}
	write(t, dir, `2`)
	later = In(dir, "counts.json")
	later.boot = "another"
	if got, err := take(t, later, false); err != nil || got != "2" {
		t.Errorf("on a disk, after a boot: %q, %v", got, err)
	}
	unknown := In(dir, "counts.json")
	unknown.boot = ""
	if _, err := unknown.open(true, true); err != nil {
		t.Fatal(err)
	}
	if err := unknown.Write([]byte("3")); err != nil {
		t.Fatal(err)
	}
	if got, err := take(t, unknown, true); err != nil || got != "" {
		t.Errorf("of a boot without an id: %q, %v", got, err)
	}
}

func TestThisBootLeavesTheFile(t *testing.T) {
	dir := t.TempDir()
	s := In(dir, "runs.json")
	if got, err := s.ThisBoot(); err != nil || got != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if err := s.WriteUnflushed([]byte("5")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := In(dir, "runs.json").ThisBoot(); err != nil || string(got) != "5" {
			t.Errorf("%q, %v", got, err)
		}
	}
	later := In(dir, "runs.json")
	later.boot = "another"
	if got, err := later.ThisBoot(); err != nil || got != nil {
		t.Errorf("after a boot %q, %v", got, err)
	}
}

// TestWhatCantBeUsedIsLeftAlone: the content stays, and counting goes on under
// another name.
func TestWhatCantBeUsedIsLeftAlone(t *testing.T) {
	good, err := os.ReadFile(func() string {
		dir := t.TempDir()
		write(t, dir, `{"rain":10000}`)
		return filepath.Join(dir, "counts.json")
	}())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another count":   strings.Replace(string(good), "10000", "90000", 1),
		"half a file":     string(good[:len(good)/2]),
		"empty":           "",
		"later version":   strings.Replace(string(good), `"version":2`, `"version":3`, 1),
		"earlier version": `{"version":1,"counters":{}}`,
		"binary":          "\x00\x01",
		"endless":         string(good) + strings.Repeat(" ", mostBytes),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "counts.json")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			s := In(dir, "counts.json")
			payload, err := s.open(true, false)
			if err == nil || payload != nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), path+".1 is used instead") {
				t.Errorf("took %q, %v", payload, err)
			}
			if err := s.Write([]byte("7")); err != nil {
				t.Fatal(err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != text {
				t.Errorf("the file was changed: %q, %v", after, err)
			}
			if payload, err := In(dir, "counts.json").open(true, false); string(payload) != "7" || err == nil {
				t.Errorf("the next process took %q, %v", payload, err)
			}
		})
	}
}

// TestAFileThatCanBeUsedAgain: counts from before a file couldn't be used don't
// come back with it, since others were shown meanwhile.
func TestAFileThatCanBeUsedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(*Store) ([]byte, error)
	}{
		{"taken", (*Store).Take},
		{"of this boot", (*Store).ThisBoot},
		{"the last", (*Store).Last},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "counts.json")
			use := func(want, next string) error {
				t.Helper()
				s := In(dir, "counts.json")
				got, err := c.open(s)
				if string(got) != want {
					t.Errorf("it has %q, want %q", got, want)
				}
				if err := s.Write([]byte(next)); err != nil {
					t.Fatal(err)
				}
				return err
			}
			use("", "10000") //nolint:errcheck // there is nothing
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			put := func(path, text string) {
				t.Helper()
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			put(path, "{")
			if err := use("", "50"); err == nil {
				t.Error("nothing is said of the damaged file")
			}
			put(path, string(old)) // somebody repairs it
			if err := use("50", "60"); err != nil {
				t.Error(err)
			}
			if err := use("60", "70"); err != nil {
				t.Error(err)
			}
			put(path, "{") // again: what was beside it at the first time is gone
			if err := use("", "80"); err == nil {
				t.Error("nothing is said of the damaged file")
			}
			// What can't be used may be newer than what is below it.
			put(path, string(old))
			put(path+".1", "{")
			if err := use("", "90"); err == nil || !strings.Contains(err.Error(), path+".2 is used instead") {
				t.Errorf("got %v", err)
			}
			if err := use("90", "91"); err == nil {
				t.Error("nothing is said of the damaged file")
			}
		})
	}
}

// TestAProcessEndsWhileItWrites: files that could be used again are under three
// names, and whatever an interrupted Write leaves, the latest content is found.
func TestAProcessEndsWhileItWrites(t *testing.T) {
	dir := t.TempDir()
	for n, payload := range []string{"50", "60", "70"} {
		s := In(dir, "counts.json")
		s.path = s.name(n)
		if err := s.Write([]byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	s := In(dir, "counts.json")
	if got, err := s.Last(); string(got) != "70" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	// It can't write: a directory that isn't empty has the temporary file's name.
	temp := filepath.Join(dir, "counts.json"+temporary)
	if err := os.MkdirAll(filepath.Join(temp, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte("80")); err == nil {
		t.Fatal("it was written")
	}
	if err := os.RemoveAll(temp); err != nil {
		t.Fatal(err)
	}
	if got, err := In(dir, "counts.json").Last(); string(got) != "70" || err != nil {
		t.Errorf("after a write that failed %q, %v", got, err)
	}
	// It ends when the file is written, before it removes any other.
	s.superseded = []string{filepath.Join(dir, "missing", "\x00")}
	if err := s.Write([]byte("80")); err == nil {
		t.Fatal("nothing is said of a file that can't be removed")
	}
	if got, err := In(dir, "counts.json").Last(); string(got) != "80" || err != nil {
		t.Errorf("after a write without the removal %q, %v", got, err)
	}
}

func TestAFIFOIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "counts.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := In(dir, "counts.json").open(true, false); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

// TestAFileThatStaysIsNotUsed: what can't be removed would come back.
func TestAFileThatStaysIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	for n := range mostNames {
		name := filepath.Join(dir, "counts.json")
		if n > 0 {
			name = name + "." + string(rune('0'+n))
		}
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := In(dir, "counts.json")
	if _, err := s.open(true, false); err == nil || !strings.Contains(err.Error(), "nothing can be kept") {
		t.Errorf("error %v", err)
	}
	if err := s.Write([]byte("1")); err == nil {
		t.Error("Write succeeded without a file")
	}
}

func TestAKilledWritersFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "counts.json")
	for _, damaged := range []bool{false, true} { // the file itself, which then stays
		if err := os.WriteFile(path+temporary, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if damaged {
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := In(dir, "counts.json").open(true, false); (err != nil) != damaged {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + temporary); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("damaged %v: it is still there: %v", damaged, err)
		}
	}
}

func TestFileSystemsOfOneBoot(t *testing.T) {
	for magic, want := range map[int64]bool{unix.TMPFS_MAGIC: true, unix.OVERLAYFS_SUPER_MAGIC: true, unix.RAMFS_MAGIC: true, unix.EXT4_SUPER_MAGIC: false} {
		if perBootTypes[magic] != want {
			t.Errorf("%#x: %v", magic, !want)
		}
	}
	if !perBoot(filepath.Join(t.TempDir(), "nowhere")) {
		t.Error("a directory that isn't there has files of earlier boots")
	}
}

// TestContentOfAnotherShape: it is an error besides that of files that are left
// alone, and nothing of it is used.
func TestContentOfAnotherShape(t *testing.T) {
	left := errors.New("left alone")
	got, err := Decode[map[string]int]([]byte(`{"rain": 1, "door": "open"}`), left)
	if len(got) != 0 || !errors.Is(err, left) || !strings.Contains(err.Error(), "are none") {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Decode[map[string]int]([]byte(`{"rain": 1}`), left); got["rain"] != 1 || !errors.Is(err, left) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Decode[map[string]int](nil, nil); got != nil || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}
