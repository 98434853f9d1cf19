package web

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/config"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2" // the toolkit's types decode by it
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/time/rate"

	"example.org/dormouse/daemon/regular"
)

// Files are the contents of a web configuration file and of the certificates
// and keys that it names, by path. Whoever has them needs no file system to
// make a Config.
type Files map[string][]byte

// ReadFiles reads the web configuration file at path, in the format of the
// Prometheus exporter-toolkit v0.20.0 (docs/web-configuration.md there), and
// every file that it names. The toolkit checks them first. No error contains a
// key, a password or a part of one.
func ReadFiles(path string) (Files, error) {
	// The toolkit reads whatever it is given: what has no end it must not see.
	files, err := collect(path)
	if err != nil {
		return nil, wrap(path, err)
	}
	// The toolkit's checks of headers and of passwords aren't exported, and it
	// checks files, not their content.
	if err := validate(path); err != nil {
		return nil, wrap(path, err)
	}
	if _, err := Parse(path, files); err != nil {
		return nil, err
	}
	return files, nil
}

// collect reads the file at path and those that it names, as far as they are
// there. The error is that one is no regular file or too large.
func collect(path string) (Files, error) {
	files := Files{}
	read := func(name string) error {
		content, err := regular.ReadFile(name, regular.Most)
		if err == nil {
			files[name] = content
		}
		_, kind := errors.AsType[*regular.KindError](err)
		_, size := errors.AsType[*regular.SizeError](err)
		if kind || size {
			return err
		}
		return nil // whoever needs it reports it
	}
	if err := read(path); err != nil {
		return nil, err
	}
	f, err := decode(files[path])
	if err != nil {
		return files, nil // validate reports it
	}
	f.TLSConfig.SetDirectory(filepath.Dir(path))
	for key, name := range map[string]string{"cert_file": f.TLSConfig.TLSCertPath, "key_file": f.TLSConfig.TLSKeyPath, "client_ca_file": f.TLSConfig.ClientCAs} {
		if name == "" {
			continue
		}
		if err := read(name); err != nil {
			return nil, fmt.Errorf("tls_server_config: %s: %w", key, err)
		}
	}
	return files, nil
}

// Secret tells whether the content of one of the files should be read by nobody
// else: it holds a private key, or the passwords of users.
func Secret(content []byte) bool {
	if bytes.Contains(content, []byte("PRIVATE KEY-----")) {
		return true
	}
	f, err := decode(content)
	return err == nil && (len(f.Users) > 0 || f.TLSConfig.TLSKey != "")
}

// A Config is a web configuration in memory. The toolkit's own server reads its
// file at every request and the certificates at every handshake: it would keep
// a mount busy, and fail once the privileges, the root directory or the USB
// drive they are on are gone.
type Config struct {
	tls     *tls.Config // nil: plain HTTP
	header  map[string]string
	users   map[string]string // bcrypt hashes
	limiter *rate.Limiter     // nil: no limit

	maxCost int // of the users' hashes

	mu      sync.Mutex
	results map[[sha256.Size]byte]bool // of password checks, by a digest of user and password
	bcrypt  sync.Mutex                 // one at a time: each takes long
}

// Load reads the web configuration file at path. An empty path is plain HTTP
// for all.
func Load(path string) (*Config, error) {
	if path == "" {
		return &Config{}, nil
	}
	files, err := ReadFiles(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, files)
}

// Parse makes a Config of the web configuration file at path, from files alone.
func Parse(path string, files Files) (*Config, error) {
	c, err := parse(path, func(name string) ([]byte, error) {
		content, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return content, nil
	})
	if err != nil {
		return nil, wrap(path, err)
	}
	return c, nil
}

func wrap(path string, err error) error { return fmt.Errorf("web configuration %s: %w", path, err) }

