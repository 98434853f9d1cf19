package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
)

// maxHeader bounds the header of a request; that of a scrape has some 400 bytes.
const maxHeader = 16 << 10

// maxStreams bounds what one connection can have answered at the same time.
const maxStreams = 8

// A Server serves a handler on listeners, with TLS and passwords where a
// Config requires them.
type Server struct {
	http   *http.Server
	log    *slog.Logger
	config atomic.Pointer[Config]

	conns *connections
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// New makes a Server for a handler; a nil config is plain HTTP for all.
func New(h http.Handler, config *Config, log *slog.Logger) *Server {
	s := &Server{log: log, conns: newConnections(log)}
	if config == nil {
		config = &Config{}
	}
	s.config.Store(config)
	s.http = &http.Server{
		Handler:        s.guard(h),
		MaxHeaderBytes: maxHeader,
		ConnState:      s.conns.track,
		ConnContext:    func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// It would read the body of "OPTIONS *" without the guard.
		DisableGeneralOptionsHandler: true,
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
	s.conns.retire()
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

// listener accepts connections and prepares them for the Server.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		if l.server.conns.crowded() {
			// Let those that were accepted before read what their clients sent:
			// with one processor they would be replaced before they ever ran.
			runtime.Gosched()
		}
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		// Sockets from systemd have not our ListenConfig. Keep-alive probes would
		// wake the process every 15 s; where they can't be switched off, that is
		// the only effect.
		var socket *quietConn
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetKeepAlive(false)
			if socket, err = quiet(t); err == nil {
				c = socket
			}
		}
		if config := l.server.config.Load().tls; config != nil {
			c = tls.Server(c, config)
		}
		if l.server.conns.admit(c, socket) {
			return c, nil
		}
		l.server.conns.close(c)
	}
}
