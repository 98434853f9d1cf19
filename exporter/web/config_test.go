package web

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2" // the one that the toolkit uses
	"golang.org/x/time/rate"
)

const aHash = "$2y$10$qRTBuFoULoYNA7AQ/F3ck.trZBPyjV64.oA4ZsSBCIWvXuvQlQTuu"

// webDocuments are web configurations, good and bad. In them TLS stands for a
// tls_server_config with a certificate and its key; indented is a text in PEM
// as a block of YAML.
func webDocuments(indented func(file string) string) []struct {
	name, text string
	good       bool
	stricter   string // why we refuse what the toolkit accepts
} {
	const pair = "cert_file: cert.pem, key_file: key.pem"
	return []struct {
		name, text string
		good       bool
		stricter   string
	}{
		{name: "empty", text: "", good: true},
		{name: "only a comment", text: "# nothing\n", good: true},
		{name: "null sections", text: "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n", good: true},
		{name: "empty sections", text: "tls_server_config: {}\nhttp_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}\n", good: true},
		{name: "files", text: "tls_server_config: {" + pair + "}", good: true},
		{name: "inline", text: "tls_server_config:\n  cert: |\n" + indented("cert.pem") + "  key: |\n" + indented("key.pem"), good: true},
		{name: "inline key", text: "tls_server_config:\n  cert_file: cert.pem\n  key: |\n" + indented("key.pem"), good: true},
		{name: "file and inline: the file counts", text: "tls_server_config: {" + pair + ", cert: junk, key: junk}", good: true},
		{name: "in a directory", text: "tls_server_config: {cert_file: sub/../cert.pem, key_file: ./key.pem}", good: true},
		{name: "RequestClientCert", text: "tls_server_config: {" + pair + ", client_auth_type: RequestClientCert}", good: true},
		{name: "RequireClientCert", text: "tls_server_config: {" + pair + ", client_auth_type: RequireClientCert}", good: true},
		{name: "RequireAnyClientCert", text: "tls_server_config: {" + pair + ", client_auth_type: RequireAnyClientCert}", good: true},
		{name: "VerifyClientCertIfGiven", text: "tls_server_config: {" + pair + ", client_auth_type: VerifyClientCertIfGiven}", good: true},
		{name: "RequireAndVerifyClientCert", text: "tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert}", good: true},
		{name: "NoClientCert", text: "tls_server_config: {" + pair + ", client_auth_type: NoClientCert}", good: true},
		{name: "client CA", text: "tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}", good: true},
		{name: "client CA inline", text: "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_auth_type: VerifyClientCertIfGiven\n  client_ca: |\n" + indented("ca.pem"), good: true},
		{name: "SANs", text: "tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [a, b]}", good: true},
		{name: "no SAN is allowed", text: "tls_server_config: {" + pair + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: []}", good: true},
		{name: "null SANs", text: "tls_server_config: {" + pair + ", client_allowed_sans: }", good: true},
		{name: "TLS10 to TLS11", text: "tls_server_config: {" + pair + ", min_version: TLS10, max_version: TLS11}", good: true},
		{name: "TLS12 only", text: "tls_server_config: {" + pair + ", min_version: TLS12, max_version: TLS12}", good: true},
		{name: "TLS13", text: "tls_server_config: {" + pair + ", min_version: TLS13}", good: true},
		{name: "ciphers", text: "tls_server_config: {" + pair + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], prefer_server_cipher_suites: false}", good: true},
		{name: "all ciphers", text: "tls_server_config: {" + pair + ", cipher_suites: [" + strings.Join(cipherNames(tls.CipherSuites()), ", ") + "]}", good: true},
		{name: "no ciphers", text: "tls_server_config: {" + pair + ", cipher_suites: []}", good: true},
		{name: "all curves", text: "tls_server_config: {" + pair + ", curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]}", good: true},
		{name: "settings without TLS", text: "tls_server_config: {min_version: TLS13, cipher_suites: [TLS_AES_128_GCM_SHA256], client_allowed_sans: [a]}", good: true},
		{name: "HTTP/2", text: "tls_server_config: {" + pair + "}\nhttp_server_config: {http2: true}", good: true},
		{name: "no HTTP/2", text: "tls_server_config: {" + pair + "}\nhttp_server_config: {http2: false}", good: true},
		{name: "headers", text: "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Strict-Transport-Security: max-age=31536000; includeSubDomains\n    X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    Content-Security-Policy: \"default-src 'self'\"\n", good: true},
		{name: "X-Frame-Options: sameorigin", text: "http_server_config: {headers: {X-Frame-Options: sameorigin}}", good: true},
		{name: "users", text: "basic_auth_users:\n  alice: " + aHash + "\n  bob: \"" + aHash + "\"\n", good: true},
		{name: "users and TLS", text: "tls_server_config: {" + pair + "}\nbasic_auth_users: {alice: " + aHash + "}", good: true},
		{name: "rate", text: "rate_limit: {interval: 1s, burst: 5}", good: true},
		{name: "rate, no burst", text: "rate_limit: {interval: \"1s\"}", good: true},
		{name: "no rate", text: "rate_limit: {interval: 0, burst: 0}", good: true},
		{name: "an alias", text: "basic_auth_users: {alice: &hash " + aHash + ", bob: *hash}", good: true},

		{name: "unknown section", text: "tls_sever_config: {}"},
		{name: "unknown key of TLS", text: "tls_server_config: {cert_filse: cert.pem}"},
		{name: "unknown key of HTTP", text: "http_server_config: {http3: true}"},
		{name: "unknown key of the rate", text: "rate_limit: {every: 1s}"},
		{name: "a key twice", text: "tls_server_config: {" + pair + ", cert_file: cert.pem}"},
		{name: "a section twice", text: "rate_limit: {burst: 1}\nrate_limit: {burst: 2}"},
		{name: "junk", text: "hWkNKCp3fvIx3jKnsaBI\nTuEjdwNS8A2vYdFbiKqr\n"},
		{name: "no YAML", text: "{"},
		{name: "a list", text: "- a\n"},
		{name: "a section that is text", text: "tls_server_config: cert.pem"},
		{name: "no key", text: "tls_server_config: {cert_file: cert.pem}"},
		{name: "no certificate", text: "tls_server_config: {key_file: key.pem}"},
		{name: "empty names", text: "tls_server_config: {cert_file: \"\", key_file: \"\", client_auth_type: x}"},
		{name: "only client_auth_type", text: "tls_server_config: {client_auth_type: NoClientCert}"},
		{name: "empty certificate", text: "tls_server_config: {cert: \"\", key_file: key.pem}"},
		{name: "empty key", text: "tls_server_config: {cert_file: cert.pem, key: \"\"}"},
		{name: "no such certificate", text: "tls_server_config: {cert_file: gone.pem, key_file: key.pem}"},
		{name: "no such key", text: "tls_server_config: {cert_file: cert.pem, key_file: gone.pem}"},
		{name: "a certificate without anything", text: "tls_server_config: {cert_file: empty.pem, key_file: key.pem}"},
		{name: "another key", text: "tls_server_config: {cert_file: cert.pem, key_file: otherkey.pem}"},
		{name: "the wrong way round", text: "tls_server_config: {cert_file: key.pem, key_file: cert.pem}"},
		{name: "client CA without client_auth_type", text: "tls_server_config: {" + pair + ", client_ca_file: ca.pem}"},
		{name: "client CA with NoClientCert", text: "tls_server_config: {" + pair + ", client_ca_file: ca.pem, client_auth_type: NoClientCert}"},
		{name: "client CA without anything or client_auth_type", text: "tls_server_config: {" + pair + ", client_ca_file: empty.pem}"},
		{name: "only a client CA", text: "tls_server_config: {client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}"},
		{name: "no such client CA", text: "tls_server_config: {" + pair + ", client_ca_file: gone.pem, client_auth_type: RequireAndVerifyClientCert}"},
		{name: "client CA that is none", text: "tls_server_config: {" + pair + ", client_ca_file: key.pem, client_auth_type: RequireAndVerifyClientCert}",
			stricter: "it would be a CA that signed none"},
		{name: "client CA without anything", text: "tls_server_config: {" + pair + ", client_ca_file: empty.pem, client_auth_type: RequireAndVerifyClientCert}",
			stricter: "it would be a CA that signed none"},
		{name: "unknown client_auth_type", text: "tls_server_config: {" + pair + ", client_auth_type: Maybe}"},
		{name: "client_auth_type in small letters", text: "tls_server_config: {" + pair + ", client_auth_type: requireanyclientcert}"},
		{name: "unknown version", text: "tls_server_config: {" + pair + ", min_version: TLS111}"},
		{name: "a number as version", text: "tls_server_config: {" + pair + ", max_version: 1.2}"},
		{name: "unknown version without TLS", text: "tls_server_config: {min_version: TLS9}"},
		{name: "unknown cipher", text: "tls_server_config: {" + pair + ", cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048]}"},
		{name: "weak cipher", text: "tls_server_config: {" + pair + ", cipher_suites: [" + tls.InsecureCipherSuites()[0].Name + "]}"},
		{name: "ciphers as a map", text: "tls_server_config: {" + pair + ", cipher_suites: {a: b}}"},
		{name: "unknown curve", text: "tls_server_config: {" + pair + ", curve_preferences: [CurveP257]}"},
		{name: "prefer nonsense", text: "tls_server_config: {" + pair + ", prefer_server_cipher_suites: perhaps}"},
		{name: "HTTP/2 perhaps", text: "http_server_config: {http2: perhaps}"},
		{name: "a header that can't be set", text: "http_server_config: {headers: {Content-Type: foo}}"},
		{name: "X-Frame-Options: foo", text: "http_server_config: {headers: {X-Frame-Options: foo}}"},
		{name: "X-Content-Type-Options: sniff", text: "http_server_config: {headers: {X-Content-Type-Options: sniff}}"},
		{name: "a password", text: "basic_auth_users: {john: doe}"},
		{name: "no password", text: "basic_auth_users: {john: }"},
		{name: "a list of passwords", text: "basic_auth_users: {john: [" + aHash + "]}"},
		{name: "a list of users", text: "basic_auth_users: [john]"},
		{name: "a rate that is none", text: "rate_limit: {interval: often}"},
		{name: "a rate in a list", text: "rate_limit: {interval: [1s]}"},
		{name: "a rate without a unit", text: "rate_limit: {interval: 5}", stricter: "it would be 5 ns"},
		{name: "a burst of text", text: "rate_limit: {burst: many}"},
	}
}

