package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/exporter"
)

// The control socket lies beside the pidfile and answers those who may open
// it, root and the daemon's own user: `status` asks it how the sensors are, and
// `read` for fresh readings, so that two processes never fight for the wires.
// It speaks HTTP and JSON, the document of /readings.json.

func controlPath(pidFile string) string { return strings.TrimSuffix(pidFile, ".pid") + ".sock" }

// listenControl opens the control socket; without a pidfile there is none.
func (s *settings) listenControl() (net.Listener, error) {
	if s.pidFile == "" {
		return nil, nil
	}
	path := controlPath(s.pidFile)
	// Whoever left it is gone: the pidfile's lock is ours.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the control socket of an earlier daemon: %w", err)
	}
	// The socket must never be open to others, not even for a moment.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w: the pidfile's directory must belong to the daemon's user", err)
	}
	return l, nil
}

func (r *running) serveControl(l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readings.json", r.page)
	mux.HandleFunc("POST /read", func(w http.ResponseWriter, q *http.Request) {
		snapshot, err := r.poller.ReadNow(q.Context(), q.URL.Query()["name"]...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := exporter.WriteJSON(w, snapshot, r.clock); err != nil {
			r.log.Debug("the control socket's client is gone", "err", err)
		}
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, q *http.Request) {
		err := r.requestReload()
		var config *configError
		switch {
		case errors.As(err, &config):
			http.Error(w, err.Error(), http.StatusBadRequest)
		case err != nil:
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	err := http.Serve(l, mux)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// errNoDaemon is that no daemon can be asked.
var errNoDaemon = errors.New("no daemon answers")

// errNotYet is that the daemon has just started and knows nothing yet.
var errNotYet = errors.New("the daemon has not read its sensors yet")

// ask sends a request to the daemon of a pidfile.
func ask(ctx context.Context, pidFile, method, path string, values url.Values) ([]byte, error) {
	// http.Client would be half of package net/http, for nothing but this.
	conn, err := new(net.Dialer).DialContext(ctx, "unix", controlPath(pidFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDaemon, err)
	}
	defer conn.Close()
	// Whoever waits for an answer, waits no longer than ctx.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	response, err := exchange(conn, method, path+"?"+values.Encode())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDaemon, cmp.Or(context.Cause(ctx), err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", cmp.Or(context.Cause(ctx), err))
	}
	text := strings.TrimSpace(string(body))
	switch response.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusBadRequest:
		return nil, &configError{errors.New(text)}
	case http.StatusServiceUnavailable:
		return nil, errNotYet
	}
	return nil, fmt.Errorf("the daemon says: %s", text)
}

// exchange sends a request and takes the head of its response.
func exchange(conn net.Conn, method, target string) (*http.Response, error) {
	// http.Request's own Write knows of host names in all scripts.
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: dormouse\r\nConnection: close\r\n\r\n", method, target); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
}

// askForReadings asks what the daemon knows already.
func askForReadings(ctx context.Context, pidFile string) (*exporter.Readings, error) {
	return parseReadings(ask(ctx, pidFile, http.MethodGet, "/readings.json", nil))
}

// askToRead asks for fresh readings, of all sensors where none is named.
func askToRead(ctx context.Context, pidFile string, names []string) (*exporter.Readings, error) {
	return parseReadings(ask(ctx, pidFile, http.MethodPost, "/read", url.Values{"name": names}))
}

// askToReload has the daemon reload; the error is what came of it.
func askToReload(ctx context.Context, pidFile string) error {
	_, err := ask(ctx, pidFile, http.MethodPost, "/reload", nil)
	return err
}

func parseReadings(body []byte, err error) (*exporter.Readings, error) {
	if err != nil {
		return nil, err
	}
	readings := &exporter.Readings{}
	if err := json.Unmarshal(body, readings); err != nil {
		return nil, fmt.Errorf("understand the daemon's answer: %w", err)
	}
	return readings, nil
}
