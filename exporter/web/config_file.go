package web

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
)

// A webFile is a web configuration file in the format of the Prometheus
// exporter-toolkit v0.20.0, docs/web-configuration.md there. The toolkit itself
// would bring a megabyte of what nobody calls into the executable; a test holds
// each document against its parser.
type webFile struct {
	TLS   tlsSection        `yaml:"tls_server_config"`
	HTTP  httpSection       `yaml:"http_server_config"`
	Rate  rateSection       `yaml:"rate_limit"`
	Users map[string]string `yaml:"basic_auth_users"` // bcrypt hashes
}

type tlsSection struct {
	Cert         string      `yaml:"cert"`
	Key          string      `yaml:"key"`
	ClientCA     string      `yaml:"client_ca"`
	CertFile     string      `yaml:"cert_file"`
	KeyFile      string      `yaml:"key_file"`
	ClientCAFile string      `yaml:"client_ca_file"`
	ClientAuth   string      `yaml:"client_auth_type"`
	AllowedSANs  []string    `yaml:"client_allowed_sans"`
	CipherSuites []tlsCipher `yaml:"cipher_suites"`
	Curves       []tlsCurve  `yaml:"curve_preferences"`
	MinVersion   tlsVersion  `yaml:"min_version"`
	MaxVersion   tlsVersion  `yaml:"max_version"`
	PreferServer bool        `yaml:"prefer_server_cipher_suites"` // no effect since Go 1.17, in the toolkit too
}

type httpSection struct {
	HTTP2  bool              `yaml:"http2"`
	Header map[string]string `yaml:"headers"`
}

type rateSection struct {
	Burst    int      `yaml:"burst"`
	Interval interval `yaml:"interval"`
}

// decodeWebFile reads a document strictly: a key that isn't known is an error.
// No error tells what a key or a password is.
func decodeWebFile(data []byte) (*webFile, error) {
	f := &webFile{TLS: tlsSection{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, withoutValues(err)
	}
	if err := checkHeader(f.HTTP.Header); err != nil {
		return nil, err
	}
	for user, hash := range f.Users {
		// bcrypt's own error tells the first letter of what it was given.
		if _, err := bcrypt.Cost([]byte(hash)); err != nil {
			user, _, _ = strings.Cut(user, ":") // what follows is a password without a space before it
			return nil, fmt.Errorf("basic_auth_users: the password of %s is no bcrypt hash: make one with \"htpasswd -nBC 10 %s\"", user, user)
		}
	}
	return f, nil
}

// withoutValues takes the values out of what package yaml says of wrong types:
// "cannot unmarshal !!str `hunter2` into …".
func withoutValues(err error) error {
	types, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return errors.New(unquoted(err.Error()))
	}
	for i, text := range types.Errors {
		types.Errors[i] = unquoted(text)
	}
	return err
}

func unquoted(text string) string {
	from, to := strings.Index(text, " `"), strings.LastIndex(text, "` ")
	if from < 0 || to <= from {
		return text
	}
	return text[:from] + text[to+1:]
}

// interval is a duration with its unit, or a plain 0, which package yaml would
// refuse.
type interval time.Duration

func (i *interval) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("line %d: interval: %w: write it with a unit, as in 1s", n.Line, err)
	}
	*i = interval(d)
	return nil
}

type (
	tlsVersion uint16
	tlsCipher  uint16
	tlsCurve   tls.CurveID
)

var tlsVersions = map[string]tlsVersion{
	"TLS10": tls.VersionTLS10, "TLS11": tls.VersionTLS11, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13,
}

func (v *tlsVersion) UnmarshalYAML(n *yaml.Node) error {
	return choose(n, v, "TLS version", tlsVersions)
}

var tlsCurves = map[string]tlsCurve{
	"CurveP256": tlsCurve(tls.CurveP256), "CurveP384": tlsCurve(tls.CurveP384), "CurveP521": tlsCurve(tls.CurveP521), "X25519": tlsCurve(tls.X25519),
}

func (c *tlsCurve) UnmarshalYAML(n *yaml.Node) error { return choose(n, c, "curve", tlsCurves) }

func (c *tlsCipher) UnmarshalYAML(n *yaml.Node) error {
	suites := map[string]tlsCipher{}
	for _, s := range tls.CipherSuites() { // those without known weaknesses
		suites[s.Name] = tlsCipher(s.ID)
	}
	return choose(n, c, "cipher", suites)
}