func cipherNames(suites []*tls.CipherSuite) (names []string) {
	for _, s := range suites {
		names = append(names, s.Name)
	}
	return names
}

// What the exporter-toolkit understands we understand, alike; what it refuses we
// refuse.
func TestWebFileLikeToolkit(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, "server")
	ca, otherKey := certificate(t, "ca")
	files := map[string][]byte{"cert.pem": cert, "key.pem": key, "ca.pem": ca, "otherkey.pem": otherKey, "empty.pem": nil}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "web.yml")
	indented := func(file string) string {
		return "    " + strings.ReplaceAll(strings.TrimSpace(string(files[file])), "\n", "\n    ") + "\n"
	}
	good, bad := 0, 0
	for _, tt := range webDocuments(indented) {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			theirErr := web.Validate(path)
			ours, ourErr := Load(path)
			if (theirErr == nil) != (tt.good || tt.stricter != "") {
				t.Errorf("the toolkit: %v", theirErr)
			}
			if (ourErr == nil) != tt.good {
				t.Fatalf("ours: %v\nthe toolkit: %v", ourErr, theirErr)
			}
			if ourErr != nil {
				bad++
				if !strings.HasPrefix(ourErr.Error(), "web configuration "+path+": ") {
					t.Errorf("the error doesn't name the file: %v", ourErr)
				}
				return
			}
			good++
			if diff := cmp.Diff(theirs(t, path), whatCame(t, ours), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-toolkit +ours:\n%s", diff)
			}
		})
	}
	if good < 35 || bad < 35 {
		t.Errorf("%d good and %d bad documents", good, bad)
	}
}

