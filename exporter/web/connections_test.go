package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

// far is a connection from an address; it knows only whether it was closed.
type far struct {
	net.Conn
	from   net.Addr
	closed atomic.Bool
}

func (f *far) RemoteAddr() net.Addr { return f.from }
func (f *far) Close() error {
	if f.closed.Swap(true) {
		return net.ErrClosed
	}
	return nil
}

func from(address string) *far {
	return &far{from: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 1))}
}

// admitted makes n connections from an address.
func admitted(t *testing.T, cs *connections, address string, n int) (all []*far) {
	t.Helper()
	for i := range n {
		c := from(address)
		if !cs.admit(c, nil) {
			t.Fatalf("connection %d from %s is refused", i, address)
		}
		all = append(all, c)
	}
	return all
}

func open(all []*far) (n int) {
	for _, c := range all {
		if !c.closed.Load() {
			n++
		}
	}
	return n
}

func TestAddressOf(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := addressOf(from(address)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", address, got, want)
		}
	}
	if got := addressOf(&far{from: &net.UnixAddr{Name: "@"}}); got.IsValid() {
		t.Errorf("a Unix socket counts as %s", got)
	}
	if got := addressOf(&far{from: &net.TCPAddr{}}); got.IsValid() {
		t.Errorf("no address counts as %s", got)
	}
}

// The address with the most connections gives one up, and of its connections
// the one that has been without a request for the longest.
func TestShares(t *testing.T) {
	cs := newConnections(slog.New(slog.DiscardHandler))
	scraper := admitted(t, cs, "192.0.2.1", 1)
	many := admitted(t, cs, "192.0.2.2", 3*maxPerAddress)
	if got := open(many); got != maxPerAddress {
		t.Errorf("one address has %d connections, want %d", got, maxPerAddress)
	}
	for i, c := range many {
		if c.closed.Load() != (i < 2*maxPerAddress) {
			t.Fatalf("connection %d is closed: %v", i, c.closed.Load())
		}
	}
	others := admitted(t, cs, "192.0.2.3", 3*maxPerAddress)
	if n := cs.count(); n != maxConnections || open(scraper) != 1 || open(many)+open(others) != maxConnections-1 {
		t.Errorf("%d connections: %d, %d and %d", n, open(scraper), open(many), open(others))
	}
	late := admitted(t, cs, "192.0.2.4", 5)
	if open(late) != 5 || open(scraper) != 1 || cs.count() != maxConnections {
		t.Errorf("%d of 5 late ones are open, %d in all", open(late), cs.count())
	}
	// A whole network of clients with one connection each.
	for i := range 1000 {
		admitted(t, cs, fmt.Sprintf("198.51.%d.%d", i/250, i%250), 1)
	}
	if n := cs.count(); n != maxConnections {
		t.Errorf("%d connections, want %d", n, maxConnections)
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	sum := 0
	for _, n := range cs.perAddress {
		sum += n
	}
	if sum != maxConnections {
		t.Errorf("the addresses have %d connections together", sum)
	}
}

// What is being answered isn't replaced: the new one is refused.
func TestAnswersAreKept(t *testing.T) {
	cs := newConnections(slog.New(slog.DiscardHandler))
	all := admitted(t, cs, "192.0.2.1", maxPerAddress)
	for _, c := range all {
		cs.track(c, http.StateActive)
	}
	if cs.admit(from("192.0.2.1"), nil) {
		t.Errorf("%d of %d that are being answered are left", open(all), len(all))
	}
	admitted(t, cs, "192.0.2.2", 1)
	cs.track(all[7], http.StateIdle)
	admitted(t, cs, "192.0.2.1", 1)
	if !all[7].closed.Load() || open(all) != len(all)-1 {
		t.Errorf("the idle one is closed: %v; %d are left", all[7].closed.Load(), open(all))
	}
	// Of what is closed already nothing is known any more.
	cs.track(all[7], http.StateClosed)
	cs.running(all[7], 1)
	cs.track(all[8], http.StateClosed)
	if n := cs.count(); n != maxPerAddress {
		t.Errorf("%d connections, want %d", n, maxPerAddress)
	}
}

// active is a real connection that is being answered.
func active(t *testing.T, cs *connections) (c *connection, client *net.TCPConn) {
	t.Helper()
	a, d, err := connected()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = a.Close(), d.Close() })
	q := wrapped(t, a)
	if !cs.admit(q, q) {
		t.Fatal("refused")
	}
	cs.track(q, http.StateActive)
	return cs.open[q], d
}

