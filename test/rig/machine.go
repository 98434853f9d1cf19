package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"example.org/dormouse/test/rig/protocol"
)

// call asks the guest to do something and decodes its answer into R.
func call[R any](ctx context.Context, m *Machine, method string, params any, body []byte) (R, []byte, error) {
	var r R
	a, err := m.exchange(ctx, method, params, body)
	if err != nil {
		return r, nil, fmt.Errorf("%s: %w", method, err)
	}
	if len(a.response.Result) > 0 {
		if err := json.Unmarshal(a.response.Result, &r); err != nil {
			return r, nil, fmt.Errorf("decoding the answer of %s: %w", method, err)
		}
	}
	return r, a.body, nil
}

// do asks for something that has no answer but done.
func (m *Machine) do(ctx context.Context, method string, params any, body []byte) error {
	_, _, err := call[struct{}](ctx, m, method, params, body)
	return err
}

// callPatience ends a call whose context has no deadline: a guest that hangs
// must fail its test with a word about it.
const callPatience = 6 * time.Minute

func (m *Machine) exchange(ctx context.Context, method string, params any, body []byte) (answer, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callPatience)
		defer cancel()
	}
	q := protocol.Request{Method: method}
	if params != nil {
		var err error
		if q.Params, err = json.Marshal(params); err != nil {
			return answer{}, err
		}
	}
	c := make(chan answer, 1)
	m.mu.Lock()
	if m.broken != nil {
		m.mu.Unlock()
		return answer{}, m.broken
	}
	m.next++
	q.ID = m.next
	m.waiting[q.ID] = c
	m.mu.Unlock()

	m.writing.Lock()
	err := protocol.Write(m.port, q, body)
	m.writing.Unlock()
	if err != nil {
		m.fail(err)
	}
	select {
	case <-ctx.Done():
		m.mu.Lock()
		delete(m.waiting, q.ID)
		m.mu.Unlock()
		return answer{}, fmt.Errorf("%w; the console's last words: %s", ctx.Err(), tail(m.Console(), 1000))
	case a, ok := <-c:
		if !ok {
			m.mu.Lock()
			defer m.mu.Unlock()
			return answer{}, m.broken
		}
		if a.response.Error != nil {
			return answer{}, a.response.Error
		}
		return a, nil
	}
}

// Command is a program to run in the guest. Argv[0] is searched in
// /usr/local/bin, /usr/bin and /bin, where busybox's applets are.
type Command = protocol.Command

// Exit tells how a program ended.
type Exit = protocol.Exit

// Exec runs a program to its end. Its exit status, or the signal that ended
// it, is in Exit and not in the error. When ctx has a deadline the program and
// its process group are killed there.
func (m *Machine) Exec(ctx context.Context, argv ...string) (Exit, error) {
	p, err := m.Start(ctx, Command{Argv: argv}, nil)
	if err != nil {
		return Exit{}, err
	}
	return p.Wait(ctx)
}

// Process is a program running in the guest, started by Start.
type Process struct {
	PID int
	m   *Machine
}

// Start starts a program in a session of its own, without a terminal. An empty
// stdin is /dev/null.
func (m *Machine) Start(ctx context.Context, c Command, stdin []byte) (*Process, error) {
	s, _, err := call[protocol.Started](ctx, m, protocol.MethodStart, c, stdin)
	if err != nil {
		return nil, err
	}
	return &Process{PID: s.PID, m: m}, nil
}

// Wait waits for the program's end, once.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return p.wait(ctx, 0)
	}
	// The guest's time-out comes first, so that the output is not lost.
	return p.wait(ctx, max(time.Until(deadline)-time.Second, time.Millisecond))
}

// wait has the guest end the program after some time by its clock; 0: never.
func (p *Process) wait(ctx context.Context, most time.Duration) (Exit, error) {
	exit, _, err := call[Exit](ctx, p.m, protocol.MethodWait, protocol.Process{PID: p.PID, Timeout: most}, nil)
	if err == nil && exit.TimedOut {
		err = fmt.Errorf("process %d ran longer than %s; stdout %q, stderr %q: %w", p.PID, most, exit.Stdout, exit.Stderr, context.DeadlineExceeded)
	}
	return exit, err
}

// Kill sends the program a signal.
func (p *Process) Kill(ctx context.Context, s syscall.Signal) error { return p.m.Kill(ctx, p.PID, s) }

// Kill sends a signal to any process of the guest, or with a negative pid to a
// process group.
func (m *Machine) Kill(ctx context.Context, pid int, s syscall.Signal) error {
	return m.do(ctx, protocol.MethodKill, protocol.Signal{PID: pid, Signal: s}, nil)
}

