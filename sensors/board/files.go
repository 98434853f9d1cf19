package board

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostOfAFile is more than any attribute has: those of sysfs have a page.
const mostOfAFile = 1 << 20

// files are sensors.Files over the file system below root.
type files struct {
	root  string
	ioctl ioctlFunc
	mu    sync.Mutex
	busy  map[string]chan struct{} // by path; closed when the access to it ends
}

func newFiles(root string) *files {
	return &files{root: root, ioctl: ioctl, busy: map[string]chan struct{}{}}
}

// ReadFile gives the whole file, which may have at most 1 MiB.
func (f *files) ReadFile(ctx context.Context, path string) ([]byte, error) {
	var data []byte
	err := f.access(ctx, "read", path, func(real string) (func(), error) {
		read, err := readAll(real)
		return func() { data = read }, err
	})
	return data, err
}

// WriteFile writes data by one write(2) into a file that exists.
func (f *files) WriteFile(ctx context.Context, path string, data []byte) error {
	data = bytes.Clone(data) // the caller's own may change when ctx has ended
	return f.access(ctx, "write", path, func(real string) (func(), error) {
		return func() {}, writeAll(real, data)
	})
}

// mostAtOnce is more than the attributes have that ReadAtOnce is for: a name or
// a number.
const mostAtOnce = 256

// ReadAtOnce reads an attribute behind which there is nothing but memory or a
// register of the processor, of at most 255 bytes, in this goroutine and by raw
// system calls: an ordinary one tells the runtime that it may block, which
// wakes its monitor thread, and that costs more than the reading. Never use it
// for what may wait for a bus: it would hold up all of the process. One
// read(2) gives an attribute whole (Linux, Documentation/filesystems/sysfs.rst).
//
// inode is the attribute's: where a device is taken away and another one gets
// its name, the attribute is made anew, and its inode has another number.
func (f *files) ReadAtOnce(path string) (data []byte, inode uint64, err error) {
	name, err := unix.ByteSliceFromString(f.real(path))
	if err != nil {
		return nil, 0, FileError("read", path, err)
	}
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&name[0])),
		unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0, 0, 0)
	if errno != 0 {
		return nil, 0, FileError("read", path, errno)
	}
	var attributes unix.Statx_t // the one stat that is the same on all architectures
	data = make([]byte, mostAtOnce)
	n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&data[0])), mostAtOnce)
	if errno == 0 {
		_, _, errno = unix.RawSyscall6(unix.SYS_STATX, fd, uintptr(unsafe.Pointer(&empty[0])), unix.AT_EMPTY_PATH,
			unix.STATX_INO, uintptr(unsafe.Pointer(&attributes)), 0)
	}
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	switch {
	case errno != 0:
		return nil, 0, FileError("read", path, errno)
	case n == mostAtOnce:
		return nil, 0, FileError("read", path, fmt.Errorf("has more than %d bytes: %w", mostAtOnce-1, unix.EFBIG))
	}
	return data[:n], attributes.Ino, nil
}

// empty is a path of no characters.
var empty = []byte{0}

// real is where a path is found.
func (f *files) real(path string) string {
	if f.root == "/" {
		return path
	}
	return filepath.Join(f.root, path)
}

// Glob is filepath.Glob.
func (f *files) Glob(pattern string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(f.root, pattern))
	if err != nil {
		return nil, fmt.Errorf("pattern %s: %w", pattern, err)
	}
	for i := range found {
		found[i] = "/" + strings.TrimLeft(strings.TrimPrefix(found[i], f.root), "/")
	}
	return found, nil
}

// access runs do in a goroutine of its own, because a read or write in sysfs
// can't be cancelled; when ctx ends it returns, and the goroutine is abandoned. The
// function that do returns takes over the result: it is called only while access
// still waits. A file has one access at a time: the next one waits for an abandoned
// one to end, and then reads anew.
func (f *files) access(ctx context.Context, what, path string, do func(real string) (func(), error)) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s %s: not an absolute path", what, path)
	}
	left := func() error {
		return fmt.Errorf("%s %s: the kernel has not answered yet: %w", what, path, ctx.Err())
	}
	ended, err := f.begin(ctx, path)
	if err != nil {
		return left()
	}
	type result struct {
		accept func()
		err    error
	}
	results := make(chan result, 1)
	go func() {
		accept, err := do(f.real(path))
		f.mu.Lock()
		delete(f.busy, path)
		f.mu.Unlock()
		close(ended)
		results <- result{accept, err}
	}()
	select {
	case r := <-results:
		if r.err != nil {
			return FileError(what, path, r.err)
		}
		r.accept()
		return nil
	case <-ctx.Done():
		return left()
	}
}

// begin waits until nobody else accesses path.
func (f *files) begin(ctx context.Context, path string) (ended chan struct{}, err error) {
	for ctx.Err() == nil {
		f.mu.Lock()
		before, busy := f.busy[path]
		if !busy {
			ended = make(chan struct{})
			f.busy[path] = ended
		}
		f.mu.Unlock()
		if !busy {
			return ended, nil
		}
		select {
		case <-before:
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

// readAll reads by plain system calls: os.ReadFile would put each attribute
// into the network poller.
func readAll(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	data := make([]byte, 0, 4096)
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := unix.Read(fd, data[len(data):cap(data)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue // w1_therm gives up its wait at any signal
		case err == nil && len(data)+n > mostOfAFile:
			err = fmt.Errorf("has more than %d bytes: %w", mostOfAFile, unix.EFBIG)
		}
		if err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		if n == 0 {
			return data, unix.Close(fd)
		}
		data = data[:len(data)+n]
	}
}

func writeAll(path string, data []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	n, err := unix.Write(fd, data)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Write(fd, data)
	}
	if err == nil && n < len(data) {
		err = fmt.Errorf("took %d of %d bytes: %w", n, len(data), unix.EIO)
	}
	return errors.Join(err, unix.Close(fd))
}
