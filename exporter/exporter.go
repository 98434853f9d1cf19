package exporter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.org/dormouse/sensors"
)

// A Clock gives the time since boot, and the wall-clock time of an Instant; ok
// is false while the wall clock is known to be wrong. *alarm.Clock is one.
type Clock interface {
	Now() sensors.Instant
	Wall(sensors.Instant) (t time.Time, ok bool)
}

// Build are the labels of dormouse_build_info: those that every Prometheus
// exporter has.
type Build struct {
	Version   string
	Revision  string
	Branch    string
	Tags      string // build tags
	GoVersion string
	GoOS      string
	GoArch    string
}

// Options are what an Exporter is made with.
type Options struct {
	Build Build
	Clock Clock
	Log   *slog.Logger // nil: none
	// TelemetryPath is where the metrics are; empty: /metrics.
	TelemetryPath string
	// Page serves "/". nil: there is no such page.
	Page http.Handler
	// Reload reads the configuration again, for POST /-/reload, and Read reads
	// the sensors, for POST /-/read. nil: the endpoint refuses.
	Reload func() error
	Read   func(context.Context) error
}

// An Exporter serves the latest Snapshot. Its methods may be called from any
// goroutine.
type Exporter struct {
	build     Build
	clock     Clock
	log       *slog.Logger
	telemetry string
	status    http.Handler
	lifecycle lifecycle
	negotiate negotiator

	mu      sync.Mutex // held while a new pageSet is made
	current atomic.Pointer[pageSet]

	renderer renderer
}

// facts is what a page is rendered from.
type facts struct {
	snapshot *sensors.Snapshot // nil before the first
	started  sensors.Instant   // of the process; zero: unknown

	reloaded   bool // the last reload succeeded
	reloadedAt sensors.Instant
}

// New makes an Exporter without a Snapshot: /-/ready answers 503 until one is
// published. The configuration counts as loaded now.
func New(o Options) *Exporter {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Exporter{
		build:     o.Build,
		clock:     o.Clock,
		log:       o.Log,
		telemetry: o.TelemetryPath,
		status:    o.Page,
		lifecycle: lifecycle{clock: o.Clock, reload: o.Reload, read: o.Read},
	}
	if e.telemetry == "" {
		e.telemetry = "/metrics"
	}
	e.telemetry = "/" + strings.TrimLeft(e.telemetry, "/")
	p := newProcess()
	e.renderer.log, e.renderer.usage, e.renderer.unwritable = o.Log, p.usage, make(map[string]bool)
	e.current.Store(&pageSet{facts: facts{
		started: p.started, reloaded: true, reloadedAt: o.Clock.Now(),
	}})
	return e
}

// Publish makes s the Snapshot that the next scrape sees. It renders and
// measures nothing, so that a wake costs the same with and without a scraper.
func (e *Exporter) Publish(s *sensors.Snapshot) {
	e.change(func(f *facts) { f.snapshot = s })
}

// SetReload records the outcome of a reload of the configuration.
func (e *Exporter) SetReload(ok bool, at sensors.Instant) {
	e.change(func(f *facts) {
		f.reloaded = ok
		if ok {
			f.reloadedAt = at
		}
	})
}

func (e *Exporter) change(set func(*facts)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := &pageSet{facts: e.current.Load().facts}
	set(&next.facts)
	e.current.Store(next)
}

// ServeHTTP answers all of the exporter's paths.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if action := e.lifecycle.route(path); action != nil {
		action(w, r)
		return
	}
	serve := e.route(path)
	if serve == nil {
		http.Error(w, fmt.Sprintf("not found: the metrics are at %s, the status page is at /", e.telemetry), http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are allowed here", http.StatusMethodNotAllowed)
		return
	}
	serve(w, r)
}

func (e *Exporter) route(path string) http.HandlerFunc {
	switch path {
	case e.telemetry:
		return e.serveMetrics
	case "/":
		return e.serveStatus
	case "/readings.json":
		return e.serveReadings
	case "/-/healthy":
		return serveHealthy
	case "/-/ready":
		return e.serveReady
	}
	return nil
}

// TelemetryPath is a path for the metrics with its slash. The error is that of
// one that has another page, or that no request can have.
func TelemetryPath(path string) (string, error) {
	path = "/" + strings.TrimLeft(path, "/")
	if strings.ContainsAny(path, "?# %") { // what follows % is decoded in a request
		return "", fmt.Errorf("%q is not a path: write one such as /metrics, without ?, #, %% and spaces", path)
	}
	if e := (&Exporter{}); e.route(path) != nil || strings.HasPrefix(path, "/-/") {
		return "", fmt.Errorf("%s is the path of another page: write one such as /metrics", path)
	}
	return path, nil
}

func (e *Exporter) serveStatus(w http.ResponseWriter, r *http.Request) {
	if e.status == nil {
		plain(w, http.StatusNotFound, "there is no status page here: the metrics are at "+e.telemetry)
		return
	}
	e.status.ServeHTTP(w, r)
}

func serveHealthy(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "dormouse is healthy")
}

func (e *Exporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	if e.current.Load().facts.snapshot == nil {
		plain(w, http.StatusServiceUnavailable, "dormouse has not read its sensors yet")
		return
	}
	plain(w, http.StatusOK, "dormouse is ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A client that is gone wants no answer.
	_, _ = io.WriteString(w, text+"\n")
}
