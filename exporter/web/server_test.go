package web

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is a handler that answers each path with a few bytes.
var page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "6")
	_, _ = io.WriteString(w, "series") // a client that is gone wants no answer
})

func discard(r *http.Response) (int64, error) {
	n, err := io.Copy(io.Discard, r.Body)
	if err == nil {
		err = r.Body.Close()
	}
	return n, err
}

// serve runs a Server on the loopback until the test ends.
func serve(t *testing.T, h http.Handler, config *Config) (*Server, string) {
	t.Helper()
	listeners, err := Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(h, config, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(listeners...) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("close: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s, listeners[0].Addr().String()
}

func TestServeOverTheWire(t *testing.T) {
	_, addr := serve(t, page, nil)
	transport := &http.Transport{DisableCompression: true}
	client := &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)

	response, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	n, err := discard(response)
	if err != nil || response.ContentLength != n || n == 0 || len(response.TransferEncoding) > 0 {
		t.Errorf("GET: %d bytes, Content-Length %d, %v, %v", n, response.ContentLength, response.TransferEncoding, err)
	}
	head, err := client.Head("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := discard(head); err != nil || m != 0 || head.ContentLength != n {
		t.Errorf("HEAD: %d bytes, Content-Length %d, want 0 and %d, %v", m, head.ContentLength, n, err)
	}
}

// No probe may wake a process that sleeps on a kept-alive connection, whoever
// made the listening socket.
func TestNoKeepAliveProbes(t *testing.T) {
	ours, err := Listen([]string{"127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.Listen("tcp", "127.0.0.1:0") // as systemd's would be
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{ours[0], theirs} {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s := New(http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
		accepted, err := (&listener{l, s}).Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := accepted.(*quietConn); !ok {
			t.Errorf("%T wakes the runtime's monitor at each scrape", accepted)
		}
		raw, err := accepted.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		probes := -1
		if err := raw.Control(func(fd uintptr) { probes, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) }); err != nil {
			t.Fatal(err)
		}
		if probes != 0 || err != nil {
			t.Errorf("keep-alive probes are on: %d, %v", probes, err)
		}
		for _, c := range []io.Closer{client, accepted, l} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// An address that no other program has: all of 127.0.0.0/8 is this machine.
	pid := os.Getpid()
	free, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff))
	if err != nil {
		t.Fatal(err)
	}
	freed := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	tests := []struct {
		addresses []string
		want      []string
		errno     error
	}{
		{[]string{freed, taken.Addr().String()}, []string{"another process has that port", "sport = :" + port, "--web.listen-address"}, syscall.EADDRINUSE},
		{[]string{"192.0.2.1:9367"}, []string{"doesn't have that address"}, syscall.EADDRNOTAVAIL},
		{[]string{"9367"}, []string{"HOST:PORT", "[::1]:9367"}, nil},
		{[]string{":99999"}, []string{"HOST:PORT"}, nil},
		{[]string{"vsock://:9367"}, []string{"only TCP is offered"}, nil},
		{[]string{"bad", "worse"}, []string{`"bad"`, `"worse"`}, nil},
		{nil, []string{"--no-web"}, nil},
	}
	for _, tt := range tests {
		listeners, err := Listen(tt.addresses)
		if err == nil || listeners != nil {
			t.Errorf("%q: no error", tt.addresses)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v\nlacks %q", tt.addresses, err, want)
			}
		}
		if tt.errno != nil && !errors.Is(err, tt.errno) {
			t.Errorf("%q: %v doesn't hold %v", tt.addresses, err, tt.errno)
		}
	}
	// All or none: the free one was closed.
	again, err := net.Listen("tcp", freed)
	if err != nil {
		t.Fatalf("the listener beside the failed one was kept: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestBigRequest(t *testing.T) {
	_, addr := serve(t, page, nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := discard(response); err != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, %v", response.StatusCode, err)
	}
}

// A scrape that runs when the daemon is told to end is answered.
func TestShutdownAnswers(t *testing.T) {
	began, finish := make(chan bool), make(chan bool)
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	s, addr := serve(t, slow, nil)
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + addr)
		if err == nil {
			_, err = discard(response)
		}
		answered <- err
	}()
	<-began
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	// It listens no more, but waits.
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the running scrape: %v", err)
	}
	if err := <-down; err != nil {
		t.Errorf("shut down: %v", err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	began, finish := make(chan bool), make(chan bool)
	s, addr := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-finish
	}), nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("an answer that never ends: %v", err)
	}
	close(finish)
}

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// writeConfig writes a web configuration with server certificates and the user
// prom with a password into a directory of its own.
func writeConfig(t *testing.T, name, password string) (path string, cert []byte) {
	t.Helper()
	dir := t.TempDir()
	cert, key := certificate(t, name)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "web.yml")
	config := fmt.Sprintf("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  prom: %s\n"+
		"http_server_config:\n  headers:\n    X-Frame-Options: deny\n", hash)
	for file, content := range map[string][]byte{path: []byte(config), filepath.Join(dir, "cert.pem"): cert, filepath.Join(dir, "key.pem"): key} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, cert
}

