package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answering is the pidfile of a daemon that answers each request with these
// bytes; where they end without a newline, it goes on for ever.
func answering(t *testing.T, answer string) (pidFile string, requests <-chan *http.Request) {
	t.Helper()
	pidFile = filepath.Join(t.TempDir(), "d.pid")
	l, err := net.Listen("unix", Path(pidFile))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *http.Request, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return // nobody asked
		}
		defer c.Close()
		r := bufio.NewReader(c)
		q, err := http.ReadRequest(r)
		if err != nil {
			t.Errorf("the request: %v", err)
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			t.Errorf("answer: %v", err)
		}
		got <- q
		if !strings.HasSuffix(answer, "\n") {
			if _, err := r.ReadByte(); err == nil { // until the client gives up
				t.Error("the client says more")
			}
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return pidFile, got
}

func TestAsk(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, answer string
		body         string
		err          string // its beginning
		noDaemon     bool
	}{
		{name: "an answer", answer: ok + "Content-Length: 5\r\n\r\n{\"a\"\n", body: "{\"a\"\n"},
		{name: "in chunks", answer: ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\n\n\r\n0\r\n\r\n", body: "abc\n"},
		{name: "until the end", answer: ok + "\r\nabc\n", body: "abc\n"},
		{name: "an answer cut off", answer: ok + "Content-Length: 9\r\n\r\nabc\n", err: "ask the daemon: unexpected EOF"},
		// It is sent only when the client has read most of it: no socket keeps as much.
		{name: "an answer without an end", answer: ok + "Content-Length: 9999999\r\n\r\n" + strings.Repeat("a", 4<<20), err: "ask the daemon: waited"},
		{name: "a wrong configuration", answer: "HTTP/1.1 400 Bad Request\r\n\r\nline 3 is wrong\n", err: "line 3 is wrong"},
		{name: "too early", answer: "HTTP/1.1 503 Service Unavailable\r\n\r\nlater\n", err: ErrNotYet.Error()},
		{name: "what can't be done", answer: "HTTP/1.1 422 Unprocessable Entity\r\n\r\nno such sensor\n", err: "the daemon reports: no such sensor"},
		{name: "junk", answer: "junk\n", err: `no daemon answers: net/http: HTTP/1.x transport connection broken: malformed HTTP response "junk"`, noDaemon: true},
		{name: "half a head", answer: "HTTP/1.1 200 OK\r\n", err: "no daemon answers: net/http: HTTP/1.x transport connection broken: unexpected EOF", noDaemon: true},
		{name: "nothing", answer: "HTTP/1.1 ", err: "no daemon answers: waited", noDaemon: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pidFile, requests := answering(t, tt.answer)
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if strings.Contains(tt.err, "waited") {
				go func() {
					<-requests // and answered, as far as that goes
					cancel(errors.New("waited"))
				}()
			}
			body, err := ask(ctx, pidFile, http.MethodPost, "/read", url.Values{"name": {"a b", "c"}})
			if string(body) != tt.body || (err == nil) != (tt.err == "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) || errors.Is(err, ErrNoDaemon) != tt.noDaemon {
				t.Errorf("got %q, %v, want %q, %s", body, err, tt.body, tt.err)
			}
			if config := (*ConfigError)(nil); errors.As(err, &config) != strings.Contains(tt.answer, " 400 ") {
				t.Errorf("a configuration error: %v", err)
			}
			if strings.Contains(tt.err, "waited") {
				return
			}
			q := <-requests
			if q.Method != http.MethodPost || q.URL.Path != "/read" || q.URL.RawQuery != "name=a+b&name=c" || !q.Close || q.Host != "dormouse" {
				t.Errorf("the request is %s %s, close %v, host %s", q.Method, q.URL, q.Close, q.Host)
			}
		})
	}
}

func TestAskNobody(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "d.pid")
	_, err := ask(context.Background(), pidFile, http.MethodGet, "/readings.json", nil)
	if !errors.Is(err, ErrNoDaemon) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	defer cancel()
	pidFile, _ = answering(t, "\n")
	if _, err := ask(ctx, pidFile, http.MethodGet, "/readings.json", nil); !errors.Is(err, ErrNoDaemon) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no time left: %v", err)
	}
}
