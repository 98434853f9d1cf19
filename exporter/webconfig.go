package exporter

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/prometheus/common/config"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"
)

// A WebConfig is a web configuration file of the Prometheus exporter-toolkit
// (--web.config.file), with the certificates that it names, held in memory.
// The toolkit's own server opens that file at every request and the
// certificates at every handshake: it would keep a mount busy, and fail once
// the privileges, the root or the stick are gone. So its format and its
// conversion to a tls.Config are used, and the answers to requests are ours.
type WebConfig struct {
	tls     *tls.Config // nil: plain HTTP
	header  map[string]string
	users   map[string]config.Secret // bcrypt hashes
	limiter *rate.Limiter            // nil: no limit

	mu     sync.Mutex
	proven map[[sha256.Size]byte]bool // whether a user and password fit
	hash   sync.Mutex                 // one bcrypt at a time: each takes long
}

// LoadWebConfig reads a web configuration file and what it names. An empty
// path is plain HTTP for all.
func LoadWebConfig(path string) (*WebConfig, error) {
	if path == "" {
		return &WebConfig{}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("web configuration: %w", err)
	}
	return ParseWebConfig(path, data, os.ReadFile)
}

// ParseWebConfig makes a WebConfig of a file's content. The paths in it are
// relative to the file's directory, and read by read.
func ParseWebConfig(path string, data []byte, read func(string) ([]byte, error)) (*WebConfig, error) {
	w, err := parseWebConfig(filepath.Dir(path), data, read)
	if err != nil {
		return nil, fmt.Errorf("web configuration %s: %w", path, err)
	}
	return w, nil
}

func parseWebConfig(dir string, data []byte, read func(string) ([]byte, error)) (*WebConfig, error) {
	c := web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	w := &WebConfig{header: c.HTTPConfig.Header, users: c.Users, proven: make(map[[sha256.Size]byte]bool)}
	if err := checkHeader(w.header); err != nil {
		return nil, err
	}
	for user, hash := range w.users {
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			return nil, fmt.Errorf("basic_auth_users: the password of %s is no bcrypt hash: make one with \"htpasswd -nBC 10 %s\": %w", user, user, err)
		}
	}
	if l := c.RateLimiterConfig; l.Interval != 0 {
		w.limiter = rate.NewLimiter(rate.Every(l.Interval), l.Burst)
	}
	if !c.TLSConfig.IsEnabled() {
		return w, nil
	}
	c.TLSConfig.SetDirectory(dir)
	if err := inline(&c.TLSConfig, read); err != nil {
		return nil, err
	}
	var err error
	w.tls, err = tlsConfig(&c)
	return w, err
}

// inline replaces the paths in t by what the files hold.
func inline(t *web.TLSConfig, read func(string) ([]byte, error)) error {
	for _, f := range []struct {
		key  string
		path *string
		set  func(string)
	}{
		{"cert_file", &t.TLSCertPath, func(s string) { t.TLSCert = s }},
		{"key_file", &t.TLSKeyPath, func(s string) { t.TLSKey = config.Secret(s) }},
		{"client_ca_file", &t.ClientCAs, func(s string) { t.ClientCAsText = s }},
	} {
		if *f.path == "" {
			continue
		}
		content, err := read(*f.path)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		f.set(string(content))
		*f.path = ""
	}
	return nil
}

func tlsConfig(c *web.Config) (*tls.Config, error) {
	// The toolkit takes a file without certificates for a CA that signed none.
	if ca := c.TLSConfig.ClientCAsText; ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("tls_server_config: the client CA holds no certificate in PEM")
	}
	t, err := web.ConfigToTLSConfig(&c.TLSConfig)
	if err != nil {
		return nil, fmt.Errorf("tls_server_config: %w", err)
	}
	// The toolkit parses the certificate again at each handshake.
	cert, err := t.GetCertificate(nil)
	if err != nil {
		return nil, fmt.Errorf("tls_server_config: %w", err)
	}
	t.GetCertificate, t.Certificates = nil, []tls.Certificate{*cert}
	// HTTP/2 costs more goroutines and wake-ups for each scrape and gives a
	// single request nothing, so it is offered only if it is asked for.
	t.NextProtos = []string{"http/1.1"}
	if c.HTTPConfig.HTTP2 {
		t.NextProtos = []string{"h2", "http/1.1"}
	}
	return t, nil
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

// guard lets those requests through to h that the WebConfig of the moment
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
func (c *WebConfig) allows(r *http.Request) bool {
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
