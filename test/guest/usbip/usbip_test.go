package usbip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// echo gives back what was last sent to it, and stalls on vendor request 9.
type echo struct {
	last    []byte
	blocked chan struct{} // when set, In waits for it
	entered chan struct{}
}

func (e *echo) Descriptors() ([]byte, []byte) {
	return DeviceDescriptor(0x0403, 0xc631, 0x0205), Configuration(nil)
}

func (e *echo) Control(s Setup, data []byte) ([]byte, error) {
	if s.Request == 9 {
		return nil, errors.New("no such request")
	}
	if s.RequestType&0x80 == 0 {
		e.last = data
		return nil, nil
	}
	return []byte{byte(s.Value), byte(s.Index), byte(s.Length)}, nil
}

func (e *echo) Out(_ uint8, data []byte) error { e.last = data; return nil }

func (e *echo) In(uint8, int) ([]byte, error) {
	if e.blocked != nil {
		e.entered <- struct{}{}
		<-e.blocked
	}
	return e.last, nil
}

type kernel struct {
	t    *testing.T
	conn net.Conn
}

func start(t *testing.T, dev Device) kernel {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(theirs, dev) }()
	t.Cleanup(func() {
		ours.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return kernel{t, ours}
}

func submit(seq uint32, in bool, endpoint uint32, length int, setup [8]byte) []byte {
	h := make([]byte, headerSize)
	binary.BigEndian.PutUint32(h[0:], cmdSubmit)
	binary.BigEndian.PutUint32(h[4:], seq)
	if in {
		binary.BigEndian.PutUint32(h[12:], dirIn)
	}
	binary.BigEndian.PutUint32(h[16:], endpoint)
	binary.BigEndian.PutUint32(h[24:], uint32(length))
	copy(h[40:], setup[:])
	return h
}

func (k kernel) send(h []byte, data ...byte) {
	k.t.Helper()
	if _, err := k.conn.Write(append(h, data...)); err != nil {
		k.t.Fatal(err)
	}
}

// receive reads an answer: its command, sequence number, status, length, and
// as many bytes as it announces when the request was inbound.
func (k kernel) receive(in bool) (command, seq uint32, status int32, data []byte) {
	k.t.Helper()
	h := make([]byte, headerSize)
	if _, err := io.ReadFull(k.conn, h); err != nil {
		k.t.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(h[24:]))
	if in {
		data = make([]byte, n)
		if _, err := io.ReadFull(k.conn, data); err != nil {
			k.t.Fatal(err)
		}
	}
	return binary.BigEndian.Uint32(h[0:]), binary.BigEndian.Uint32(h[4:]), int32(binary.BigEndian.Uint32(h[20:])), data
}

func TestServe(t *testing.T) {
	device := []byte{18, 1, 0x10, 1, 0xff, 0, 0, 64, 0x03, 0x04, 0x31, 0xc6, 5, 2, 0, 0, 0, 1}
	for _, c := range []struct {
		name   string
		in     bool
		ep     uint32
		length int
		setup  [8]byte
		out    []byte
		status int32
		want   []byte
	}{
		{"device descriptor", true, 0, 64, [8]byte{0x80, 6, 0, 1, 0, 0, 64, 0}, nil, 0, device},
		{"device descriptor, first 8 bytes", true, 0, 8, [8]byte{0x80, 6, 0, 1, 0, 0, 8, 0}, nil, 0, device[:8]},
		{"configuration", true, 0, 255, [8]byte{0x80, 6, 0, 2, 0, 0, 255, 0}, nil, 0,
			[]byte{9, 2, 18, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 0, 0xff, 0, 0, 0}},
		{"no strings", true, 0, 255, [8]byte{0x80, 6, 0, 3, 0, 0, 255, 0}, nil, -32, nil},
		{"status", true, 0, 2, [8]byte{0x80, 0, 0, 0, 0, 0, 2, 0}, nil, 0, []byte{0, 0}},
		{"set configuration", false, 0, 0, [8]byte{0, 9, 1, 0, 0, 0, 0, 0}, nil, 0, nil},
		{"vendor in", true, 0, 3, [8]byte{0xc1, 3, 7, 0, 8, 0, 3, 0}, nil, 0, []byte{7, 8, 3}},
		{"vendor stall", true, 0, 3, [8]byte{0xc1, 9, 0, 0, 0, 0, 3, 0}, nil, -32, nil},
		{"bulk out", false, 2, 3, [8]byte{}, []byte("abc"), 0, nil},
		{"bulk in", true, 3, 64, [8]byte{}, nil, 0, []byte("abc")},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := start(t, &echo{last: []byte("abc")})
			k.send(submit(5, c.in, c.ep, c.length, c.setup), c.out...)
			command, seq, status, data := k.receive(c.in)
			if command != retSubmit || seq != 5 || status != c.status || !bytes.Equal(data, c.want) {
				t.Errorf("command %d seq %d status %d data % x, want status %d data % x", command, seq, status, data, c.status, c.want)
			}
		})
	}
}

func TestUnlinkWithdrawsAPendingTransfer(t *testing.T) {
	dev := &echo{last: []byte("late"), blocked: make(chan struct{}), entered: make(chan struct{})}
	k := start(t, dev)
	k.send(submit(1, true, 3, 64, [8]byte{}))
	<-dev.entered
	unlink := make([]byte, headerSize)
	binary.BigEndian.PutUint32(unlink[0:], cmdUnlink)
	binary.BigEndian.PutUint32(unlink[4:], 2)
	binary.BigEndian.PutUint32(unlink[20:], 1)
	k.send(unlink)
	if command, seq, status, _ := k.receive(false); command != retUnlink || seq != 2 || status != -104 {
		t.Fatalf("unlink answered command %d seq %d status %d", command, seq, status)
	}
	close(dev.blocked)
	// The late answer must not be sent: the next one on the wire is that of 4.
	k.send(submit(4, true, 0, 2, [8]byte{0x80, 0, 0, 0, 0, 0, 2, 0}))
	if _, seq, status, _ := k.receive(true); seq != 4 || status != 0 {
		t.Errorf("after the unlink came seq %d status %d, want 4 and 0", seq, status)
	}
	binary.BigEndian.PutUint32(unlink[4:], 6)
	binary.BigEndian.PutUint32(unlink[20:], 4)
	k.send(unlink)
	if _, seq, status, _ := k.receive(false); seq != 6 || status != 0 {
		t.Errorf("unlink of an answered transfer gave seq %d status %d, want 6 and 0", seq, status)
	}
}

func TestServeRefusesGarbage(t *testing.T) {
	for name, c := range map[string]struct {
		wire []byte
		want string
	}{
		"unknown command": {make([]byte, headerSize), "unknown USB/IP command 0"},
		"huge transfer":   {submit(1, true, 0, 1<<30, [8]byte{}), "out of step"},
		"cut header":      {submit(1, true, 0, 8, [8]byte{})[:20], "reading a USB/IP header"},
		"cut data":        {append(submit(1, false, 2, 8, [8]byte{}), 1, 2), "8 bytes"},
	} {
		conn := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(c.wire), io.Discard}
		if err := Serve(conn, &echo{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
