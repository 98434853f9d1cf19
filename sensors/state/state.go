// Package state keeps what is to outlive a process, such as counts, in one file
// of the state directory.
//
// A counter may be shown again only where it can't be below what was shown
// before: Prometheus takes a fall for a reset and counts the whole new value a
// second time. So a file is written at a clean end only, and the next process
// removes it, on the disk, before it shows anything. After a crash or a power
// cut there is no file, and counters start from zero, which Prometheus
// understands.
//
// A file that can't be read or removed, or that isn't understood, is never
// overwritten: another name is used beside it.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	version = 2
	// mostBytes bounds what is read: some thousand counters take 100 kB.
	mostBytes = 4 << 20
	// mostNames is how many files that can't be used are passed by.
	mostNames = 10
)

// A Store is a file of one directory, by the name that could be used.
type Store struct {
	dir, file  string
	boot       string   // the id of this boot; empty: not known
	path       string   // where to write; empty: before Take, and where there is none
	above      []string // files of higher names, the last of which has the content
	superseded []string // files of lower names, by what is written to path
}

// In is the file of that name in a directory, which Write creates.
func In(dir, name string) *Store {
	return &Store{dir: dir, file: name, boot: bootID()}
}

// bootID tells the boots of a machine apart: random(4).
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// envelope is the file. Its checksum is of the payload's bytes as they stand.
type envelope struct {
	Version int             `json:"version"`
	Boot    string          `json:"boot_id"`
	Sum     string          `json:"sha256"`
	Payload json.RawMessage `json:"payload"`
}

// Path is where Write writes, for messages; empty before Take.
func (s *Store) Path() string { return s.path }

// Take returns what the previous process wrote, nil where there is nothing, and
// removes it: when Take returns, the removal is on the disk. Where the
// directory doesn't outlive a boot or comes back with each, as on an overlay,
// only this boot's file counts. The error tells of every file that is left
// alone; the Store can be used all the same.
func (s *Store) Take() ([]byte, error) {
	return s.open(true, perBoot(s.dir))
}

// ThisBoot returns what an earlier process of this boot wrote, and leaves it
// there: for a series of processes each of which replaces the file. A file of
// an earlier boot may be older than what was shown last, because nothing waited
// for the disk.
func (s *Store) ThisBoot() ([]byte, error) {
	return s.open(false, true)
}

// Last returns what the last process wrote, of whichever boot, and leaves it
// there: for what may be older than what has happened since.
func (s *Store) Last() ([]byte, error) {
	return s.open(false, false)
}

// Decode decodes what Take, ThisBoot or Last returned. Content of another shape
// is an error besides theirs, and leaves nothing of it: the result is then the
// zero value, as where there was no file.
func Decode[T any](data []byte, err error) (T, error) {
	var v, none T
	if data == nil {
		return none, err
	}
	if jsonErr := json.Unmarshal(data, &v); jsonErr != nil {
		return none, errors.Join(err, fmt.Errorf("its contents are none of those that are kept there: %w", jsonErr))
	}
	return v, err
}

// open looks at all names. What can't be used stays, and the name after the last
// such is used: so the content of the highest name is the latest. What is below a
// file that can't be used may be older than that, and isn't returned: a file that
// was unreadable for a while would otherwise bring back counts from before.
func (s *Store) open(remove, sameBoot bool) ([]byte, error) {
	if _, err := os.Stat(s.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("nothing can be kept: %w", err)
	}
	var payload []byte
	var left []error
	var above, below []string
	next := 0
	for n := range mostNames {
		path := s.name(n)
		e, err := s.use(path, remove)
		switch {
		case err != nil:
			left = append(left, err)
			payload, next = nil, n+1
			above, below = nil, append(below, above...)
		case e != nil:
			above = append(above, path)
			payload = e.Payload
			if sameBoot && (e.Boot == "" || e.Boot != s.boot) {
				payload = nil
			}
		}
	}
	if next == mostNames {
		return nil, fmt.Errorf("nothing can be kept: %w", errors.Join(left...))
	}
	s.path = s.name(next)
	if !remove {
		s.above, s.superseded = slices.DeleteFunc(above, func(path string) bool { return path == s.path }), below
	}
	if len(left) > 0 {
		left = append(left, fmt.Errorf("%s is used instead; move away what is in its way", s.path))
	}
	return payload, errors.Join(left...)
}

