package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.org/dormouse/sensors"
)

// isOpen tells, without waiting, whether the other end of a connection is open
// and has answered nothing.
func isOpen(t *testing.T, c net.Conn) bool {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var looked error
	if err := raw.Control(func(fd uintptr) {
		_, _, looked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}); err != nil {
		t.Fatal(err)
	}
	return errors.Is(looked, unix.EAGAIN)
}

// Whoever opens connections and says nothing, or asks and waits, keeps neither
// descriptors nor others out.
func TestConnectionsAreBounded(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "d.pid")
	l, err := Listen(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	server := Server{Readings: ok, Log: slog.New(slog.DiscardHandler),
		Read: func(ctx context.Context, _ ...string) (*sensors.Snapshot, error) {
			<-ctx.Done() // as a task that takes its time
			return nil, ctx.Err()
		}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	for _, request := range []string{"", "POST /read HTTP/1.1\r\nHost: dormouse\r\n\r\n"} {
		var held []net.Conn
		for range 10 * mostConnections {
			c, err := net.Dial("unix", Path(pidFile))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, request); err != nil && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		if _, err := Readings(context.Background(), pidFile); err != nil {
			t.Errorf("request %q by %d connections: %v", request, len(held), err)
		}
		open := 0
		for _, c := range held {
			if isOpen(t, c) {
				open++
			}
		}
		if open >= mostConnections {
			t.Errorf("request %q: %d connections are open, and at most %d may be", request, open, mostConnections)
		}
	}
	if err := errors.Join(l.Close(), <-served); err != nil {
		t.Error(err)
	}
}
