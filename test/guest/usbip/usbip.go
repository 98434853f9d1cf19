// Package usbip serves a modelled USB device to the kernel's vhci-hcd driver
// by the USB/IP protocol (Documentation/usb/usbip_protocol.rst), so that a
// real device driver binds to a model written in Go.
//
// It knows control, bulk and interrupt transfers; isochronous ones it stalls.
// It doesn't import devices over a network: the connection is a socket pair
// whose other end was handed to /sys/devices/platform/vhci_hcd.0/attach.
package usbip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// Commands, from the protocol's document.
const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4
)

const (
	headerSize = 48
	dirIn      = 1
	// maxTransfer bounds one URB's buffer: the drivers served here ask for a
	// few hundred bytes, so more means that the stream is out of step.
	maxTransfer = 1 << 20
)

// Setup is a control transfer's setup packet (USB 2.0, section 9.3).
type Setup struct {
	RequestType uint8
	Request     uint8
	Value       uint16
	Index       uint16
	Length      uint16
}

// Device is what the models are.
type Device interface {
	// Descriptors are the device descriptor and the whole configuration
	// descriptor, interfaces and endpoints included.
	Descriptors() (device, configuration []byte)
	// Control answers a class or vendor request. data is what the host sends;
	// the result is what it asked for. An error stalls the pipe.
	Control(s Setup, data []byte) ([]byte, error)
	// Out takes bytes sent to an endpoint.
	Out(endpoint uint8, data []byte) error
	// In gives at most length bytes from an endpoint.
	In(endpoint uint8, length int) ([]byte, error)
}

// request is a USBIP_CMD_SUBMIT.
type request struct {
	seq      uint32
	endpoint uint8
	in       bool
	length   int
	setup    Setup
	data     []byte
}

// Serve answers the kernel's requests until the connection ends, one at a time
// and in their order, as one wire would. The end of the stream isn't an error.
func Serve(conn io.ReadWriter, dev Device) error {
	s := server{conn: conn, dev: dev, pending: map[uint32]bool{}, queue: make(chan request, 64)}
	done := make(chan error, 1)
	go func() { done <- s.work() }()
	readErr := s.read()
	close(s.queue)
	workErr := <-done
	if readErr == nil || errors.Is(readErr, io.EOF) {
		return workErr
	}
	return readErr
}

type server struct {
	conn  io.ReadWriter
	dev   Device
	queue chan request

	mu      sync.Mutex      // guards pending and the order of answers on conn
	pending map[uint32]bool // requests without an answer yet
}

func (s *server) read() error {
	for {
		var h [headerSize]byte
		if _, err := io.ReadFull(s.conn, h[:]); err != nil {
			if err == io.EOF {
				return err
			}
			return fmt.Errorf("reading a USB/IP header: %w", err)
		}
		switch command := binary.BigEndian.Uint32(h[0:]); command {
		case cmdSubmit:
			q, err := s.readSubmit(h)
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.pending[q.seq] = true
			s.mu.Unlock()
			s.queue <- q
		case cmdUnlink:
			if err := s.unlink(binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[20:])); err != nil {
				return err
			}
		default:
			return fmt.Errorf("unknown USB/IP command %d", command)
		}
	}
}

func (s *server) readSubmit(h [headerSize]byte) (request, error) {
	q := request{
		seq:      binary.BigEndian.Uint32(h[4:]),
		in:       binary.BigEndian.Uint32(h[12:]) == dirIn,
		endpoint: uint8(binary.BigEndian.Uint32(h[16:])),
		length:   int(int32(binary.BigEndian.Uint32(h[24:]))),
		setup: Setup{
			RequestType: h[40], Request: h[41],
			Value:  binary.LittleEndian.Uint16(h[42:]),
			Index:  binary.LittleEndian.Uint16(h[44:]),
			Length: binary.LittleEndian.Uint16(h[46:]),
		},
	}
	if q.length < 0 || q.length > maxTransfer {
		return q, fmt.Errorf("a USB transfer of %d bytes: the stream is out of step", q.length)
	}
	if !q.in {
		q.data = make([]byte, q.length)
		if _, err := io.ReadFull(s.conn, q.data); err != nil {
			return q, fmt.Errorf("reading a USB transfer's %d bytes: %w", q.length, err)
		}
	}
	return q, nil
}

func (s *server) work() error {
	var failed error
	for q := range s.queue {
		if failed != nil {
			continue // drain, so that read never blocks on a full queue
		}
		data, err := s.answer(q)
		if len(data) > q.length {
			data = data[:q.length]
		}
		failed = s.reply(q, data, err)
	}
	return failed
}