// name is the file's n-th name.
func (s *Store) name(n int) string {
	path := filepath.Join(s.dir, s.file)
	if n > 0 {
		path = fmt.Sprintf("%s.%d", path, n)
	}
	return path
}

// use reads one file; nil: there is none. An error means that it stays as it is.
func (s *Store) use(path string, remove bool) (*envelope, error) {
	unfinished := removeUnfinished(path + temporary)
	e, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unfinished // it would be in the way of the next; what is there can be used all the same
	}
	if err != nil || !remove {
		return e, err
	}
	if err := os.Remove(path); err != nil {
		return nil, fmt.Errorf("%w: it would come back at the next start, so it isn't used", err)
	}
	if err := syncDirectory(s.dir); err != nil {
		return nil, fmt.Errorf("remove %s: %w", path, err)
	}
	return e, nil
}

// removeUnfinished removes what a process wrote that was killed in the middle. Of
// a file that isn't there a read-only file system doesn't say so.
func removeUnfinished(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the unfinished file of a killed process: %w", err)
	}
	return nil
}

// read reads and checks a file.
func read(path string) (*envelope, error) {
	// Without waiting for a writer, where it is a FIFO.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > mostBytes:
		return nil, fmt.Errorf("%s has %d bytes, and at most %d are read", path, info.Size(), mostBytes)
	}
	data, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return nil, err
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	if e.Version != version {
		return nil, fmt.Errorf("%s is of version %d, and this program understands version %d", path, e.Version, version)
	}
	if sum(e.Payload) != e.Sum {
		return nil, fmt.Errorf("%s is damaged: its checksum is wrong", path)
	}
	return &e, nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// temporary is the ending of a file that is being written.
const temporary = ".new"

// Write writes the file, a JSON value: for the next process to Take. It is on
// the disk when Write returns. A directory that belongs to another user than
// the process's, as to the daemon's where root writes, has its files belong to
// that user.
func (s *Store) Write(payload []byte) error { return s.write(payload, true) }

// WriteUnflushed is Write without waiting for the disk, for ThisBoot.
func (s *Store) WriteUnflushed(payload []byte) error { return s.write(payload, false) }

func (s *Store) write(payload []byte, flush bool) (err error) {
	if s.path == "" {
		return errors.New("no file could be used")
	}
	var e envelope
	if e.Payload, err = json.Marshal(json.RawMessage(payload)); err != nil {
		return err
	}
	e.Version, e.Boot, e.Sum = version, s.boot, sum(e.Payload)
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.moveDown(); err != nil {
		return err
	}
	temp := s.path + temporary
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	if err := Replace(s.path, f, append(data, '\n'), s.giveAway, flush); err != nil {
		return err
	}
	return s.removeSuperseded(flush)
}

// moveDown gives the content of the highest name the one that is written to. A
// file that was written there while the highest still exists would be passed over
// by the next process if this one ended in between.
func (s *Store) moveDown() error {
	for i, path := range s.above {
		var err error
		if i < len(s.above)-1 {
			err = os.Remove(path)
		} else {
			err = os.Rename(path, s.path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("bring %s to its place: %w", path, err)
		}
	}
	s.above = nil
	return nil
}

// removeSuperseded removes files under lower names that are older than the one
// that was just written.
func (s *Store) removeSuperseded(flush bool) error {
	if len(s.superseded) == 0 {
		return nil
	}
	for _, path := range s.superseded {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what is older than %s: %w", s.path, err)
		}
	}
	s.superseded = nil
	if flush {
		return syncDirectory(s.dir)
	}
	return nil
}

// giveAway makes the directory's owner that of the file, where root writes it.
func (s *Store) giveAway(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(s.dir, &st); err != nil {
		return fmt.Errorf("stat %s: %w", s.dir, err)
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// syncDirectory puts the renaming or removal of a file on the disk.
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// The file systems whose content ends with the boot, or is back at each:
// linux/magic.h.
var perBootTypes = map[int64]bool{
	unix.OVERLAYFS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC:           true,
	unix.RAMFS_MAGIC:           true,
}

// perBoot tells whether a file in the directory counts only in the boot that
// wrote it. Of a directory that isn't there, or isn't known, it says so: then
// there is nothing to be read either.
func perBoot(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return true
	}
	return perBootTypes[int64(uint32(st.Type))]
}
