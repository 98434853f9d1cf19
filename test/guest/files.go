package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/rig/protocol"
)

// readFile reads by plain system calls: os.ReadFile would hand a sysfs file to
// Go's poller, and wait for ever where a driver answers EAGAIN, as tmp102 does
// until its first conversion has ended.
func readFile(p protocol.Path, _ []byte) (any, []byte, error) {
	fd, err := unix.Open(p.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: p.Path, Err: err}
	}
	defer unix.Close(fd)
	var content []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, chunk)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, nil, &fs.PathError{Op: "read", Path: p.Path, Err: err}
		case n == 0:
			return nil, content, nil
		default:
			content = append(content, chunk[:n]...)
		}
	}
}

// writeFile writes in a single write, as sysfs wants it; files under /sys and
// /proc are never created, so that a wrong name is ENOENT.
func writeFile(p protocol.File, body []byte) (any, []byte, error) {
	flags := os.O_WRONLY | unix.O_NOCTTY
	switch {
	case strings.HasPrefix(p.Path, "/sys/"), strings.HasPrefix(p.Path, "/proc/"):
	case p.Append:
		flags |= os.O_CREATE | os.O_APPEND
	default:
		flags |= os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(p.Path, flags, fs.FileMode(p.Mode).Perm())
	if err != nil {
		return nil, nil, err
	}
	_, err = f.Write(body)
	return nil, nil, errors.Join(err, f.Close())
}

func mkdir(p protocol.File) error { return os.MkdirAll(p.Path, fs.FileMode(p.Mode).Perm()) }

func remove(p protocol.Path) error { return os.RemoveAll(p.Path) }

func list(p protocol.Path) (any, error) {
	names, err := os.ReadDir(p.Path)
	if err != nil {
		return nil, err
	}
	entries := []protocol.Entry{}
	for _, n := range names {
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		e := protocol.Entry{Name: n.Name(), Mode: uint32(info.Mode()), Size: info.Size()}
		if info.Mode()&fs.ModeSymlink != 0 {
			if e.Link, err = os.Readlink(filepath.Join(p.Path, n.Name())); err != nil {
				return nil, err
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// clocks reads the three clocks one after the other.
func clocks() (protocol.Clocks, error) {
	var mono, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return protocol.Clocks{}, fmt.Errorf("reading CLOCK_MONOTONIC: %w", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return protocol.Clocks{}, fmt.Errorf("reading CLOCK_BOOTTIME: %w", err)
	}
	return protocol.Clocks{
		Monotonic: time.Duration(mono.Nano()), Boottime: time.Duration(boot.Nano()), Realtime: time.Now(),
	}, nil
}

// kernelLog reads all messages the kernel still has.
func kernelLog(struct{}, []byte) (any, []byte, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("opening /dev/kmsg: %w", err)
	}
	defer unix.Close(fd)
	var out bytes.Buffer
	record := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil, out.Bytes(), nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // overwritten: the next is whole again
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("reading /dev/kmsg: %w", err)
		}
		out.WriteString(message(string(record[:n])))
	}
}

// message turns "6,339,5140900,-;text\n KEY=value\n" into "[    5.140900] text\n"
// (Documentation/ABI/testing/dev-kmsg).
func message(record string) string {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	var level, sequence, microseconds int64
	if _, err := fmt.Sscanf(head, "%d,%d,%d,", &level, &sequence, &microseconds); err != nil {
		return record
	}
	return fmt.Sprintf("[%5d.%06d] %s\n", microseconds/1e6, microseconds%1e6, text)
}

// httpRequest is made on the guest's loopback or a Unix socket, one connection
// a request. Redirects are not followed.
func httpRequest(q protocol.HTTPRequest, body []byte) (any, []byte, error) {
	request, err := http.NewRequest(q.Method, q.URL, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if q.Header != nil {
		request.Header = q.Header
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if q.Unix != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", q.Unix)
		}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(bufio.NewReader(response.Body))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the answer of %s: %w", q.URL, err)
	}
	return protocol.HTTPResponse{Status: response.StatusCode, Proto: response.Proto, Header: response.Header}, answer, nil
}
