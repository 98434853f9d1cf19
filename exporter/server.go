package exporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"example.org/dormouse/sensors"
)

// mostConnections bounds what clients can make the daemon hold. There are no
// time-outs: each would be a timer, armed on a kept-alive connection that
// sleeps between two scrapes, and waking the process. Instead, when one
// connection too many comes, the one that has been silent or stuck for the
// longest gives way, be it a scraper that is gone, one that never ends its
// request or one that never reads its answer. A scraper whose idle connection
// gave way opens a new one.
const mostConnections = 32

// mostHeader bounds a request: a scrape's header is some 400 bytes.
const mostHeader = 16 << 10

// A Server serves a handler on listeners, with TLS and passwords where a
// WebConfig asks for them.
type Server struct {
	http   *http.Server
	log    *slog.Logger
	now    func() sensors.Instant
	config atomic.Pointer[WebConfig]
	tidier tidier

	mu    sync.Mutex
	conns map[net.Conn]*client
}

// client is one connection.
type client struct {
	since sensors.Instant // its last change of state
	idle  bool
	stale bool // it was made under an earlier WebConfig
}

// NewServer makes a Server for a handler; a nil config is plain HTTP for all.
func NewServer(h http.Handler, config *WebConfig, clock Clock, log *slog.Logger) *Server {
	s := &Server{log: log, now: clock.Now, conns: make(map[net.Conn]*client)}
	if config == nil {
		config = &WebConfig{}
	}
	s.config.Store(config)
	s.http = &http.Server{
		Handler:        s.guard(h),
		MaxHeaderBytes: mostHeader,
		ConnState:      s.track,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// SetWebConfig makes config hold from now on. Connections made under the
// earlier one are closed as soon as they are idle.
func (s *Server) SetWebConfig(config *WebConfig) {
	if config == nil {
		config = &WebConfig{}
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

// Shutdown stops listening, lets running answers end until ctx does, and
// closes all connections.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

// track follows the connections; it is http.Server's ConnState.
func (s *Server) track(c net.Conn, state http.ConnState) {
	s.note(c, state)
	if state == http.StateIdle || state == http.StateClosed {
		s.tidier.tidy()
	}
}

func (s *Server) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(s.conns) >= mostConnections {
			s.dropOldest()
		}
		s.conns[c] = &client{since: s.now()}
	case http.StateActive, http.StateIdle:
		is := s.conns[c]
		if is == nil {
			return // it gave way meanwhile
		}
		is.since, is.idle = s.now(), state == http.StateIdle
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
		if oldest == nil || is.since.Before(s.conns[oldest].since) {
			oldest = c
		}
	}
	s.drop(oldest)
}

// drop closes a connection at once, without TLS's farewell, for which a stuck
// client would let us wait.
func (s *Server) drop(c net.Conn) {
	delete(s.conns, c)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Debug("close a connection", "err", err)
	}
}

// listener hands out connections as the Server wants them.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	// A listener that systemd made knows nothing of our ListenConfig. A probe
	// every 15 s would wake the process; where it can't be turned off, that is
	// all the harm.
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetKeepAlive(false)
		c = quiet(t)
	}
	if config := l.server.config.Load().tls; config != nil {
		c = tls.Server(c, config)
	}
	return c, nil
}

// Listen listens on TCP addresses, HOST:PORT or :PORT, on all of them or none.
func Listen(addresses []string) ([]net.Listener, error) {
	// No keep-alive probes, which Go would send every 15 s; and plain TCP,
	// not the Multipath TCP that Go prefers for servers.
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	var listeners []net.Listener
	var errs error
	for _, address := range addresses {
		l, err := listen(&config, address)
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		listeners = append(listeners, l)
	}
	if errs == nil && len(listeners) == 0 {
		errs = errors.New("no address to listen on is given: use --web.listen-address=:9367, or --no-web to serve nothing")
	}
	if errs != nil {
		closeAll(listeners)
		return nil, errs
	}
	return listeners, nil
}

func listen(config *net.ListenConfig, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	switch {
	case strings.Contains(address, "://"):
		return nil, fmt.Errorf("listen on %q: only TCP is offered: write HOST:PORT or :PORT, without a scheme", address)
	case err != nil:
		return nil, fmt.Errorf("listen on %q: %w: write HOST:PORT or :PORT, as in :9367, 127.0.0.1:9367 or [::1]:9367", address, err)
	}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err == nil {
		return l, nil
	}
	hint := ""
	var dns *net.DNSError
	var addr *net.AddrError
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = fmt.Sprintf(": another process has that port (\"ss -ltnp sport = :%s\" shows which): stop it, or choose another with --web.listen-address", port)
	case errors.Is(err, unix.EACCES):
		hint = ": ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher one with --web.listen-address"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": this machine doesn't have that address (yet): listen on all with :" + port + ", or start after the network is up"
	case errors.As(err, &dns), errors.As(err, &addr):
		hint = ": write HOST:PORT or :PORT, as in :9367, 127.0.0.1:9367 or [::1]:9367"
	}
	return nil, fmt.Errorf("listen on %q: %w%s", address, err, hint)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close() // nothing was accepted on it
	}
}
