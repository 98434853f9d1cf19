package sensortest

import (
	"context"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"example.org/dormouse/sensors"
)

// Files is a file system of sysfs's kind: what is not in Content or Errs
// doesn't exist. Directories are those that the paths imply. It may be used
// from several goroutines.
type Files struct {
	Content map[string]string
	Errs    map[string]error        // what reading or writing the path gives
	Hang    map[string]bool         // reading it lasts until ctx ends
	OnRead  func(path string)       // called before each read
	OnWrite func(path, data string) // called for each write that succeeds
	Read    []string                // the paths that were read, in order
	Written []struct{ Path, Data string }
	// Firmware answers what is asked through a mailbox's device; nil: there is
	// none.
	Firmware func(device string, tag uint32, value []uint32) error

	mu sync.Mutex
}

var (
	_ sensors.Files    = (*Files)(nil)
	_ sensors.Firmware = (*Files)(nil)
)

// Property asks Firmware.
func (f *Files) Property(ctx context.Context, device string, tag uint32, value []uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Firmware == nil {
		return sensors.Errorf(sensors.NoAnswer, "ask %s: %w", device, syscall.ENOENT)
	}
	return f.Firmware(device, tag, value)
}

// Put sets a file's content.
func (f *Files) Put(path, content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Content == nil {
		f.Content = map[string]string{}
	}
	f.Content[path] = content
}

// Break makes each access to the path fail with err.
func (f *Files) Break(path string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Errs == nil {
		f.Errs = map[string]error{}
	}
	f.Errs[path] = err
}

// Remove takes a file away.
func (f *Files) Remove(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.Content, path)
	delete(f.Errs, path)
}

func (f *Files) ReadFile(ctx context.Context, path string) ([]byte, error) {
	if f.OnRead != nil {
		f.OnRead(path)
	}
	f.mu.Lock()
	f.Read = append(f.Read, path)
	content, ok := f.Content[path]
	err, hang := f.Errs[path], f.Hang[path]
	f.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	case !ok:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return []byte(content), nil
}

func (f *Files) WriteFile(ctx context.Context, path string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	_, ok := f.Content[path]
	err := f.Errs[path]
	if ok && err == nil {
		f.Content[path] = string(data)
		f.Written = append(f.Written, struct{ Path, Data string }{path, string(data)})
	}
	f.mu.Unlock()
	switch {
	case err != nil:
		return &fs.PathError{Op: "write", Path: path, Err: err}
	case !ok:
		return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	if f.OnWrite != nil {
		f.OnWrite(path, string(data))
	}
	return nil
}

func (f *Files) Glob(pattern string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	exists := map[string]bool{}
	add := func(p string) {
		for ; p != "/" && p != "." && !exists[p]; p = path.Dir(p) {
			exists[p] = true
		}
	}
	for p := range f.Content {
		add(p)
	}
	for p := range f.Errs {
		add(p)
	}
	var found []string
	for p := range exists {
		ok, err := filepath.Match(pattern, p)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, p)
		}
	}
	slices.Sort(found)
	return found, nil
}
