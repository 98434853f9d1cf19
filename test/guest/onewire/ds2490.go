package onewire

import (
	"encoding/binary"
	"fmt"

	"example.org/dormouse/test/guest/usbip"
)

// DS2490 is Maxim's USB to 1-Wire bridge (DS2490 data sheet), as far as the
// kernel's driver uses it. Commands are done when they have been sent, so the
// bridge is always idle.
type DS2490 struct {
	Bus *Bus
	out []byte // bytes from the host, waiting for a block command
	in  []byte // bytes for the host
}

// Endpoints: status, data to the bridge, data from it.
const (
	endpointStatus  = 1
	endpointDataOut = 2
	endpointDataIn  = 3
)

// Vendor requests and the communication commands (DS2490 data sheet, tables
// "control commands" and "communication commands"); the mask drops the flags.
const (
	requestControl = 0
	requestComm    = 1
	requestMode    = 2

	resetDevice = 0x0000

	commMask    = 0x00f6
	setDuration = 0x0012
	bitIO       = 0x0020
	busReset    = 0x0042
	byteIO      = 0x0052
	blockIO     = 0x0074
	search      = 0x00f4
	flagD       = 0x0008 // the bit of bitIO

	statusIdle = 0x20
	// fifo is the size of the data buffers, and what one status byte can count.
	fifo = 128
)

// Descriptors: the driver asks for alternate setting 3 with three endpoints.
func (*DS2490) Descriptors() (device, configuration []byte) {
	endpoints := []usbip.Endpoint{
		{Address: 0x80 | endpointStatus, Attributes: 3, MaxPacket: 32, Interval: 1},
		{Address: endpointDataOut, Attributes: 2, MaxPacket: 64},
		{Address: 0x80 | endpointDataIn, Attributes: 2, MaxPacket: 64},
	}
	return usbip.DeviceDescriptor(0x04fa, 0x2490, 0x0002),
		usbip.Configuration(endpoints, endpoints, endpoints, endpoints)
}

// Control takes a command: wValue is the command, wIndex its parameter.
func (d *DS2490) Control(s usbip.Setup, _ []byte) ([]byte, error) {
	switch s.Request {
	case requestControl:
		if s.Value == resetDevice {
			d.out, d.in = nil, nil
		}
		return nil, nil
	case requestMode:
		return nil, nil // speeds and pulses: nothing in the model depends on them
	case requestComm:
		return nil, d.communicate(s.Value, s.Index)
	}
	return nil, fmt.Errorf("the DS2490 has no request %d: %w", s.Request, usbip.ErrStall)
}

func (d *DS2490) communicate(command, parameter uint16) error {
	switch command & commMask {
	case setDuration:
	case busReset:
		d.Bus.Reset()
	case bitIO:
		var got byte
		if d.Bus.Slot(command&flagD != 0) {
			got = 1
		}
		d.in = append(d.in, got)
	case byteIO:
		d.in = append(d.in, d.Bus.Byte(byte(parameter)))
	case blockIO:
		n := int(parameter)
		if n > len(d.out) {
			return fmt.Errorf("a block of %d bytes with %d in the buffer: %w", n, len(d.out), usbip.ErrStall)
		}
		for _, v := range d.out[:n] {
			d.in = append(d.in, d.Bus.Byte(v))
		}
		d.out = d.out[n:]
	case search:
		d.out = nil // where to begin: every search here begins anew
		for _, rom := range d.Bus.Search() {
			d.in = binary.LittleEndian.AppendUint64(d.in, rom)
		}
	default:
		return fmt.Errorf("the DS2490 model knows no command 0x%04x: %w", command, usbip.ErrStall)
	}
	return nil
}

// Out takes data for a later command.
func (d *DS2490) Out(endpoint uint8, data []byte) error {
	if endpoint != endpointDataOut {
		return usbip.ErrStall
	}
	d.out = append(d.out, data...)
	return nil
}

// In gives the status (16 bytes) or data. The bridge isn't idle while more
// data waits than the buffer holds.
func (d *DS2490) In(endpoint uint8, length int) ([]byte, error) {
	switch endpoint {
	case endpointStatus:
		status := make([]byte, 16)
		if len(d.in) <= fifo {
			status[8] = statusIdle
		}
		status[12] = byte(min(len(d.out), fifo))
		status[13] = byte(min(len(d.in), fifo))
		return status, nil
	case endpointDataIn:
		n := min(length, len(d.in), fifo)
		data := d.in[:n]
		d.in = d.in[n:]
		return data, nil
	}
	return nil, usbip.ErrStall
}