// ProcessInfo is what the guest's /proc tells about a process: Voluntary is the
// sum of its threads' voluntary context switches, which counts its wake-ups;
// Files are its open descriptors.
type ProcessInfo = protocol.ProcessInfo

// Inspect looks a process up in /proc, from outside the process.
func (m *Machine) Inspect(ctx context.Context, pid int) (ProcessInfo, error) {
	info, _, err := call[ProcessInfo](ctx, m, protocol.MethodProcess, protocol.Process{PID: pid}, nil)
	return info, err
}

// ReadFile reads a file of the guest, sysfs and /proc included.
func (m *Machine) ReadFile(ctx context.Context, path string) ([]byte, error) {
	_, body, err := call[struct{}](ctx, m, protocol.MethodRead, protocol.Path{Path: path}, nil)
	return body, err
}

// WriteFile writes a file of the guest in a single write, as sysfs wants it.
// Below /sys and /proc nothing is created.
func (m *Machine) WriteFile(ctx context.Context, path string, content []byte, perm os.FileMode) error {
	return m.do(ctx, protocol.MethodWrite, protocol.File{Path: path, Mode: uint32(perm.Perm())}, content)
}

// PushFile copies a file of the host into the guest, with its permission bits.
func (m *Machine) PushFile(ctx context.Context, host, guest string) error {
	content, err := os.ReadFile(host)
	if err != nil {
		return err
	}
	info, err := os.Stat(host)
	if err != nil {
		return err
	}
	return m.WriteFile(ctx, guest, content, info.Mode())
}

// Entry is a name in a directory of the guest. Link is a symbolic link's target.
type Entry = protocol.Entry

// List lists a directory, sorted by name.
func (m *Machine) List(ctx context.Context, dir string) ([]Entry, error) {
	entries, _, err := call[[]Entry](ctx, m, protocol.MethodList, protocol.Path{Path: dir}, nil)
	return entries, err
}

// Mkdir makes a directory and those above it.
func (m *Machine) Mkdir(ctx context.Context, dir string, perm os.FileMode) error {
	return m.do(ctx, protocol.MethodMkdir, protocol.File{Path: dir, Mode: uint32(perm.Perm())}, nil)
}

// Remove removes a file or a whole directory; one that isn't there is no error.
func (m *Machine) Remove(ctx context.Context, path string) error {
	return m.do(ctx, protocol.MethodRemove, protocol.Path{Path: path}, nil)
}

// Modprobe loads a kernel module of the initramfs, after those that it needs.
func (m *Machine) Modprobe(ctx context.Context, module, params string) error {
	return m.do(ctx, protocol.MethodModprobe, protocol.Modprobe{Module: moduleName(module), Params: params}, nil)
}

// KernelLog is the kernel's log, whatever its level.
func (m *Machine) KernelLog(ctx context.Context) (string, error) {
	_, body, err := call[struct{}](ctx, m, protocol.MethodKernelLog, nil, nil)
	return string(body), err
}

// Clocks are the guest's clocks at one moment.
type Clocks = protocol.Clocks

// Clocks reads the guest's clocks; trace events are stamped by Monotonic.
func (m *Machine) Clocks(ctx context.Context) (Clocks, error) {
	c, _, err := call[Clocks](ctx, m, protocol.MethodClocks, nil, nil)
	return c, err
}

// transport makes HTTP requests inside the guest.
type transport struct {
	m    *Machine
	unix string
}

// Transport carries HTTP requests into the guest, where they are made on its
// own loopback: http.Client{Transport: m.Transport("")}. With a path the Unix
// socket there is dialled. A reverse proxy on it lets a program on the host,
// such as Prometheus, scrape a daemon in the guest.
func (m *Machine) Transport(unixSocket string) http.RoundTripper { return transport{m, unixSocket} }

func (t transport) RoundTrip(q *http.Request) (*http.Response, error) {
	var body []byte
	if q.Body != nil {
		var err error
		if body, err = io.ReadAll(q.Body); err != nil {
			return nil, errors.Join(err, q.Body.Close())
		}
		if err := q.Body.Close(); err != nil {
			return nil, err
		}
	}
	r, answer, err := call[protocol.HTTPResponse](q.Context(), t.m, protocol.MethodHTTP,
		protocol.HTTPRequest{Method: q.Method, URL: q.URL.String(), Header: q.Header, Unix: t.unix}, body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)), StatusCode: r.Status,
		Proto: r.Proto, ProtoMajor: 1, ProtoMinor: 1, Header: r.Header, Request: q,
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
	}, nil
}