// trusting makes a client that trusts a certificate, and shows one of its own if it has one.
func trusting(t *testing.T, trust []byte, own ...tls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(trust) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func fetch(t *testing.T, c *http.Client, url, user, password string) *http.Response {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	response, err := c.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if _, err := discard(response); err != nil {
		t.Fatal(err)
	}
	return response
}

// The USB drive with certificates and passwords is pulled after the start.
func TestConfigInMemory(t *testing.T) {
	path, cert := writeConfig(t, "first", "secret")
	config, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	s, addr := serve(t, page, config)
	url := "https://" + addr + "/metrics"
	first := trusting(t, cert)
	for _, tt := range []struct {
		user, password string
		want           int
	}{
		{"prom", "secret", 200}, {"prom", "secret", 200}, {"prom", "wrong", 401}, {"prom", "wrong", 401},
		{"nobody", "secret", 401}, {"", "", 401}, {"prom", "", 401}, {"prom", "secret", 200},
	} {
		response := fetch(t, first, url, tt.user, tt.password)
		if response.StatusCode != tt.want {
			t.Errorf("%s:%s: status %d, want %d", tt.user, tt.password, response.StatusCode, tt.want)
		}
		if challenge := response.Header.Get("WWW-Authenticate"); (challenge != "") != (tt.want == 401) {
			t.Errorf("%s:%s: WWW-Authenticate is %q", tt.user, tt.password, challenge)
		}
		if response.Header.Get("X-Frame-Options") != "deny" || response.Proto != "HTTP/2.0" {
			t.Errorf("%s, %v", response.Proto, response.Header)
		}
	}
	if response, err := http.Get("http://" + addr + "/metrics"); err == nil {
		if _, err := discard(response); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP where TLS is asked for: %d, %v", response.StatusCode, err)
		}
	}

	// A reload brings another certificate and password.
	path, cert = writeConfig(t, "second", "other")
	config, err = Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s.SetConfig(config)
	second := trusting(t, cert)
	if got := fetch(t, second, url, "prom", "other").StatusCode; got != 200 {
		t.Errorf("the new password: %d", got)
	}
	if got := fetch(t, second, url, "prom", "secret").StatusCode; got != 401 {
		t.Errorf("the old password: %d", got)
	}
	if _, err := first.Get(url); err == nil {
		t.Error("the old certificate is still served")
	}
	// And one to plain HTTP.
	s.SetConfig(nil)
	if got := fetch(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+addr+"/metrics", "", "").StatusCode; got != 200 {
		t.Errorf("plain HTTP: %d", got)
	}
}

// A connection that was made before TLS was asked for isn't served any more.
func TestTLSFromNowOn(t *testing.T) {
	path, _ := writeConfig(t, "first", "secret")
	config, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	server := make(chan *Server, 1)
	s, addr := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		(<-server).SetConfig(config) // while a request runs
		_, _ = io.WriteString(w, "done")
	}), nil)
	server <- s
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := discard(response); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the running request: %d, %v", response.StatusCode, err)
	}
	if response, err := http.ReadResponse(r, nil); err == nil {
		t.Errorf("a second request was answered: %d", response.StatusCode)
	}
}

