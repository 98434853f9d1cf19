// Package spi models an SPI adapter and the chip on it, bit for bit, for a
// guest whose kernel reaches it through Linux's own spi-ch341 driver.
//
// The models are written from the data sheets and share nothing with the
// drivers they test. They know no clock rate, and no mode but 0 (in which the
// adapter runs); one chip is on the one chip select that the driver has.
package spi

import (
	"fmt"
	"slices"
	"sync"

	"example.org/dormouse/test/guest/usbip"
)

// Chip is a modelled device. Its methods are called under the adapter's lock.
type Chip interface {
	// Select begins a message (true) or ends it.
	Select(on bool)
	// Exchange clocks eight bits in and out, most significant first.
	Exchange(out byte) (in byte)
	// Set changes what the chip measures; names are the model's own.
	Set(values map[string]int) error
}

// Fault is what is wrong with the wire from the chip (MISO).
type Fault string

// The faults. Zeros and Ones are a wire that is held low or high; Flip turns
// the last bit of each message's last byte.
const (
	Healthy Fault = ""
	Zeros   Fault = "zeros"
	Ones    Fault = "ones"
	Flip    Fault = "flip"
)

// Message is what was on the wires while the chip was selected.
type Message struct{ Out, In []byte }

// maxLog bounds the record: the oldest messages are dropped.
const maxLog = 1024

// CH341 is the USB adapter that spi-ch341 drives: three commands on a bulk
// endpoint, of which the SPI stream is answered on another
// (drivers/spi/spi-ch341.c of Linux 6.12).
type CH341 struct {
	chip Chip

	mu       sync.Mutex
	selected bool
	in       []byte // for the host
	fault    Fault
	log      []Message
}

// NewCH341 is an adapter with a chip.
func NewCH341(c Chip) *CH341 { return &CH341{chip: c} }

const (
	endpointOut = 2
	endpointIn  = 2

	cmdPins   = 0xab // sets pins: OUT|levels, DIR|mask, END
	cmdSetUp  = 0xaa // speed
	cmdStream = 0xa8 // up to 31 bytes, of which as many come back

	pinsOut  = 0x80
	pinsMask = 0xc0
	// pinCS0 is high while the driver means the chip to be selected: its
	// chip select is upside down. Its idle level at the start is high too.
	pinCS0 = 0x01
)

// Descriptors: vendor and product of the pair that the driver binds to.
func (*CH341) Descriptors() (device, configuration []byte) {
	return usbip.DeviceDescriptor(0x1a86, 0x5512, 0x0304), usbip.Configuration([]usbip.Endpoint{
		{Address: 0x80 | endpointIn, Attributes: 2, MaxPacket: 32},
		{Address: endpointOut, Attributes: 2, MaxPacket: 32},
	})
}

// Control stalls: the driver has no request.
func (*CH341) Control(usbip.Setup, []byte) ([]byte, error) { return nil, usbip.ErrStall }

// Out takes a command.
func (c *CH341) Out(endpoint uint8, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if endpoint != endpointOut || len(data) == 0 {
		return usbip.ErrStall
	}
	switch data[0] {
	case cmdSetUp:
		return nil
	case cmdPins:
		for _, b := range data[1:] {
			if b&pinsMask == pinsOut {
				c.setSelect(b&pinCS0 != 0)
			}
		}
		return nil
	case cmdStream:
		c.stream(data[1:])
		return nil
	}
	return fmt.Errorf("the CH341 model knows no command 0x%02x: %w", data[0], usbip.ErrStall)
}

func (c *CH341) setSelect(on bool) {
	if on == c.selected {
		return
	}
	c.selected = on
	c.chip.Select(on)
	if on {
		c.log = append(c.log, Message{})
		c.log = c.log[max(0, len(c.log)-maxLog):]
	}
}

func (c *CH341) stream(out []byte) {
	in := make([]byte, len(out))
	for i, b := range out {
		in[i] = 0xff // nobody drives the wire
		if c.selected {
			in[i] = c.chip.Exchange(b)
		}
		switch c.fault {
		case Zeros:
			in[i] = 0
		case Ones:
			in[i] = 0xff
		}
	}
	if c.fault == Flip && len(in) > 0 {
		in[len(in)-1] ^= 1
	}
	c.in = append(c.in, in...)
	if c.selected && len(c.log) > 0 {
		m := &c.log[len(c.log)-1]
		m.Out, m.In = append(m.Out, out...), append(m.In, in...)
	}
}

// In gives what the last stream brought. The driver submits a request before
// there was any, which then gets nothing.
func (c *CH341) In(endpoint uint8, length int) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if endpoint != endpointIn {
		return nil, usbip.ErrStall
	}
	n := min(length, len(c.in))
	data := slices.Clone(c.in[:n])
	c.in = c.in[n:]
	return data, nil
}

// Set changes what the chip measures.
func (c *CH341) Set(values map[string]int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chip.Set(values)
}

// SetFault breaks the wire from the chip, or mends it.
func (c *CH341) SetFault(f Fault) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f {
	case Healthy, Zeros, Ones, Flip:
		c.fault = f
		return nil
	}
	return fmt.Errorf("no fault is called %q", f)
}

// Messages returns the record of messages, oldest first, and forgets it.
func (c *CH341) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.log
	c.log = nil
	return log
}
