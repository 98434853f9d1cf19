// Package control is the protocol between a running daemon and the commands
// that ask it for something: `status` for the state of its sensors, `read` for
// fresh readings, so that two processes never compete for the wires, and
// `reload` for the outcome. It is HTTP and JSON, the document of
// /readings.json, on a socket beside the pidfile that root and the daemon's own
// user may open.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// A ConfigError is a configuration that can't be read or is invalid.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Path is the socket of the daemon of a pidfile.
func Path(pidFile string) string { return strings.TrimSuffix(pidFile, ".pid") + ".sock" }

// Listen opens the socket of the daemon of a pidfile. The caller holds the
// pidfile's lock, so a socket that is there already is an earlier daemon's.
func Listen(pidFile string) (net.Listener, error) {
	path := Path(pidFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the control socket of an earlier daemon: %w", err)
	}
	// The socket must not be open to others even for a moment.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w: the pidfile's directory must belong to the daemon's user", err)
	}
	return l, nil
}

// A Server answers the commands.
type Server struct {
	Readings http.Handler // /readings.json
	// Read reads the named sensors, all without a name, and returns once they
	// have been read.
	Read func(ctx context.Context, names ...string) (*sensors.Snapshot, error)
	// Snapshot is the latest one, nil before the first wake has ended.
	Snapshot func() *sensors.Snapshot
	// Reload reads all files again. A *ConfigError is told as that.
	Reload func() error
	// Addresses are where the page is served.
	Addresses []string
	// LongestEnd is how long programs may take to end when the daemon does.
	LongestEnd func() time.Duration
	Clock      exporter.Clock
	Log        *slog.Logger
}

// Serve answers until l is closed, which is no error. It holds mostConnections at
// most.
func (s *Server) Serve(l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readings.json", s.Readings)
	mux.HandleFunc("GET /programs", s.programs)
	mux.HandleFunc("GET /addresses", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.Addresses) })
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.LongestEnd().Seconds()) })
	mux.HandleFunc("POST /read", s.read)
	mux.HandleFunc("POST /reload", s.reload)
	open := &connections{}
	server := http.Server{Handler: mux, MaxHeaderBytes: mostHeader, ConnState: open.track}
	server.SetKeepAlivesEnabled(false)
	err := server.Serve(l)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) read(w http.ResponseWriter, q *http.Request) {
	snapshot, err := s.Read(q.Context(), q.URL.Query()["name"]...)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := exporter.WriteJSON(w, snapshot, s.Clock); err != nil {
		s.Log.Debug("the client of the control socket is gone", "err", err)
	}
}

func (s *Server) answer(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		s.Log.Debug("the client of the control socket is gone", "err", err)
	}
}

func (s *Server) reload(w http.ResponseWriter, q *http.Request) {
	err := s.Reload()
	var config *ConfigError
	switch {
	case errors.As(err, &config):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	}
}
