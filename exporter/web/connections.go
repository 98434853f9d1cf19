package web

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The limits bound the memory that clients can use. There are no timeouts: each
// would be a timer, armed on a kept-alive connection that is idle between two
// scrapes, and would wake the process. Instead, a new connection that exceeds a
// limit replaces another one of the address that has the most.
const (
	maxConnections = 128
	// maxPerAddress leaves connections to others, whatever one address does.
	maxPerAddress = 64
	// crowded is the number above which a connection serves one request. A
	// client that sends many and never reads can't block it then: one response
	// fits into the kernel's buffers.
	crowded = 32
)

// stuckAfter is for how long a client may take no byte of its response before
// its connection may be replaced.
const stuckAfter = 10 * time.Second

// connections are those that are open.
type connections struct {
	log *slog.Logger

	mu         sync.Mutex
	open       map[net.Conn]*connection
	perAddress map[netip.Prefix]int
	changes    uint64 // of state, of all connections
}

// connection is one of them. Its fields belong to connections.
type connection struct {
	net.Conn
	socket  *quietConn // below TLS; nil: not TCP
	address netip.Prefix
	state   http.ConnState
	change  uint64 // the number of its last change of state
	running int    // handlers
	stale   bool   // it was accepted under an earlier Config

	acked uint64    // bytes of responses that the client has taken, when that was last checked
	since time.Time // when that number was first seen; zero: not checked
}

func newConnections(log *slog.Logger) *connections {
	return &connections{log: log, open: make(map[net.Conn]*connection), perAddress: make(map[netip.Prefix]int)}
}

// admit adds a connection and tells whether there is room for it, which it
// makes by closing another one.
func (cs *connections) admit(c net.Conn, socket *quietConn) bool {
	n := &connection{Conn: c, socket: socket, address: addressOf(c)}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.open) >= maxConnections || cs.perAddress[n.address] >= maxPerAddress {
		victim := cs.victim(n.address)
		if victim == nil {
			return false
		}
		cs.drop(victim)
	}
	if socket != nil {
		socket.refused = cs.crowded
		socket.allowance.Store(maxHeader)
	}
	cs.changes++
	n.change = cs.changes
	cs.open[c] = n
	cs.perAddress[n.address]++
	return true
}

// crowded tells whether there are so many connections that each should serve
// one request only.
func (cs *connections) crowded() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open) > crowded
}

// addressOf is the address of a connection's client. Hosts on IPv6 have a whole
// /64 at their disposal, so that counts as one.
func addressOf(c net.Conn) netip.Prefix {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not an IP address: all such are one
	}
	return prefix
}

// victim chooses the connection that one from address replaces; nil: none.
func (cs *connections) victim(address netip.Prefix) *connection {
	most := cs.perAddress[address] + 1
	for _, n := range cs.perAddress {
		most = max(most, n)
	}
	var candidates []*connection
	for _, c := range cs.open {
		n := cs.perAddress[c.address]
		if c.address == address {
			n++ // with the new one
		}
		if n == most {
			candidates = append(candidates, c)
		}
	}
	if stuck := longestStuck(candidates, time.Now()); stuck != nil {
		return stuck
	}
	return longestSilent(candidates)
}

// longestStuck is the connection whose client has taken no byte of its response
// for the longest time, and for stuckAfter at least.
func longestStuck(all []*connection, now time.Time) *connection {
	var longest *connection
	for _, c := range all {
		if c.state == http.StateActive && now.Sub(c.checkProgress(now)) >= stuckAfter && (longest == nil || c.since.Before(longest.since)) {
			longest = c
		}
	}
	return longest
}

// checkProgress returns since when there has been no progress in answering.
// While a handler runs and the client has taken everything, it is the client
// that waits.
func (c *connection) checkProgress(now time.Time) time.Time {
	if c.socket == nil {
		return now // can't be checked
	}
	unsent := c.socket.queued(unix.SIOCOUTQ)
	acked := c.socket.written.Load() - uint64(unsent)
	if c.since.IsZero() || acked != c.acked || unsent == 0 && c.running > 0 {
		c.acked, c.since = acked, now
	}
	return c.since
}

// longestSilent is the connection that has been without a request for the
// longest time: one without a complete header, or one that is kept alive. A
// request that has arrived and isn't read yet is going to be answered first.
func longestSilent(all []*connection) *connection {
	for len(all) > 0 {
		oldest := -1
		for i, c := range all {
			if c.state != http.StateActive && (oldest < 0 || c.change < all[oldest].change) {
				oldest = i
			}
		}
		if oldest < 0 {
			return nil
		}
		if c := all[oldest]; c.socket == nil || c.socket.queued(unix.SIOCINQ) == 0 {
			return c
		}
		all[oldest] = all[len(all)-1]
		all = all[:len(all)-1]
	}
	return nil
}

// track follows the states of the connections; it is http.Server's ConnState.
func (cs *connections) track(c net.Conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := cs.open[c]
	if n == nil {
		return // it was closed meanwhile
	}
	cs.changes++
	n.change, n.state, n.since = cs.changes, state, time.Time{}
	switch state {
	case http.StateActive:
		if n.socket != nil {
			n.socket.allowance.Store(math.MaxInt64)
		}
	case http.StateIdle:
		if n.socket != nil {
			n.socket.allowance.Store(maxHeader)
		}
		if n.stale {
			cs.drop(n)
		}
	case http.StateClosed, http.StateHijacked:
		cs.remove(n)
	}
}

// running counts the handlers of a connection by one up or down.
func (cs *connections) running(c net.Conn, by int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if n := cs.open[c]; n != nil {
		n.running += by
	}
}

// retire makes connections serve no further request.
func (cs *connections) retire() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, n := range cs.open {
		n.stale = true
		if n.state == http.StateIdle {
			cs.drop(n)
		}
	}
}

func (cs *connections) remove(n *connection) {
	delete(cs.open, n.Conn)
	if cs.perAddress[n.address]--; cs.perAddress[n.address] == 0 {
		delete(cs.perAddress, n.address)
	}
}

// drop closes a connection at once.
func (cs *connections) drop(n *connection) {
	cs.remove(n)
	cs.close(n.Conn)
}

// close closes c without TLS's close_notify alert, which a stuck client could
// block.
func (cs *connections) close(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		cs.log.Debug("close a connection", "err", err)
	}
}
