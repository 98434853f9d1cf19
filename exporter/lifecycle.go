package exporter

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.org/dormouse/sensors"
)

// lifecycle is what a POST can have the daemon do.
type lifecycle struct {
	clock  Clock
	reload func() error
	read   func(context.Context) error

	mu     sync.Mutex
	lastly sensors.Instant // the last read that was asked for; zero: none yet
}

func (l *lifecycle) route(path string) http.HandlerFunc {
	switch path {
	case "/-/reload":
		return func(w http.ResponseWriter, r *http.Request) {
			if l.allows(w, r, l.reload != nil, "reload the configuration", "send it SIGHUP") {
				l.serveReload(w)
			}
		}
	case "/-/read":
		return func(w http.ResponseWriter, r *http.Request) {
			if l.allows(w, r, l.read != nil, "read the sensors", "send it SIGUSR1") {
				l.serveRead(w, r)
			}
		}
	}
	return nil
}

// crossOrigin refuses what a browser sends for a page of another site: it would
// send the user's password along.
var crossOrigin = http.NewCrossOriginProtection()

// allows refuses, with an answer, what may not be asked for.
func (l *lifecycle) allows(w http.ResponseWriter, r *http.Request, enabled bool, what, instead string) bool {
	switch {
	case !enabled:
		plain(w, http.StatusForbidden, fmt.Sprintf("HTTP may not %s: start dormouse with --web.enable-lifecycle, or %s", what, instead))
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		w.Header().Set("Allow", "POST, PUT")
		plain(w, http.StatusMethodNotAllowed, "only POST and PUT are allowed here")
	case crossOrigin.Check(r) != nil:
		plain(w, http.StatusForbidden, "a page of another site may not "+what)
	default:
		return true
	}
	return false
}

func (l *lifecycle) serveReload(w http.ResponseWriter) {
	if err := l.reload(); err != nil {
		plain(w, http.StatusInternalServerError, fmt.Sprintf("the configuration was not reloaded, the previous one stays in use: %v", err))
		return
	}
	plain(w, http.StatusOK, "the configuration was reloaded")
}

// readPause is the least time between two reads that HTTP asks for: sensors warm
// themselves when they are read often.
const readPause = 10 * time.Second

// serveRead reads all sensors, no tasks, and leads a browser back to the page.
func (l *lifecycle) serveRead(w http.ResponseWriter, r *http.Request) {
	if wait := l.wait(); wait > 0 {
		seconds := int((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		backToPage(w, seconds)
		plain(w, http.StatusTooManyRequests, fmt.Sprintf("the sensors were read just now: again in %d s", seconds))
		return
	}
	if err := l.read(r.Context()); err != nil {
		backToPage(w, int(readPause/time.Second))
		plain(w, http.StatusInternalServerError, fmt.Sprintf("the sensors were not read: %v", err))
		return
	}
	w.Header().Set("Location", "/")
	plain(w, http.StatusSeeOther, "the sensors were read")
}

// backToPage leads a browser from a refusal back to the page, which has the
// button.
func backToPage(w http.ResponseWriter, seconds int) {
	w.Header().Set("Refresh", fmt.Sprintf("%d; url=/", seconds))
}

// wait is how long until a read may be asked for again; zero: it counts as
// asked for.
func (l *lifecycle) wait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if !l.lastly.IsZero() && now.Sub(l.lastly) < readPause {
		return readPause - now.Sub(l.lastly)
	}
	l.lastly = now
	return 0
}