// fill writes until the client's and the server's buffers are full.
func fill(t *testing.T, c *connection) {
	t.Helper()
	chunk := make([]byte, 64<<10)
	for {
		if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(chunk); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		} else if err != nil && !writable(t, c) { // the deadline may pass while nobody runs
			return
		}
	}
}

// writable tells whether the kernel would take more.
func writable(t *testing.T, c *connection) bool {
	t.Helper()
	raw, err := c.socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ready []unix.PollFd
	if err := raw.Control(func(fd uintptr) {
		ready = []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		_, err = unix.Poll(ready, 0)
	}); err != nil {
		t.Fatal(err)
	}
	return err != nil || ready[0].Revents&unix.POLLOUT != 0 // interrupted: look again
}

func TestStuck(t *testing.T) {
	cs := newConnections(slog.New(slog.DiscardHandler))
	start := time.Now()
	stuck, _ := active(t, cs)
	fill(t, stuck)
	taking, client := active(t, cs)
	fill(t, taking)
	working, _ := active(t, cs) // on an answer that takes long
	cs.running(working.Conn, 1)
	discarding, _ := active(t, cs) // a body that never ends, after the answer

	all := []*connection{stuck, taking, working, discarding}
	if c := longestStuck(all, start); c != nil {
		t.Error("what is seen for the first time is stuck")
	}
	if c := longestStuck(all, start.Add(stuckAfter-1)); c != nil {
		t.Error("it is stuck too early")
	}
	if _, err := io.CopyN(io.Discard, client, 1<<20); err != nil {
		t.Fatal(err)
	}
	for taking.socket.queued(unix.SIOCOUTQ) == int(taking.socket.written.Load()-taking.acked) {
		runtime.Gosched() // until the acknowledgement is here
	}
	later := start.Add(stuckAfter)
	if c := longestStuck(all, later); c != stuck {
		t.Error("the one that never reads isn't stuck")
	}
	if c := longestStuck([]*connection{taking, working}, later); c != nil {
		t.Error("one whose client takes bytes, or waits, is stuck")
	}
	if c := longestStuck([]*connection{working, discarding}, later); c != discarding {
		t.Error("one that waits for the rest of a request isn't stuck")
	}
	// The handler ends, and nothing goes on.
	cs.running(working.Conn, -1)
	if c := longestStuck([]*connection{working}, later.Add(stuckAfter)); c != working {
		t.Error("one whose handler has ended isn't stuck")
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := longestSilent(all); c != nil {
		t.Error("one that is being answered counts as silent")
	}
}

// A request that has arrived and waits to be read isn't thrown away.
func TestUnreadRequest(t *testing.T) {
	cs := newConnections(slog.New(slog.DiscardHandler))
	first, client := active(t, cs)
	second, _ := active(t, cs)
	third, _ := active(t, cs)
	cs.track(first.Conn, http.StateIdle)
	cs.track(second.Conn, http.StateIdle)
	if c := longestSilent([]*connection{third, second, first}); c != first {
		t.Error("the one that was silent for the longest isn't chosen")
	}
	if _, err := io.WriteString(client, "GET"); err != nil {
		t.Fatal(err)
	}
	for first.socket.queued(unix.SIOCINQ) == 0 {
		runtime.Gosched()
	}
	if c := longestSilent([]*connection{third, second, first}); c != second {
		t.Error("a connection with an unread request is chosen")
	}
	if c := longestSilent([]*connection{third, first}); c != nil {
		t.Error("with no other, too")
	}
}

// attack makes connections from an address as fast as it can until it is
// stopped, and keeps the last 300 of them.
func attack(t *testing.T, address, local string, use func(*net.TCPConn)) (stop func()) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 5 * time.Second}
	done := make(chan struct{})
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			var kept []net.Conn
			defer func() {
				for _, c := range kept {
					_ = c.Close() // most are closed by the server
				}
			}()
			for {
				select {
				case <-done:
					return
				default:
				}
				c, err := dialer.Dial("tcp", address)
				if err != nil {
					continue // ports run out for a moment
				}
				use(c.(*net.TCPConn))
				if kept = append(kept, c); len(kept) > 100 {
					_ = kept[0].Close()
					kept = kept[1:]
				}
			}
		})
	}
	return func() {
		close(done)
		workers.Wait()
	}
}

