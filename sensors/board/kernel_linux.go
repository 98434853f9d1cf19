package board

import (
	"path/filepath"
	"unsafe"

	"example.org/dormouse/sensors/board/pinmux"
	"golang.org/x/sys/unix"
)

// kernel is where the real board finds Linux. Tests put a temporary directory
// and a modelled ioctl in its place.
type kernel struct {
	root  string // "/"
	ioctl ioctlFunc
	mux   *pinmux.Reader
}

// ioctlFunc makes one request of the file fd; its error is a unix.Errno.
type ioctlFunc func(fd, request uintptr, arg unsafe.Pointer) error

func (k *kernel) path(absolute string) string { return filepath.Join(k.root, absolute) }

// ioctl passes arg on as the pointer that it is. The conversion to uintptr
// stands in the call's own argument list, where the compiler keeps what it
// points to alive and in place until the call returns (package unsafe, rule 4).
func ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
