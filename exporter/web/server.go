package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxConnections bounds the memory that clients can use. There are no timeouts:
// each would be a timer, armed on a kept-alive connection that is idle between
// two scrapes, and would wake the process. Instead, when a connection exceeds
// the limit, the one that has been silent or stuck for the longest is closed:
// a scraper that is gone, one that never ends its request or one that never
// reads its response. A scraper whose idle connection was closed opens a new
// one.
const maxConnections = 32

// maxHeader bounds the header of a request; that of a scrape has some 400 bytes.
const maxHeader = 16 << 10

// A Server serves a handler on listeners, with TLS and passwords where a
// Config requires them.
type Server struct {
	http   *http.Server
	log    *slog.Logger
	config atomic.Pointer[Config]

	mu      sync.Mutex
	conns   map[net.Conn]*client
	changes uint64 // of state, of all connections
}

// client is one connection.
type client struct {
	since uint64 // the number of its last change of state
	idle  bool
	stale bool // it was accepted under an earlier Config
}

// New makes a Server for a handler; a nil config is plain HTTP for all.
func New(h http.Handler, config *Config, log *slog.Logger) *Server {
	s := &Server{log: log, conns: make(map[net.Conn]*client)}
	if config == nil {
		config = &Config{}
	}
	s.config.Store(config)
	s.http = &http.Server{
		Handler:        s.guard(h),
		MaxHeaderBytes: maxHeader,
		ConnState:      s.track,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// SetConfig makes config the one in use. Connections accepted under the earlier
// one are closed as soon as they are idle.
func (s *Server) SetConfig(config *Config) {
	if config == nil {
		config = &Config{}
	}
	s.config.Store(config)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, is := range s.conns {
		is.stale = true
		if is.idle {
			s.drop(c)
		}
	}
}

// Serve answers on the listeners until Shutdown, which makes it return nil, or
// until one of them fails. It closes them.
func (s *Server) Serve(listeners ...net.Listener) error {
	ends := make(chan error, len(listeners))
	for _, l := range listeners {
		s.log.Info("listening", "address", l.Addr().String(), "tls", s.config.Load().tls != nil)
		go func() { ends <- s.http.Serve(&listener{l, s}) }()
	}
	var errs error
	for range listeners {
		err := <-ends
		if errors.Is(err, http.ErrServerClosed) {
			continue
		}
		errs = errors.Join(errs, fmt.Errorf("serve: %w", err), s.http.Close())
	}
	return errs
}

// Shutdown stops listening, waits for running requests until ctx ends, and closes
// all connections.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// track follows the connections; it is http.Server's ConnState.
func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	switch state {
	case http.StateNew:
		if len(s.conns) >= maxConnections {
			s.dropOldest()
		}
		s.conns[c] = &client{since: s.changes}
	case http.StateActive, http.StateIdle:
		is := s.conns[c]
		if is == nil {
			return // it was closed meanwhile
		}
		is.since, is.idle = s.changes, state == http.StateIdle
		if is.idle && is.stale {
			s.drop(c)
		}
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
	}
}

func (s *Server) dropOldest() {
	var oldest net.Conn
	for c, is := range s.conns {
		if oldest == nil || is.since < s.conns[oldest].since {
			oldest = c
		}
	}
	s.drop(oldest)
}

// drop closes a connection at once, without TLS's close_notify alert, which a
// stuck client could block.
func (s *Server) drop(c net.Conn) {
	delete(s.conns, c)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Debug("close a connection", "err", err)
	}
}

// listener accepts connections and prepares them for the Server.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	// Sockets from systemd have not our ListenConfig. Keep-alive probes would
	// wake the process every 15 s; where they can't be switched off, that is the
	// only effect.
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetKeepAlive(false)
		c = quiet(t)
	}
	if config := l.server.config.Load().tls; config != nil {
		c = tls.Server(c, config)
	}
	return c, nil
}
