package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	_ "unsafe" // for go:linkname

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
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
		{name: "a negative rate", text: "rate_limit: {interval: -1s}", stricter: "it would be no limit"},
		{name: "a burst of text", text: "rate_limit: {burst: many}"},
	}
}

func cipherNames(suites []*tls.CipherSuite) (names []string) {
	for _, s := range suites {
		names = append(names, s.Name)
	}
	return names
}

// getConfig is the toolkit's own decoding, which isn't exported.
//
//go:linkname getConfig github.com/prometheus/exporter-toolkit/web.getConfig
func getConfig(path string) (*toolkit.Config, error)

// What the toolkit accepts we accept, with the same settings, defaults
// included; what it refuses we refuse.
func TestConfigLikeToolkit(t *testing.T) {
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
			theirErr := toolkit.Validate(path)
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
			compare(t, path, tt.text, ours)
		})
	}
	if good < 35 || bad < 35 {
		t.Errorf("%d good and %d bad documents", good, bad)
	}
}

// compare compares what we make of a file with what the toolkit does.
func compare(t *testing.T, path, text string, ours *Config) {
	t.Helper()
	theirs, err := getConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	decoded.TLSConfig.SetDirectory(filepath.Dir(path))
	if diff := cmp.Diff(theirs, decoded); diff != "" {
		t.Errorf("decoded (-toolkit +ours):\n%s", diff)
	}
	if diff := cmp.Diff(theirs.HTTPConfig.Header, ours.header); diff != "" {
		t.Errorf("headers (-toolkit +ours):\n%s", diff)
	}
	if len(ours.users) != len(theirs.Users) {
		t.Errorf("users: %v, want %v", ours.users, theirs.Users)
	}
	for user, hash := range theirs.Users {
		if ours.users[user] != string(hash) {
			t.Errorf("user %s: %s, want %s", user, ours.users[user], hash)
		}
	}
	if l := theirs.RateLimiterConfig; (ours.limiter != nil) != (l.Interval != 0) ||
		ours.limiter != nil && (ours.limiter.Limit() != rate.Every(l.Interval) || ours.limiter.Burst() != l.Burst) {
		t.Errorf("rate: %v, want %v", ours.limiter, l)
	}
	if (ours.tls != nil) != theirs.TLSConfig.IsEnabled() {
		t.Fatalf("TLS: %v", ours.tls)
	}
	if ours.tls == nil {
		return
	}
	want, err := toolkit.ConfigToTLSConfig(&theirs.TLSConfig)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := want.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !ours.UsesTLS() {
		t.Error("a configuration with a certificate doesn't use TLS")
	}
	if diff := cmp.Diff(tlsFacts(want, cert), tlsFacts(ours.tls, &ours.tls.Certificates[0]), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("TLS (-toolkit +ours):\n%s", diff)
	}
	if h2 := slices.Contains(ours.tls.NextProtos, "h2"); h2 != theirs.HTTPConfig.HTTP2 {
		t.Errorf("HTTP/2: %v, want %v", h2, theirs.HTTPConfig.HTTP2)
	}
}

// tlsFacts are the settings of a tls.Config that a web configuration can make.
func tlsFacts(c *tls.Config, cert *tls.Certificate) any {
	return struct {
		Certificate        [][]byte
		Key                string
		MinVersion, Max    uint16
		CipherSuites       []uint16
		Curves             []tls.CurveID
		ClientAuth         tls.ClientAuthType
		CAs                *x509.CertPool
		ChecksNames        bool
		InsecureSkipVerify bool
	}{
		cert.Certificate, fmt.Sprintf("%T", cert.PrivateKey), c.MinVersion, c.MaxVersion, c.CipherSuites, c.CurvePreferences,
		c.ClientAuth, c.ClientCAs, c.VerifyPeerCertificate != nil, c.InsecureSkipVerify,
	}
}

// A client sees of ours what it sees of the toolkit's server: protocol, headers
// and who is let in.
func TestServedLikeToolkit(t *testing.T) {
	for name, extra := range map[string]string{
		"defaults": "", "without HTTP/2": "http_server_config: {http2: false}\n", "TLS 1.3": "# TLS13\n",
	} {
		t.Run(name, func(t *testing.T) {
			path, cert := writeConfig(t, "server", "secret")
			config, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text := extra + strings.ReplaceAll(string(config), "http_server_config:\n  headers:\n    X-Frame-Options: deny\n", "")
			if name == "TLS 1.3" {
				text = strings.Replace(text, "tls_server_config:\n", "tls_server_config:\n  min_version: TLS13\n", 1)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			_, ours := serve(t, page, loaded)
			theirs := serveToolkit(t, path)
			for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
				for _, password := range []string{"secret", "wrong", ""} {
					want, got := seen(t, theirs, cert, version, password), seen(t, ours, cert, version, password)
					if got != want {
						t.Errorf("%s, password %q: %s, want %s", tls.VersionName(version), password, got, want)
					}
				}
			}
		})
	}
}

// serveToolkit runs the toolkit's server until the test ends.
func serveToolkit(t *testing.T, path string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: page, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ended := make(chan error, 1)
	go func() {
		ended <- toolkit.Serve(l, server, &toolkit.FlagConfig{WebConfigFile: &path}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the toolkit's server: %v", err)
		}
	})
	return l.Addr().String()
}

