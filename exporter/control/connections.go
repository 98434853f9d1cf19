package control

import (
	"net"
	"net/http"
	"slices"
	"sync"
)

// mostConnections bounds what clients of the socket, programs of the daemon's own
// user among them, can take of the descriptors that the wires need.
const mostConnections = 16

// mostHeader is more than the commands send, in bytes.
const mostHeader = 16 << 10

// connections are those that are open, the oldest first. There are no time-outs,
// each of which would be a timer: one connection too many replaces another.
type connections struct {
	mu   sync.Mutex
	open []*connection
}

type connection struct {
	net.Conn
	busy bool // a request is under way
}

// track follows the state of a connection, http.Server.ConnState.
func (cs *connections) track(c net.Conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	at := slices.IndexFunc(cs.open, func(o *connection) bool { return o.Conn == c })
	switch {
	case state == http.StateNew:
		if len(cs.open) >= mostConnections {
			cs.drop()
		}
		cs.open = append(cs.open, &connection{Conn: c})
	case at < 0: // it was dropped
	case state == http.StateActive:
		cs.open[at].busy = true
	case state == http.StateClosed, state == http.StateHijacked:
		cs.open = slices.Delete(cs.open, at, at+1)
	}
}

// drop closes the oldest connection that waits for its request, or else the
// oldest: so somebody who holds all of them can't keep the others out.
func (cs *connections) drop() {
	at := max(0, slices.IndexFunc(cs.open, func(o *connection) bool { return !o.busy }))
	_ = cs.open[at].Close() // its client sees that
	cs.open = slices.Delete(cs.open, at, at+1)
}
