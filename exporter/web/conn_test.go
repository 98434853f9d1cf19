package web

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

// connected are the two ends of a connection on the loopback, as accepted and
// as dialled.
func connected() (accepted, dialled *net.TCPConn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	d, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	a, err := l.Accept()
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return a.(*net.TCPConn), d.(*net.TCPConn), nil
}

func wrapped(t *testing.T, c *net.TCPConn) *quietConn {
	t.Helper()
	q, err := quiet(c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQuietConnIsAConn(t *testing.T) {
	if past := time.Date(1978, 1, 1, 0, 0, 0, 0, time.UTC); time.Now().Before(past) {
		t.Fatal("this machine's clock stands in 1977 or before, which nettest takes for the past: set it, even wrongly")
	}
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, d, err := connected()
		if err != nil {
			return nil, nil, nil, err
		}
		return wrapped(t, a), wrapped(t, d), func() {
			_, _ = a.Close(), d.Close() // the tests may have closed them
		}, nil
	})
}

func TestQuietConnErrors(t *testing.T) {
	a, d, err := connected()
	if err != nil {
		t.Fatal(err)
	}
	q := wrapped(t, a)
	if n, err := q.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	if err := d.SetLinger(0); err != nil { // closing resets the connection
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := q.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(q); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read from a connection that was reset: %v", err)
	}
	var op *net.OpError
	if _, err := q.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) {
		t.Errorf("write to it: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after closing: %v", err)
	}
	if _, err := q.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after closing: %v", err)
	}
	if q.queued(unix.SIOCINQ) != 0 {
		t.Error("a closed socket has something to read")
	}
	if q, err := quiet(&net.TCPConn{}); err == nil {
		t.Errorf("what is no connection became %v", q)
	}
}

func TestQuietConnAllocatesNothing(t *testing.T) {
	a, d, err := connected()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer d.Close()
	q1, q2 := wrapped(t, a), wrapped(t, d)
	buf := make([]byte, 512)
	n := testing.AllocsPerRun(100, func() {
		if _, err := q1.Write(buf); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(q2, buf); err != nil {
			t.Error(err)
		}
	})
	if n != 0 {
		t.Errorf("a write and a read make %v allocations", n)
	}
}