// seen is what a client gets that offers one version of TLS and HTTP/2.
func seen(t *testing.T, address string, cert []byte, version uint16, password string) string {
	t.Helper()
	client := trusting(t, cert)
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = version, version
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		request.SetBasicAuth("prom", password)
	}
	response, err := client.Do(request)
	if err != nil {
		return "no connection"
	}
	if _, err := discard(response); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s %s", response.Status, response.Proto, tls.VersionName(response.TLS.Version))
}

// A client that need not have a certificate and has none is refused where
// names are required; the toolkit's own function panics.
func TestNoClientCertificate(t *testing.T) {
	cert, key := certificate(t, "server")
	files := Files{"/d/web.yml": []byte("tls_server_config: {cert_file: c.pem, key_file: k.pem, client_auth_type: RequestClientCert, client_allowed_sans: [a]}"),
		"/d/c.pem": cert, "/d/k.pem": key}
	c, err := Parse("/d/web.yml", files)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tls.VerifyPeerCertificate(nil, nil); err == nil || !strings.Contains(err.Error(), "the client has no certificate") {
		t.Errorf("no certificate: %v", err)
	}
	if err := c.tls.VerifyPeerCertificate([][]byte{[]byte("junk")}, nil); err == nil || !strings.Contains(err.Error(), "error parsing client certificate") {
		t.Errorf("a certificate that is none: %v", err)
	}
}

// However wrong the file is, no error tells a password or a key.
func TestConfigSecrets(t *testing.T) {
	const password = "hunter2"
	dir := t.TempDir()
	path := filepath.Join(dir, "web.yml")
	cert, _ := certificate(t, "a")
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600); err != nil {
		t.Fatal(err)
	}
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
		"basic_auth_users: {john: &a hunter2, jane: *hunter2}",
		"basic_auth_users: {john: *hunter2}",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, loadErr := Load(path)
		_, parseErr := Parse(path, Files{path: []byte(text), filepath.Join(dir, "cert.pem"): cert})
		if loadErr == nil {
			t.Errorf("%s: no error", text)
		}
		for _, err := range []error{loadErr, parseErr} {
			if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "'h'")) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "basic_auth_users: {jane: %s, john: xxx}", aHash), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	if want := `web configuration ` + path + `: basic_auth_users: the password of john is not a bcrypt hash: make one with "htpasswd -nBC 10 john"`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A wrong password costs the same for each user, and for one that doesn't exist.
func TestUsersCanNotBeGuessedByTime(t *testing.T) {
	hashes := map[string]int{"slow": 7, "fast": bcrypt.MinCost, "medium": 5}
	text := "basic_auth_users:\n"
	for user, cost := range hashes {
		hash, err := bcrypt.GenerateFromPassword([]byte("secret of "+user), cost)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("  %s: %s\n", user, hash)
	}
	c, err := Parse("web.yml", Files{"web.yml": []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	rounds := 0
	compareHash = func(hash, password []byte) error {
		cost, err := bcrypt.Cost(hash)
		if err != nil {
			t.Error(err)
		}
		rounds += 1 << cost
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	t.Cleanup(func() { compareHash = bcrypt.CompareHashAndPassword })
	for _, user := range []string{"slow", "fast", "medium", "nobody", ""} {
		rounds = 0
		if c.check(user, "guess") {
			t.Errorf("%s: a guess fits", user)
		}
		if rounds != 1<<7 {
			t.Errorf("%s: %d rounds, want %d", user, rounds, 1<<7)
		}
		if known := hashes[user] != 0; c.check(user, "secret of "+user) != known {
			t.Errorf("%s: the right password fits: %v", user, !known)
		}
	}
}

func TestSecret(t *testing.T) {
	cert, key := certificate(t, "a")
	for content, want := range map[string]bool{
		string(cert): false, string(key): true, "": false, "{": false, "tls_server_config: {cert_file: a, key_file: b}": false,
		"tls_server_config: {key: abc}": true, "basic_auth_users: {a: " + aHash + "}": true, string(cert) + string(key): true,
	} {
		if got := Secret([]byte(content)); got != want {
			t.Errorf("%q is secret: %v", content, got)
		}
	}
}

// None of the files makes the reader wait, or takes the machine's memory.
func TestReadFilesThatHaveNoEnd(t *testing.T) {
	cert, key := certificate(t, "a")
	const web = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}\nrate_limit: {interval: -1s}\n"
	for _, name := range []string{"web.yml", "cert.pem", "key.pem", "ca.pem"} {
		dir := t.TempDir()
		for file, content := range map[string][]byte{"web.yml": []byte(web), "cert.pem": nil, "key.pem": key, "ca.pem": cert} {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.Truncate(path, 95_000_000); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFiles(filepath.Join(dir, "web.yml")); err == nil || !strings.Contains(err.Error(), name+" has more than 1048576 bytes") {
			t.Errorf("%s has 95 MB: %v", name, err)
		}
		if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFiles(filepath.Join(dir, "web.yml")); err == nil || !strings.Contains(err.Error(), name+" is a pipe: it has to be a regular file") {
			t.Errorf("%s is a FIFO: %v", name, err)
		}
	}
}