// choose sets v to what a name stands for.
func choose[T any](n *yaml.Node, v *T, what string, values map[string]T) error {
	var name string
	if err := n.Decode(&name); err != nil {
		return err
	}
	value, ok := values[name]
	if !ok {
		return fmt.Errorf("line %d: unknown %s: %s: one of %s is meant", n.Line, what, name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	}
	*v = value
	return nil
}

var clientAuths = map[string]tls.ClientAuthType{
	"":                           tls.NoClientCert,
	"NoClientCert":               tls.NoClientCert,
	"RequestClientCert":          tls.RequestClientCert,
	"RequireClientCert":          tls.RequireAnyClientCert, // its name of old
	"RequireAnyClientCert":       tls.RequireAnyClientCert,
	"VerifyClientCertIfGiven":    tls.VerifyClientCertIfGiven,
	"RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
}

// enabled tells whether TLS is asked for: by anything that has no meaning
// without it.
func (t *tlsSection) enabled() bool {
	return t.Cert != "" || t.CertFile != "" || t.Key != "" || t.KeyFile != "" ||
		t.ClientCA != "" || t.ClientCAFile != "" || t.ClientAuth != ""
}

// inline replaces the paths in t, relative to dir, by what the files hold.
func (t *tlsSection) inline(dir string, read func(string) ([]byte, error)) error {
	for _, f := range []struct {
		key, path string
		set       func(string)
	}{
		{"cert_file", t.CertFile, func(s string) { t.Cert = s }},
		{"key_file", t.KeyFile, func(s string) { t.Key = s }},
		{"client_ca_file", t.ClientCAFile, func(s string) { t.ClientCA = s }},
	} {
		if f.path == "" {
			continue
		}
		path := f.path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		content, err := read(path)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		if len(content) == 0 {
			return fmt.Errorf("%s: %s is empty", f.key, path)
		}
		f.set(string(content))
	}
	return nil
}

// config makes what crypto/tls wants of a section whose files are in it.
func (t *tlsSection) config() (*tls.Config, error) {
	if t.Cert == "" {
		return nil, errors.New("missing one of cert or cert_file")
	}
	if t.Key == "" {
		return nil, errors.New("missing one of key or key_file")
	}
	pair, err := tls.X509KeyPair([]byte(t.Cert), []byte(t.Key))
	if err != nil {
		return nil, fmt.Errorf("failed to load the certificate with its key: %w", err)
	}
	auth, ok := clientAuths[t.ClientAuth]
	if !ok {
		return nil, fmt.Errorf("invalid ClientAuth: client_auth_type is %q: one of %s is meant",
			t.ClientAuth, strings.Join(slices.Sorted(maps.Keys(clientAuths))[1:], ", "))
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   uint16(t.MinVersion),
		MaxVersion:   uint16(t.MaxVersion),
		ClientAuth:   auth,
	}
	for _, id := range t.CipherSuites {
		c.CipherSuites = append(c.CipherSuites, uint16(id))
	}
	for _, id := range t.Curves {
		c.CurvePreferences = append(c.CurvePreferences, tls.CurveID(id))
	}
	if t.ClientCA != "" {
		if auth == tls.NoClientCert {
			return nil, errors.New("a client CA without client_auth_type: RequireAndVerifyClientCert is meant, or leave the CA out")
		}
		c.ClientCAs = x509.NewCertPool()
		// The toolkit takes a file without certificates for a CA that signed none.
		if !c.ClientCAs.AppendCertsFromPEM([]byte(t.ClientCA)) {
			return nil, errors.New("the client CA holds no certificate in PEM")
		}
	}
	if t.AllowedSANs != nil {
		c.VerifyPeerCertificate = t.verifySAN
	}
	return c, nil
}

// verifySAN lets those clients in whose certificate bears an allowed name.
func (t *tlsSection) verifySAN(certificates [][]byte, _ [][]*x509.Certificate) error {
	if len(certificates) == 0 { // where none is required
		return errors.New("the client has no certificate, and client_allowed_sans wants a name in it")
	}
	cert, err := x509.ParseCertificate(certificates[0]) // the client's own comes first: RFC 8446 4.4.2
	if err != nil {
		return fmt.Errorf("parse the client's certificate: %w", err)
	}
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	for _, name := range names {
		if slices.Contains(t.AllowedSANs, name) {
			return nil
		}
	}
	return fmt.Errorf("the client's certificate is for %q, which client_allowed_sans doesn't name", names)
}
