package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.org/dormouse/test/rig/protocol"
)

func TestSerialPortWaitsForTheGuest(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	var said bytes.Buffer
	port := newSerialPort(near)
	port.console = &said
	guest := make(chan error, 1)
	go func() { // what the kernel says, the mark, and then frames
		_, err := io.WriteString(far, "Booting Linux\n\x00dormouse says\n"+protocol.SerialMark)
		if err == nil {
			var q protocol.Request
			_, err = protocol.Read(far, &q)
			if q.ID != 7 {
				err = fmt.Errorf("request %d", q.ID)
			}
		}
		guest <- errors.Join(err, protocol.Write(far, protocol.Response{ID: 7}, []byte("body")))
	}()
	written := make(chan error, 1)
	go func() { written <- protocol.Write(port, protocol.Request{ID: 7}, nil) }() // before the line is taken
	var r protocol.Response
	body, err := protocol.Read(port, &r)
	if err = errors.Join(err, <-written, <-guest); err != nil || r.ID != 7 || string(body) != "body" {
		t.Errorf("%+v, %q, %v", r, body, err)
	}
	if !strings.HasPrefix(said.String(), "Booting Linux\n\x00dormouse says\n") {
		t.Errorf("the console has %q", said.String())
	}
	if _, err := port.Write(make([]byte, maxSerial+1)); err == nil || !strings.Contains(err.Error(), "Options.Files") {
		t.Errorf("too much at once: %v", err)
	}

	// The kernel's last words are no frame, and nothing follows them.
	go func() {
		_, err := io.WriteString(far, "[ 12.3] Kernel panic - not syncing")
		guest <- errors.Join(err, far.Close())
	}()
	if _, err := protocol.Read(port, &r); err == nil || !strings.Contains(err.Error(), "out of step") {
		t.Errorf("reading a panic: %v", err)
	}
	port.spill()
	if err := <-guest; err != nil || !strings.Contains(said.String(), "[ 12.3] Kernel panic - not syncing") {
		t.Errorf("%v; the console has %q", err, said.String())
	}
}

func TestSerialPortOfAMachineThatEnds(t *testing.T) {
	near, far := net.Pipe()
	port := newSerialPort(near)
	port.console = io.Discard
	written := make(chan error, 1)
	go func() { written <- protocol.Write(port, protocol.Request{}, nil) }()
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := protocol.Read(port, &protocol.Response{}); !errors.Is(err, io.EOF) {
		t.Errorf("reading: %v", err)
	}
	if err := <-written; err == nil {
		t.Error("a request was sent to a machine that has ended")
	}
}

// scripted answers each line that it reads by a line.
func scripted(t *testing.T, greeting string, answer func(line string) string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	go func() {
		_, err := io.WriteString(far, greeting)
		in := json.NewDecoder(far) // of JSON, or of words that aren't any
		for err == nil {
			var line json.RawMessage
			if err = in.Decode(&line); err == nil {
				_, err = io.WriteString(far, answer(string(line)))
			}
		}
	}()
	return near
}

func TestMonitor(t *testing.T) {
	conn := scripted(t, `{"QMP": {"version": {}}}`+"\n", func(line string) string {
		switch {
		case strings.Contains(line, "qom-set"):
			return `{"event": "RESUME"}` + "\n" + `{"error": {"class": "DeviceNotFound", "desc": "no such device"}}` + "\n"
		case strings.Contains(line, "query-status"):
			return `{"event": "STOP"}` + "\n" + `{"return": {"running": true}}` + "\n"
		}
		return `{"return": {}}` + "\n"
	})
	m, err := newMonitor(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.execute(t.Context(), "query-status", nil); err != nil || string(got) != `{"running": true}` {
		t.Errorf("%s, %v", got, err)
	}
	_, err = m.execute(t.Context(), "qom-set", map[string]any{"path": "/nowhere"})
	if err == nil || !strings.Contains(err.Error(), "/nowhere") || !strings.HasSuffix(err.Error(), "no such device") {
		t.Errorf("a path that isn't there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if _, err := m.execute(ctx, "query-status", nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
}

func TestTestPort(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		line := make([]byte, 100)
		for {
			n, err := far.Read(line)
			if err != nil {
				return
			}
			said := map[string]string{
				"readl 0x20\n": "OK 0x0000000000ffff24\n", "writel 0x20 0x1\n": "OK\n", "readl 0x24\n": "OK what\n",
			}[string(line[:n])]
			if said == "" {
				said = "FAIL Unknown command\n"
			}
			if _, err := io.WriteString(far, said); err != nil {
				return
			}
		}
	}()
	q := &testPort{conn: near}
	if got, err := q.read(t.Context(), 0x20); err != nil || got != 0xffff24 {
		t.Errorf("0x%x, %v", got, err)
	}
	if err := q.write(t.Context(), 0x20, 1); err != nil {
		t.Error(err)
	}
	if err := q.write(t.Context(), 0x28, 1); err == nil || !strings.Contains(err.Error(), "FAIL Unknown command") {
		t.Errorf("a command that fails: %v", err)
	}
	if _, err := q.read(t.Context(), 0x24); err == nil || !strings.Contains(err.Error(), `says "what"`) {
		t.Errorf("an answer that is no number: %v", err)
	}
}

func TestMerged(t *testing.T) {
	old, merging := t.TempDir(), t.TempDir()
	for _, path := range []string{old + "/bin/busybox", old + "/lib/modules/6.1", merging + "/usr/bin/busybox", merging + "/usr/lib/modules/6.12"} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		old + "/bin/busybox": "/bin/busybox", merging + "/bin/busybox": "/usr/bin/busybox",
		old + "/lib/modules/6.1": "/lib/modules/6.1", merging + "/lib/modules/6.12": "/usr/lib/modules/6.12",
	} {
		got, err := merged(path)
		if err != nil || strings.TrimPrefix(strings.TrimPrefix(got, old), merging) != want {
			t.Errorf("%s is at %s, %v", path, got, err)
		}
	}
	for _, path := range []string{old + "/bin/nothing", filepath.Join(old, "sbin/init")} {
		if got, err := merged(path); err == nil {
			t.Errorf("%s is at %s", path, got)
		}
	}
}
