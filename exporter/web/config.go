package web

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// A Config is a web configuration file of the Prometheus exporter-toolkit
// (--web.config.file), with the certificates that it names, held in memory.
// The toolkit's own server opens that file at every request and the
// certificates at every handshake: it would keep a mount busy, and fail once
// the privileges, the root or the stick are gone.
type Config struct {
	tls     *tls.Config // nil: plain HTTP
	header  map[string]string
	users   map[string]string // bcrypt hashes
	limiter *rate.Limiter     // nil: no limit

	mu     sync.Mutex
	proven map[[sha256.Size]byte]bool // whether a user and password fit
	hash   sync.Mutex                 // one bcrypt at a time: each takes long
}

// Load reads a web configuration file and what it names. An empty
// path is plain HTTP for all.
func Load(path string) (*Config, error) {
	if path == "" {
		return &Config{}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("web configuration: %w", err)
	}
	return Parse(path, data, os.ReadFile)
}

// Parse makes a Config of a file's content. The paths in it are
// relative to the file's directory, and read by read.
func Parse(path string, data []byte, read func(string) ([]byte, error)) (*Config, error) {
	w, err := parse(filepath.Dir(path), data, read)
	if err != nil {
		return nil, fmt.Errorf("web configuration %s: %w", path, err)
	}
	return w, nil
}

func parse(dir string, data []byte, read func(string) ([]byte, error)) (*Config, error) {
	f, err := decodeWebFile(data)
	if err != nil {
		return nil, err
	}
	w := &Config{header: f.HTTP.Header, users: f.Users, proven: make(map[[sha256.Size]byte]bool)}
	if f.Rate.Interval != 0 {
		w.limiter = rate.NewLimiter(rate.Every(time.Duration(f.Rate.Interval)), f.Rate.Burst)
	}
	if !f.TLS.enabled() {
		return w, nil
	}
	if err := f.TLS.inline(dir, read); err != nil {
		return nil, err
	}
	if w.tls, err = f.TLS.config(); err != nil {
		return nil, fmt.Errorf("tls_server_config: %w", err)
	}
	// HTTP/2 costs more goroutines and wake-ups for each scrape and gives a
	// single request nothing, so it is offered only if it is asked for.
	w.tls.NextProtos = []string{"http/1.1"}
	if f.HTTP.HTTP2 {
		w.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	return w, nil
}

// headers are those that http_server_config may set, with their possible
// values where there are few; as in exporter-toolkit's web/handler.go.
var headers = map[string][]string{
	"Strict-Transport-Security": nil,
	"X-Content-Type-Options":    {"nosniff"},
	"X-Frame-Options":           {"deny", "sameorigin"},
	"X-XSS-Protection":          nil,
	"Content-Security-Policy":   nil,
}

func checkHeader(header map[string]string) error {
	for name, value := range header {
		values, ok := headers[name]
		if !ok {
			return fmt.Errorf("http_server_config: the header %q can't be set", name)
		}
		if values != nil && !slices.Contains(values, value) {
			return fmt.Errorf("http_server_config: %s is %q: one of %q is meant", name, value, values)
		}
	}
	return nil
}

// guard lets those requests through to h that the Config of the moment
// allows.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.config.Load()
		for name, value := range c.header {
			w.Header().Set(name, value)
		}
		switch {
		case c.limiter != nil && !c.limiter.Allow():
			http.Error(w, "too many requests: see rate_limit in the web configuration", http.StatusTooManyRequests)
		case c.tls != nil && r.TLS == nil:
			w.Header().Set("Connection", "close")
			http.Error(w, "TLS is asked for since the last reload: connect again by https", http.StatusUpgradeRequired)
		case !c.allows(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="dormouse", charset="UTF-8"`)
			http.Error(w, "a user and a password are asked for", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// nobody is the hash, of a random password, that a user who doesn't exist is
// compared with, so that the time taken doesn't tell who exists.
const nobody = "$2a$10$VxXnQusXoFBQY14MMSeY5eafwvjUWRhsPCEwxhAm/HklHfUoaDTo6"

// mostProven bounds the memory that guessed passwords can take.
const mostProven = 64

// allows tells whether the request bears a user's password. bcrypt is slow on
// purpose, half a second on a small Pi, so the outcome is remembered by a
// digest of what was sent.
func (c *Config) allows(r *http.Request) bool {
	if len(c.users) == 0 {
		return true
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return false
	}
	// The length of the user's name keeps the two apart.
	digest := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s", len(user), user, password))
	c.mu.Lock()
	fits, known := c.proven[digest]
	c.mu.Unlock()
	if known {
		return fits
	}
	hash, exists := c.users[user]
	if !exists {
		hash = nobody
	}
	c.hash.Lock()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	c.hash.Unlock()
	fits = exists && err == nil

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.proven) >= mostProven {
		clear(c.proven)
	}
	c.proven[digest] = fits
	return fits
}