// Under floods of connections, of headers that never end, and of clients that
// never read, a scraper at another address loses nothing, and one at the same
// address a tenth at most. What the server holds is bounded.
func TestFloods(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<10)
	body := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, large) // a client that is gone wants no answer
	})
	for name, use := range map[string]func(*net.TCPConn){
		"connections": func(*net.TCPConn) {},
		"headers":     func(c *net.TCPConn) { _, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: a\r\nX:") },
		"readers": func(c *net.TCPConn) {
			_ = c.SetReadBuffer(2048)
			_, _ = io.WriteString(c, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 9))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, local := range []string{"127.0.0.2", "127.0.0.1"} {
				s, address := serve(t, body, nil)
				stop := attack(t, address, local, use)
				for s.conns.count() < crowded/2 {
					time.Sleep(time.Millisecond) // until the flood is there
				}
				const scrapes = 30
				lost, most := 0, 0
				for range scrapes {
					if err := scrapeOnce(address); err != nil {
						lost++
						t.Logf("attacked from %s: %v", local, err)
					}
					most = max(most, s.conns.count())
				}
				stop()
				allowed := 0
				if local == "127.0.0.1" {
					allowed = scrapes / 10
				}
				t.Logf("attacked from %s: %d of %d scrapes are lost, %d connections were open", local, lost, scrapes, most)
				if lost > allowed {
					t.Errorf("attacked from %s: %d of %d scrapes are lost", local, lost, scrapes)
				}
				if most > maxConnections {
					t.Errorf("attacked from %s: %d connections were open", local, most)
				}
			}
		})
	}
}

// scrapeOnce makes a request over a connection of its own.
func scrapeOnce(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Minute)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	_, err = discard(response)
	return err
}

// While there are many connections each serves one request: a client that
// sends many and never reads can't block it.
func TestCrowded(t *testing.T) {
	s, address := serve(t, page, nil)
	get := func() bool {
		response, err := http.Get("http://" + address + "/")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := discard(response); err != nil {
			t.Fatal(err)
		}
		return response.Close
	}
	if get() {
		t.Error("a single connection isn't kept alive")
	}
	for range crowded + 1 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for s.conns.count() <= crowded {
		runtime.Gosched()
	}
	if !get() {
		t.Error("among many connections it is kept alive")
	}
}

// The server would wait for the body; a client that never ends it would look like
// a handler at work. Each of these is answered, and its connection is closed.
func TestRequestWithABody(t *testing.T) {
	_, address := serve(t, page, nil)
	for _, tc := range []struct {
		request string
		status  int // 0: the connection is closed without an answer
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", http.StatusBadRequest},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", http.StatusOK},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", http.StatusOK},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n", http.StatusOK},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", http.StatusOK},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n", 0},
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, tc.request); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		response, err := http.ReadResponse(in, nil)
		if tc.status == 0 {
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("%q: error %v, want the end of the connection", tc.request, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tc.request, err)
			continue
		}
		if _, err := discard(response); err != nil || response.StatusCode != tc.status || !response.Close {
			t.Errorf("%q: %s, close %v, error %v; want %d and the end", tc.request, response.Status, response.Close, err, tc.status)
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%q: after the response %v, want the end of the connection", tc.request, err)
		}
	}
}

// Clients that send headers above the limit leave room for a scrape from their own
// address: net/http would wait half a second with each, and with all at once.
func TestManyBigRequests(t *testing.T) {
	_, addr := serve(t, page, nil)
	header := "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 4*maxHeader)
	var all sync.WaitGroup
	for range 2 * maxPerAddress {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _ = io.WriteString(c, header) // refused before all of it is read
			_, _ = io.Copy(io.Discard, c)    // until the server ends it, in whichever way
		})
	}
	all.Wait()
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := discard(response); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", response.StatusCode, err)
	}
}