// webFacts is all that comes of a web configuration, but for HTTP/2: the toolkit
// offers it unless told not to.
type webFacts struct {
	TLS                bool
	Certificate        []byte
	MinVersion, Max    uint16
	CipherSuites       []uint16
	Curves             []tls.CurveID
	ClientAuth         tls.ClientAuthType
	CAs                *x509.CertPool
	ChecksNames        bool
	Header, Users      map[string]string
	RateLimited        bool
	RatePerSecond      rate.Limit
	RateBurst          int
	InsecureSkipVerify bool
}

func whatCame(t *testing.T, w *Config) webFacts {
	f := webFacts{Header: w.header, Users: w.users}
	if w.limiter != nil {
		f.RateLimited, f.RatePerSecond, f.RateBurst = true, w.limiter.Limit(), w.limiter.Burst()
	}
	if w.tls != nil {
		f.tls(t, w.tls, &w.tls.Certificates[0])
	}
	return f
}

// theirs is what the toolkit makes of a file, as its Serve does.
func theirs(t *testing.T, path string) webFacts {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := web.Config{TLSConfig: web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}}
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		t.Fatal(err)
	}
	f := webFacts{Header: c.HTTPConfig.Header, Users: map[string]string{}}
	for user, hash := range c.Users {
		f.Users[user] = string(hash)
	}
	if l := c.RateLimiterConfig; l.Interval != 0 {
		f.RateLimited, f.RatePerSecond, f.RateBurst = true, rate.Every(l.Interval), l.Burst
	}
	if !c.TLSConfig.IsEnabled() {
		return f
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	config, err := web.ConfigToTLSConfig(&c.TLSConfig)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.tls(t, config, cert)
	return f
}