func parse(path string, read func(string) ([]byte, error)) (*Config, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	f, err := decode(content)
	if err != nil {
		return nil, err
	}
	c := &Config{header: f.HTTPConfig.Header, results: make(map[[sha256.Size]byte]bool)}
	c.users = make(map[string]string, len(f.Users))
	for user, hash := range f.Users {
		c.users[user] = string(hash)
		if cost, err := bcrypt.Cost([]byte(hash)); err == nil { // a wrong one fits no password
			c.maxCost = max(c.maxCost, cost)
		}
	}
	switch l := f.RateLimiterConfig; {
	case l.Interval < 0, l.Interval > 0 && l.Interval < time.Microsecond:
		return nil, fmt.Errorf("rate_limit: an interval of %s is not a limit: write it with a unit, as in 1s", l.Interval)
	case l.Interval > 0:
		c.limiter = rate.NewLimiter(rate.Every(l.Interval), l.Burst)
	}
	if !f.TLSConfig.IsEnabled() {
		return c, nil
	}
	f.TLSConfig.SetDirectory(filepath.Dir(path))
	if c.tls, err = tlsConfig(&f.TLSConfig, read); err != nil {
		return nil, fmt.Errorf("tls_server_config: %w", err)
	}
	c.tls.NextProtos = []string{"http/1.1"}
	if f.HTTPConfig.HTTP2 {
		c.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	return c, nil
}

// UsesTLS tells whether the pages are served by https; a nil Config serves plain
// HTTP.
func (c *Config) UsesTLS() bool { return c != nil && c.tls != nil }

// decode is the toolkit's getConfig, which isn't exported, with its defaults:
// a test compares both.
func decode(content []byte) (*toolkit.Config, error) {
	f := &toolkit.Config{
		TLSConfig:  toolkit.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, PreferServerCipherSuites: true},
		HTTPConfig: toolkit.HTTPConfig{HTTP2: true},
	}
	if err := yaml.UnmarshalStrict(content, f); err != nil {
		return nil, withoutValues(err)
	}
	return f, nil
}

// tlsConfig makes what crypto/tls needs. The toolkit would read the files that
// t names at each handshake, so their contents are put into t first.
func tlsConfig(t *toolkit.TLSConfig, read func(string) ([]byte, error)) (*tls.Config, error) {
	for _, f := range []struct {
		key  string
		path *string // the toolkit prefers it to the text
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
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		if len(content) == 0 {
			return nil, fmt.Errorf("%s: %s is empty", f.key, *f.path)
		}
		f.set(string(content))
		*f.path = ""
	}
	c, err := toolkit.ConfigToTLSConfig(t)
	if err != nil {
		return nil, err
	}
	// The toolkit takes a file without certificates for a CA that signed none.
	if t.ClientCAsText != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.ClientCAsText)) {
		return nil, errors.New("the client CA contains no certificate in PEM format")
	}
	if verify := c.VerifyPeerCertificate; verify != nil {
		c.VerifyPeerCertificate = func(certificates [][]byte, chains [][]*x509.Certificate) error {
			// The toolkit panics where a client may have no certificate and has none.
			if len(certificates) == 0 {
				return errors.New("the client has no certificate, and client_allowed_sans requires a name in it")
			}
			return verify(certificates, chains)
		}
	}
	// One key pair, parsed once instead of at each handshake.
	pair, err := c.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	c.GetCertificate, c.Certificates = nil, []tls.Certificate{*pair}
	return c, nil
}

// validate has the toolkit check the file at path, and says more of those of
// its errors that don't say what to do.
func validate(path string) error {
	err := toolkit.Validate(path)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name a file that exists and that this user may read, with --web.config.file or in that file", err)
	}
	if content, readErr := regular.ReadFile(path, regular.Most); readErr == nil {
		if f, decodeErr := decode(content); decodeErr == nil {
			if hashErr := checkUsers(f); hashErr != nil {
				return hashErr
			}
		}
	}
	return withoutValues(err)
}

// checkUsers names the user whose password is wrong: bcrypt's own error tells
// the first letter of the password and no name.
func checkUsers(f *toolkit.Config) error {
	for _, user := range slices.Sorted(maps.Keys(f.Users)) {
		if _, err := bcrypt.Cost([]byte(f.Users[user])); err != nil {
			user, _, _ = strings.Cut(user, ":") // what follows is a password without a space before it
			return fmt.Errorf("basic_auth_users: the password of %s is not a bcrypt hash: make one with \"htpasswd -nBC 10 %s\"", user, user)
		}
	}
	return nil
}

// withoutValues removes the values, which may be passwords, from what package
// yaml says: "cannot unmarshal !!str `hunter2` into …".
func withoutValues(err error) error {
	if types, ok := errors.AsType[*yaml.TypeError](err); ok {
		for i, text := range types.Errors {
			types.Errors[i] = unquoted(text)
		}
		return err
	}
	if text := err.Error(); text != unquoted(text) {
		return errors.New(unquoted(text))
	}
	return err
}

// unquoted removes what stands between the quotes of those of package yaml's
// messages that quote a value.
func unquoted(text string) string {
	for _, quotes := range [][2]string{{" `", "` "}, {"unknown anchor '", "' "}} {
		from, to := strings.Index(text, quotes[0]), strings.LastIndex(text, quotes[1])
		if from >= 0 && to > from {
			text = text[:from+len(quotes[0])] + "…" + text[to:]
		}
	}
	return text
}
