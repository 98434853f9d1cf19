package web

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A quietConn reads and writes by raw system calls. Those of package net
// announce to the runtime that they may block, which wakes its monitor thread
// for a series of short sleeps; a non-blocking socket never blocks. The
// netpoller still does the waiting. A kept-alive scrape wakes the process once
// instead of three times and costs half: docs/cost.md.
//
// It has one reader and one writer at a time, as net/http and crypto/tls do.
type quietConn struct {
	*net.TCPConn
	raw syscall.RawConn
	in  transfer
	out transfer

	written atomic.Uint64 // bytes, to the kernel
	// allowance is how many bytes may still be read before a request is complete,
	// while refused says so. net/http answers a header that is too long, and then
	// waits half a second with the connection.
	allowance atomic.Int64
	refused   func() bool

	recv func(fd uintptr) bool // made once, so that a call allocates nothing
	send func(fd uintptr) bool
}

// transfer is the read or the write in progress.
type transfer struct {
	mu    sync.Mutex // one at a time
	buf   []byte
	n     int
	errno syscall.Errno
}

// quiet wraps c.
func quiet(c *net.TCPConn) (*quietConn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	q := &quietConn{TCPConn: c, raw: raw, refused: func() bool { return false }}
	q.recv = func(fd uintptr) bool { return q.in.call(unix.SYS_READ, fd) }
	q.send = func(fd uintptr) bool { return q.out.call(unix.SYS_WRITE, fd) }
	return q, nil
}

// call makes one system call; it returns false where the socket isn't ready.
func (t *transfer) call(number, fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.buf))), uintptr(len(t.buf)))
		t.n, t.errno = int(n), errno
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		case 0:
		default:
			t.n = 0
		}
		return true
	}
}

// Read implements net.Conn.
func (q *quietConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	q.in.mu.Lock()
	defer q.in.mu.Unlock()
	q.in.buf = b
	err := q.raw.Read(q.recv)
	q.in.buf = nil
	switch {
	case err != nil:
		return 0, err
	case q.in.errno != 0:
		return 0, q.failed("read", q.in.errno)
	case q.in.n == 0:
		return 0, io.EOF
	case q.allowance.Add(-int64(q.in.n)) < 0 && q.refused():
		return 0, q.failed("read", unix.EMSGSIZE)
	}
	return q.in.n, nil
}

// Write implements net.Conn.
func (q *quietConn) Write(b []byte) (int, error) {
	q.out.mu.Lock()
	defer q.out.mu.Unlock()
	written := 0
	for written < len(b) {
		q.out.buf = b[written:]
		err := q.raw.Write(q.send)
		q.out.buf = nil
		if err == nil && q.out.errno != 0 {
			err = q.failed("write", q.out.errno)
		}
		if err != nil {
			return written, err
		}
		written += q.out.n
		q.written.Add(uint64(q.out.n))
	}
	return written, nil
}

// queued is how many bytes the kernel holds for this socket: SIOCINQ, those that
// have arrived and were not read; SIOCOUTQ, those that the client has not
// acknowledged; tcp(7). Of a closed socket it is 0.
func (q *quietConn) queued(request uint) (n int) {
	// The error is that the socket is closed.
	_ = q.raw.Control(func(fd uintptr) {
		n, _ = unix.IoctlGetInt(int(fd), request)
	})
	return n
}

// failed makes an error like those of package net's own connections.
func (q *quietConn) failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: q.LocalAddr(), Addr: q.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}