func (f *webFacts) tls(t *testing.T, c *tls.Config, cert *tls.Certificate) {
	f.TLS, f.Certificate = true, slices.Concat(cert.Certificate...)
	f.MinVersion, f.Max = c.MinVersion, c.MaxVersion
	f.CipherSuites, f.Curves = c.CipherSuites, c.CurvePreferences
	f.ClientAuth, f.CAs, f.ChecksNames = c.ClientAuth, c.ClientCAs, c.VerifyPeerCertificate != nil
	f.InsecureSkipVerify = c.InsecureSkipVerify
	if _, ok := cert.PrivateKey.(*ecdsa.PrivateKey); !ok {
		t.Errorf("the key is %T", cert.PrivateKey)
	}
}

// The same clients are let in.
func TestClientNames(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri := &url.URL{Scheme: "spiffe", Host: "house", Path: "/prometheus"}
	client, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"scraper", "prometheus.local"}, EmailAddresses: []string{"mouse@house"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 7), net.ParseIP("2001:db8::1")}, URIs: []*url.URL{uri},
	}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		allowed     []string
		certificate []byte
		want        string // in the error; empty: let in
	}{
		{[]string{"scraper"}, client, ""},
		{[]string{"other", "prometheus.local"}, client, ""},
		{[]string{"mouse@house"}, client, ""},
		{[]string{"192.0.2.7"}, client, ""},
		{[]string{"2001:db8::1"}, client, ""},
		{[]string{"spiffe://house/prometheus"}, client, ""},
		{[]string{"SCRAPER", "prometheus"}, client, `["scraper" "prometheus.local" "mouse@house" "192.0.2.7" "2001:db8::1" "spiffe://house/prometheus"], which client_allowed_sans doesn't name`},
		{[]string{}, client, "client_allowed_sans doesn't name"},
		{[]string{"scraper"}, []byte("junk"), "parse the client's certificate: x509:"},
	} {
		toolkit := web.TLSConfig{ClientAllowedSans: tt.allowed}
		theirs := toolkit.VerifyPeerCertificate([][]byte{tt.certificate}, nil)
		ours := (&tlsSection{AllowedSANs: tt.allowed}).verifySAN([][]byte{tt.certificate}, nil)
		if (theirs == nil) != (tt.want == "") || (ours == nil) != (tt.want == "") || ours != nil && !strings.Contains(ours.Error(), tt.want) {
			t.Errorf("%q: the toolkit says %v, ours %v, want %q", tt.allowed, theirs, ours, tt.want)
		}
	}
	// The toolkit panics here: a client without a certificate, where none is required.
	err = (&tlsSection{AllowedSANs: []string{"a"}}).verifySAN(nil, nil)
	if err == nil || !strings.Contains(err.Error(), "the client has no certificate") {
		t.Errorf("no certificate: %v", err)
	}
}

// However wrong the file is, no error tells a password or a key.
func TestWebFileSecrets(t *testing.T) {
	const password = "hunter2"
	for _, text := range []string{
		"basic_auth_users: {john: hunter2}",
		"basic_auth_users: {john:hunter2}",
		"basic_auth_users: {john: [hunter2]}",
		"basic_auth_users: {john: {hunter2: x}}",
		"basic_auth_users: hunter2",
		"basic_auth_users: [hunter2]",
		"basic_auth_users: [{john: hunter2}]",
		"basic_auth_users: {john: !!int hunter2}",
		"basic_auth_users: {john: !!binary hunter2}",
		"basic_auth_users: '` into hunter2 ` into'",
		"tls_server_config: {key: hunter2}",
		"tls_server_config: {key: hunter2, cert_file: cert.pem}",
		"tls_server_config: {key: [hunter2]}",
		"tls_server_config: {key: !!int hunter2}",
		"tls_server_config: hunter2",
		"hunter2",
		"http_server_config: {http2: hunter2}",
		"rate_limit: hunter2",
	} {
		cert, _ := certificate(t, "a")
		_, err := Parse("web.yml", []byte(text), func(string) ([]byte, error) { return cert, nil })
		if err == nil || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "'h'") {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, err := Parse("web.yml", fmt.Appendf(nil, "basic_auth_users: {john: %s}", bytes.Repeat([]byte("x"), 3)), nil)
	if want := `web configuration web.yml: basic_auth_users: the password of john is no bcrypt hash: make one with "htpasswd -nBC 10 john"`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
