package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// strangers are the examples, as programs in a module of their own.
type strangers struct {
	*testing.T
	dir string
}

// buildExamples does what a stranger does: copies each example into a module of
// their own, and builds it.
func buildExamples(t *testing.T) *strangers {
	t.Helper()
	s := &strangers{t, t.TempDir()}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(own), "\n")
	module := strings.TrimPrefix(line, "module ")
	files := map[string]string{
		"go.mod": "module stranger.example\n\ngo 1.26.0\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n",
		"go.sum": string(sums),
	}
	for _, e := range []struct{ program, file, function string }{
		{"counter", "example_test.go", "Example"},
		{"hello", "example_server_test.go", "Example_server"},
		{"notes", "example_file_test.go", "Example_file"},
	} {
		source, err := os.ReadFile(e.file)
		if err != nil {
			t.Fatal(err)
		}
		files[e.program+"/main.go"] = strings.NewReplacer("package daemon_test", "package main", "func "+e.function+"()", "func main()").Replace(string(source))
	}
	for name, text := range files {
		file := filepath.Join(s.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-mod=mod", "-o", "bin/", "./...")
	build.Dir = s.dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return s
}

func (s *strangers) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.dir, "bin", program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+s.dir)
	return cmd
}

// wants runs a program to its end.
func (s *strangers) wants(code int, out, program string, args ...string) {
	s.Helper()
	cmd := s.command(program, args...)
	got, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(got), out) {
		s.Errorf("%s %v: %v\n%swant exit status %d and %q", program, args, err, got, code, out)
	}
}

// The examples are what a stranger pastes: each has to build in a module of their
// own, and to work.
func TestExamplesInAModuleOfTheirOwn(t *testing.T) {
	s := buildExamples(t)
	t.Run("counter", func(t *testing.T) { (&strangers{t, s.dir}).counter() })
	t.Run("hello", func(t *testing.T) { (&strangers{t, s.dir}).hello() })
	t.Run("hello from systemd", func(t *testing.T) { (&strangers{t, s.dir}).helloActivated() })
	t.Run("notes", func(t *testing.T) { (&strangers{t, s.dir}).notes() })
}

func (s *strangers) counter() {
	for _, tt := range []struct {
		args []string
		code int
		out  string
	}{
		{nil, 2, "usage: "},
		{[]string{"status"}, 3, "not running"},
		{[]string{"start"}, 0, "counting as process "},
		{[]string{"start"}, 1, "already running as process "},
		{[]string{"status"}, 0, "running as process "},
		{[]string{"reload"}, 0, ""},
		{[]string{"stop"}, 0, ""},
		{[]string{"status"}, 3, "not running"},
		{[]string{"stop"}, 1, "not running"},
	} {
		s.wants(tt.code, tt.out, "counter", tt.args...)
	}
}

// hello answers as soon as its start has returned.
func (s *strangers) hello() {
	// An address that no other program has: all of 127.0.0.0/8 is this machine.
	pid := os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d:8080", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff)
	s.wants(2, "usage: ", "hello")
	s.wants(0, "hello runs as process ", "hello", "start", address)
	s.answers(address)
	s.wants(1, "already running", "hello", "start", address)
	s.wants(0, "", "hello", "stop")
	if conn, err := net.Dial("tcp", address); err == nil {
		s.Errorf("it answers on %s after its end: %v", address, conn.Close())
	}
	taken, err := net.Listen("tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.wants(1, "address already in use", "hello", "start", address)
	if err := taken.Close(); err != nil {
		s.Error(err)
	}
}

func (s *strangers) answers(address string) {
	s.Helper()
	client := &http.Client{Timeout: patience}
	response, err := client.Get("http://" + address)
	if err != nil {
		s.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || string(body) != "hello\n" {
		s.Errorf("it answers %q, %v", body, err)
	}
}

// helloActivated gives a socket as systemd does, and gets the same process back.
func (s *strangers) helloActivated() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	address := l.Addr().String()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		s.Fatal(err)
	}
	conn, socket := supervisor(s.T)
	cmd := s.command("hello", "start")
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "NOTIFY_SOCKET="+socket)
	cmd.ExtraFiles = []*os.File{f}
	if err := errors.Join(cmd.Start(), f.Close(), l.Close()); err != nil {
		s.Fatal(err)
	}
	if got := received(s.T, conn); got != "READY=1\nSTATUS=serving" {
		s.Errorf("systemd received %q", got)
	}
	s.answers(address)
	s.wants(0, "", "hello", "stop")
	if err := cmd.Wait(); err != nil {
		s.Errorf("it ended with %v", err)
	}
}

func (s *strangers) notes() {
	defer unix.Umask(unix.Umask(0o022)) // else the file's mode is this test's
	file := filepath.Join(s.dir, "file")
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.Fatal(err)
		}
		return string(text)
	}
	s.wants(2, "usage: ", "notes", "start")
	s.wants(1, "no such file or directory", "notes", "start", "no/such/directory")
	s.wants(0, "notes runs as process ", "notes", "start", "file") // a relative path
	if got := read(file); got != "started\n" {
		s.Errorf("the file has %q", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o640 {
		s.Errorf("the file's mode: %v, %v", info.Mode(), err)
	}
	if err := os.Rename(file, file+".1"); err != nil {
		s.Fatal(err)
	}
	s.wants(0, "", "notes", "rotated")
	for end := time.Now().Add(patience); read(file) != "opened again\n" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	s.wants(0, "", "notes", "stop")
	if was, is := read(file+".1"), read(file); was != "started\n" || is != "opened again\nstopped\n" {
		s.Errorf("the old file has %q, the new one %q", was, is)
	}
}
