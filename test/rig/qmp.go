package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// monitor speaks QMP to QEMU (docs/interop/qmp-spec.rst): JSON objects, one
// after the other.
type monitor struct {
	mu   sync.Mutex // one command at a time
	conn net.Conn
	in   *json.Decoder
}

// newMonitor takes the greeting and leaves capabilities negotiation.
func newMonitor(ctx context.Context, conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, in: json.NewDecoder(conn)}
	var greeting struct{ QMP json.RawMessage }
	if err := deadline(ctx, conn); err != nil {
		return nil, err
	}
	if err := m.in.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("reading QMP's greeting: %w", err)
	}
	_, err := m.execute(ctx, "qmp_capabilities", nil)
	return m, err
}

// deadline is a context's on a connection.
func deadline(ctx context.Context, conn net.Conn) error {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(callPatience)
	}
	return conn.SetDeadline(end)
}

// execute runs one command and skips the events that come in between.
func (m *monitor) execute(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := deadline(ctx, m.conn); err != nil {
		return nil, err
	}
	request := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	if _, err := m.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("QMP %s: %w", command, err)
	}
	for {
		var response struct {
			Return json.RawMessage
			Event  string
			Error  *struct{ Desc string }
		}
		if err := m.in.Decode(&response); err != nil {
			return nil, fmt.Errorf("QMP %s: %w", command, err)
		}
		switch {
		case response.Event != "":
		case response.Error != nil:
			return nil, fmt.Errorf("QMP %s %s: %s", command, line, response.Error.Desc)
		default:
			return response.Return, nil
		}
	}
}

// testPort speaks QEMU's qtest protocol: physical memory and registers as a
// device sees them, without the guest's doing.
type testPort struct {
	mu   sync.Mutex
	conn net.Conn
}

// command sends one line and returns what follows OK.
func (q *testPort) command(ctx context.Context, format string, args ...any) (string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := deadline(ctx, q.conn); err != nil {
		return "", err
	}
	line := fmt.Sprintf(format, args...)
	if _, err := q.conn.Write([]byte(line + "\n")); err != nil {
		return "", fmt.Errorf("qtest %s: %w", line, err)
	}
	answer := make([]byte, 256)
	n := 0
	for n == 0 || answer[n-1] != '\n' {
		m, err := q.conn.Read(answer[n:])
		if err != nil {
			return "", fmt.Errorf("qtest %s: %w", line, err)
		}
		if n += m; n == len(answer) {
			return "", fmt.Errorf("qtest %s: too long an answer %q", line, answer)
		}
	}
	said, ok := strings.CutPrefix(strings.TrimSpace(string(answer[:n])), "OK")
	if !ok {
		return "", fmt.Errorf("qtest %s: %s", line, answer[:n])
	}
	return strings.TrimSpace(said), nil
}

// read reads a register of 32 bits.
func (q *testPort) read(ctx context.Context, address uint32) (uint32, error) {
	said, err := q.command(ctx, "readl 0x%x", address)
	if err != nil {
		return 0, err
	}
	var value uint32
	if _, err := fmt.Sscanf(said, "0x%x", &value); err != nil {
		return 0, fmt.Errorf("qtest readl 0x%x says %q: %w", address, said, err)
	}
	return value, nil
}

// write writes a register of 32 bits.
func (q *testPort) write(ctx context.Context, address, value uint32) error {
	_, err := q.command(ctx, "writel 0x%x 0x%x", address, value)
	return err
}
