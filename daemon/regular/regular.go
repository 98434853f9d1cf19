// Package regular reads whole files whose place somebody else can fill: what is
// no regular file, or has more bytes than a file of its kind can have, is an
// error. A FIFO would make the reader wait for a writer, a device could be
// endless, and a large file would take the memory of the machine.
//
// A file system that doesn't answer, as that of a dead file server, still makes
// the reader wait: who has to go on calls ReadFile from another goroutine.
package regular

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Most bounds configurations, certificates and keys, in bytes: a configuration
// of a thousand sensors has about 100 kB.
const Most = 1 << 20

// A KindError is that a path leads to no regular file.
type KindError struct {
	Path string
	Mode fs.FileMode
}

func (e *KindError) Error() string {
	kind := "a device"
	switch {
	case e.Mode.IsDir():
		kind = "a directory"
	case e.Mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case e.Mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return fmt.Sprintf("%s is %s: it has to be a regular file", e.Path, kind)
}

// A SizeError is that a file has more bytes than are read.
type SizeError struct {
	Path string
	Most int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s has more than %d bytes, the most that is read of such a file: is it the right one?", e.Path, e.Most)
}

// ReadFile reads the regular file at path, of at most so many bytes. Symbolic
// links are followed.
func ReadFile(path string, most int64) ([]byte, error) {
	// Before it is opened, which some devices take for a command.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &KindError{path, info.Mode()}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &KindError{path, info.Mode()}
	case info.Size() > most:
		return nil, &SizeError{path, most}
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1)) // it may grow, or tell no size
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, &SizeError{path, most}
	}
	return data, nil
}
