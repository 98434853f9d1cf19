package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/rig/protocol"
)

func TestMessage(t *testing.T) {
	for record, want := range map[string]string{
		"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n": "[    5.140900] NET: Registered\n",
		"4,1,1234567890,-,caller=T1;a;b\n":                  "[ 1234.567890] a;b\n",
		"garbage":                                           "garbage",
	} {
		if got := message(record); got != want {
			t.Errorf("%q became %q, want %q", record, got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(content string, more bool) {
		t.Helper()
		if _, _, err := writeFile(protocol.File{Path: path, Mode: 0o640, Append: more}, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	write("long before", false)
	write("one", false)
	write("two", true)
	if _, got, err := readFile(protocol.Path{Path: path}, nil); err != nil || string(got) != "onetwo" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Symlink("f", path+"link"); err != nil {
		t.Fatal(err)
	}
	got, err := list(protocol.Path{Path: filepath.Dir(path)})
	entries, ok := got.([]protocol.Entry)
	if err != nil || !ok || len(entries) != 2 || entries[0].Size != 6 || entries[1].Link != "f" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, err := range map[string]error{
		"read":  func() error { _, _, err := readFile(protocol.Path{Path: path + "/x"}, nil); return err }(),
		"list":  func() error { _, err := list(protocol.Path{Path: path}); return err }(),
		"write": func() error { _, _, err := writeFile(protocol.File{Path: path + "/x"}, nil); return err }(),
	} {
		if !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("%s below a file: %v", name, err)
		}
	}
	if _, _, err := writeFile(protocol.File{Path: "/proc/no-such"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a wrong name in /proc: %v", err)
	}
}

func TestChildren(t *testing.T) {
	g := newGuest()
	run := func(c protocol.Command, timeout time.Duration) protocol.Exit {
		t.Helper()
		s, _, err := g.start(c, []byte("in"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := g.wait(protocol.Process{PID: s.(protocol.Started).PID, Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		return e.(protocol.Exit)
	}
	sh := func(script string) protocol.Command { return protocol.Command{Argv: []string{"sh", "-c", script}} }
	if e := run(sh("cat; echo bad >&2; exit 5"), 0); e.Status != 5 || string(e.Stdout) != "in" || string(e.Stderr) != "bad\n" {
		t.Errorf("%+v", e)
	}
	if e := run(sh("echo soon; sleep 1000"), 200*time.Millisecond); !e.TimedOut || e.Signal != syscall.SIGKILL || string(e.Stdout) != "soon\n" {
		t.Errorf("%+v", e)
	}
	for want, c := range map[string]protocol.Command{
		"needs a name":   {},
		"not found":      {Argv: []string{"no-such-program"}},
		"starting /none": {Argv: []string{"/none"}},
	} {
		if _, _, err := g.start(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if _, err := g.wait(protocol.Process{PID: 1}); err == nil {
		t.Error("a stranger was waited for")
	}
	if err := kill(protocol.Signal{PID: 1 << 30, Signal: syscall.SIGTERM}); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a signal to nobody: %v", err)
	}
}

func TestProcessTellsOfItself(t *testing.T) {
	got, err := process(protocol.Process{PID: os.Getpid()})
	info, ok := got.(protocol.ProcessInfo)
	if err != nil || !ok || info.Threads < 1 || info.Voluntary < 1 || info.Parent != os.Getppid() || info.Exe == "" || len(info.Files) < 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := process(protocol.Process{PID: 1 << 30}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody: %v", err)
	}
}

func TestHTTPRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("Accept"))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	got, _, err := httpRequest(protocol.HTTPRequest{Method: "PUT", URL: server.URL, Header: http.Header{"Accept": {"tea"}}}, nil)
	r, ok := got.(protocol.HTTPResponse)
	if err != nil || !ok || r.Status != http.StatusTeapot || http.Header(r.Header).Get("X-Seen") != "PUT tea" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := httpRequest(protocol.HTTPRequest{Method: "GET", URL: "http://x/", Unix: "/no/socket"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestDevicesThatAreNotThere(t *testing.T) {
	g := newGuest()
	for name, err := range map[string]error{
		"I2C bus 3":    g.detachI2C(protocol.Bus{Bus: 3}),
		"1-Wire bus 3": g.detachOneWire(protocol.Bus{Bus: 3}),
		"line 4":       g.drop(protocol.GPIOLine{Chip: "c", Line: 4}),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}

func TestHandlersDecode(t *testing.T) {
	h := newGuest().handlers()
	if _, _, err := h[protocol.MethodRead](json.RawMessage(`{"Path":7}`), nil); err == nil || !strings.Contains(err.Error(), "decoding parameters") {
		t.Errorf("a number for a path: %v", err)
	}
	for name, f := range h {
		if f == nil {
			t.Errorf("method %s has no handler", name)
		}
	}
}