// The same of a connection on which no request had been made.
func TestTLSBeforeTheFirstRequest(t *testing.T) {
	path, _ := writeConfig(t, "first", "secret")
	config, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, addr := serve(t, page, nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for s.conns.count() == 0 {
		runtime.Gosched()
	}
	s.SetConfig(config)
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := discard(response); err != nil || response.StatusCode != http.StatusUpgradeRequired || !response.Close {
		t.Errorf("%d, %v", response.StatusCode, err)
	}
}

func TestHTTP2AndClientCertificates(t *testing.T) {
	cert, key := certificate(t, "server")
	mine, myKey := certificate(t, "scraper")
	config, err := Parse("/drive/web.yml", Files{
		"/drive/web.yml": []byte("tls_server_config: {cert_file: c.pem, key_file: k.pem, client_ca_file: /etc/ca.pem, client_auth_type: RequireAndVerifyClientCert}\n"),
		"/drive/c.pem":   cert, "/drive/k.pem": key, "/etc/ca.pem": mine})
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, page, config)
	if _, err := trusting(t, cert).Get("https://" + addr + "/metrics"); err == nil {
		t.Error("a client without a certificate was served")
	}
	pair, err := tls.X509KeyPair(mine, myKey)
	if err != nil {
		t.Fatal(err)
	}
	response := fetch(t, trusting(t, cert, pair), "https://"+addr+"/metrics", "", "")
	if response.StatusCode != http.StatusOK || response.Proto != "HTTP/2.0" {
		t.Errorf("%d %s", response.StatusCode, response.Proto)
	}
}

func TestRateLimit(t *testing.T) {
	config, err := Parse("web.yml", Files{"web.yml": []byte("rate_limit: {burst: 1, interval: 1h}")})
	if err != nil {
		t.Fatal(err)
	}
	_, addr := serve(t, page, config)
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, want := range []int{200, 429} {
		if got := fetch(t, once, "http://"+addr+"/-/healthy", "", "").StatusCode; got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	cert, key := certificate(t, "a")
	dir := t.TempDir()
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "junk.pem": []byte("junk")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "web.yml")
	load := func(text string) error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		return err
	}
	for _, tt := range []struct{ text, want string }{
		{"tls_server_config: {cert_file: cert.pem, key_file: gone.pem}", dir + "/gone.pem: no such file"},
		{"tls_server_config: {cert_file: cert.pem}", "missing one of key or key_file"},
		{"tls_server_config: {cert_file: cert.pem, key_file: junk.pem}", "failed to load X509KeyPair"},
		{"tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_ca_file: junk.pem, client_auth_type: RequireAnyClientCert}", "contains no certificate"},
		{"tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: Maybe}", "invalid ClientAuth"},
		{"tls_server_config: {cert_file: cert.pem, key_file: key.pem, min_version: TLS9}", "unknown TLS version"},
		{"tls_sever_config: {}", "line 1: field tls_sever_config not found"},
		{"basic_auth_users: {prom: secret}", "the password of prom is not a bcrypt hash"},
		{"http_server_config: {headers: {X-Powered-By: mice}}", `"X-Powered-By" can not be configured`},
		{"http_server_config: {headers: {X-Frame-Options: perhaps}}", `Expected one of: ["deny" "sameorigin"]`},
		{"rate_limit: {interval: 5}", "an interval of 5ns is not a limit: write it with a unit, as in 1s"},
		{"{", "web configuration " + path + ":"},
	} {
		err := load(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got: %v\nwant: %s", tt.text, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if _, err := Load("/nowhere/web.yml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Parse("/d/web.yml", Files{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file in memory: %v", err)
	}
	_, err := Parse("/d/web.yml", Files{"/d/web.yml": []byte("tls_server_config: {cert_file: c.pem, key_file: k.pem}")})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "tls_server_config: cert_file: open /d/c.pem") {
		t.Errorf("no certificate in memory: %v", err)
	}
	for _, text := range []string{"", "# nothing\n", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}"} {
		if err := load(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if c, err := Load(""); err != nil || c.tls != nil {
		t.Errorf("no path: %v, %v", c, err)
	}
}

func TestGuessedPasswordsAreBounded(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("web.yml", Files{"web.yml": fmt.Appendf(nil, "basic_auth_users: {prom: %s}", hash)})
	if err != nil {
		t.Fatal(err)
	}
	try := func(password string) bool {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("prom", password)
		return c.allows(r)
	}
	for i := range 3 * maxResults {
		if try(fmt.Sprint(i)) {
			t.Fatalf("the password %d fits", i)
		}
	}
	if len(c.results) > maxResults {
		t.Errorf("%d guesses are remembered", len(c.results))
	}
	for range 2 {
		if !try("secret") {
			t.Error("the password doesn't fit any more")
		}
	}
}