// reply sends a request's answer unless the kernel withdrew it meanwhile.
func (s *server) reply(q request, data []byte, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.pending[q.seq] {
		return nil
	}
	delete(s.pending, q.seq)
	buf := make([]byte, headerSize, headerSize+len(data))
	binary.BigEndian.PutUint32(buf[0:], retSubmit)
	binary.BigEndian.PutUint32(buf[4:], q.seq)
	switch {
	case err != nil:
		binary.BigEndian.PutUint32(buf[20:], negative(syscall.EPIPE)) // a stall
	case q.in:
		binary.BigEndian.PutUint32(buf[24:], uint32(len(data)))
		buf = append(buf, data...)
	default:
		binary.BigEndian.PutUint32(buf[24:], uint32(len(q.data)))
	}
	if _, err := s.conn.Write(buf); err != nil {
		return fmt.Errorf("answering a USB transfer: %w", err)
	}
	return nil
}

// unlink withdraws a request that the driver's time-out gave up.
func (s *server) unlink(seq, target uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	buf := make([]byte, headerSize)
	binary.BigEndian.PutUint32(buf[0:], retUnlink)
	binary.BigEndian.PutUint32(buf[4:], seq)
	if s.pending[target] {
		delete(s.pending, target)
		binary.BigEndian.PutUint32(buf[20:], negative(syscall.ECONNRESET))
	}
	if _, err := s.conn.Write(buf); err != nil {
		return fmt.Errorf("answering a USB unlink: %w", err)
	}
	return nil
}

func negative(errno syscall.Errno) uint32 { return uint32(-int32(errno)) }

// Standard requests (USB 2.0, table 9-4).
const (
	getStatus        = 0
	clearFeature     = 1
	setFeature       = 3
	getDescriptor    = 6
	getConfiguration = 8
	setConfiguration = 9
	setInterface     = 11

	// notStandard are the bits of RequestType that a class or vendor request sets.
	notStandard = 0x20 | 0x40

	descDev  = 1
	descConf = 2
)

// ErrStall is any refusal: the kernel sees EPIPE.
var ErrStall = errors.New("stall")

func (s *server) answer(q request) ([]byte, error) {
	switch {
	case q.endpoint != 0 && q.in:
		return s.dev.In(q.endpoint, q.length)
	case q.endpoint != 0:
		return nil, s.dev.Out(q.endpoint, q.data)
	case q.setup.RequestType&notStandard != 0:
		return s.dev.Control(q.setup, q.data)
	}
	switch q.setup.Request {
	case getStatus:
		return []byte{0, 0}, nil
	case getConfiguration:
		return []byte{1}, nil
	case clearFeature, setFeature, setConfiguration, setInterface:
		return nil, nil
	case getDescriptor:
		device, configuration := s.dev.Descriptors()
		switch q.setup.Value >> 8 {
		case descDev:
			return device, nil
		case descConf:
			return configuration, nil
		}
	}
	return nil, ErrStall // strings and device qualifiers: the device has none
}

// DeviceDescriptor is the 18 bytes of USB 2.0, table 9-8, of a full-speed
// device of vendor-specific class.
func DeviceDescriptor(vendor, product, release uint16) []byte {
	le := binary.LittleEndian
	d := []byte{18, descDev, 0x10, 0x01, 0xff, 0, 0, 64}
	d = le.AppendUint16(d, vendor)
	d = le.AppendUint16(d, product)
	d = le.AppendUint16(d, release)
	return append(d, 0, 0, 0, 1)
}

// Endpoint is an endpoint descriptor's content (USB 2.0, table 9-13).
type Endpoint struct {
	Address    uint8 // 0x80 set: to the host
	Attributes uint8 // 2 bulk, 3 interrupt
	MaxPacket  uint16
	Interval   uint8 // ms
}

// Configuration is one interface with its alternate settings, each a list of
// endpoints (USB 2.0, tables 9-10 and 9-12).
func Configuration(settings ...[]Endpoint) []byte {
	le := binary.LittleEndian
	var body []byte
	for i, endpoints := range settings {
		body = append(body, 9, 4, 0, byte(i), byte(len(endpoints)), 0xff, 0, 0, 0)
		for _, e := range endpoints {
			body = append(body, 7, 5, e.Address, e.Attributes)
			body = le.AppendUint16(body, e.MaxPacket)
			body = append(body, e.Interval)
		}
	}
	head := []byte{9, descConf}
	head = le.AppendUint16(head, uint16(9+len(body)))
	head = append(head, 1, 1, 0, 0x80, 50)
	return append(head, body...)
}
