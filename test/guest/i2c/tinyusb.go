package i2c

import (
	"fmt"

	"example.org/dormouse/test/guest/usbip"
)

// TinyUSB is the adapter that the kernel's i2c-tiny-usb drives: control
// requests on endpoint 0 only (drivers/i2c/busses/i2c-tiny-usb.c).
type TinyUSB struct {
	Bus  *Bus
	nack bool // of the last message, for the status request
}

// Requests: 4 to 7 carry a message, their low bits mark the first and the last.
const (
	tinyFunctionality = 1
	tinySetDelay      = 2
	tinyStatus        = 3
	tinyTransfer      = 4

	// functionality is I2C_FUNC_I2C and I2C_FUNC_SMBUS_EMUL without block calls.
	functionality = 0x0eff0001

	statusACK  = 1
	statusNACK = 2
	flagRead   = 1 // I2C_M_RD
)

// Descriptors: vendor and product of the pair that the driver binds to.
func (*TinyUSB) Descriptors() (device, configuration []byte) {
	return usbip.DeviceDescriptor(0x0403, 0xc631, 0x0205), usbip.Configuration(nil)
}

// Control carries a message: wValue holds its flags, wIndex its address.
func (t *TinyUSB) Control(s usbip.Setup, data []byte) ([]byte, error) {
	switch {
	case s.Request == tinyFunctionality:
		f := uint32(functionality)
		return []byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}, nil
	case s.Request == tinySetDelay:
		return nil, nil
	case s.Request == tinyStatus:
		if t.nack {
			return []byte{statusNACK}, nil
		}
		return []byte{statusACK}, nil
	case s.Request >= tinyTransfer && s.Request <= tinyTransfer+3:
		if s.Value&flagRead != 0 {
			p := make([]byte, s.Length)
			t.nack = !t.Bus.Read(s.Index, p)
			return p, nil
		}
		t.nack = !t.Bus.Write(s.Index, data)
		return nil, nil
	}
	return nil, fmt.Errorf("i2c-tiny-usb has no request %d: %w", s.Request, usbip.ErrStall)
}

// Out stalls: the adapter has no endpoint but 0.
func (*TinyUSB) Out(uint8, []byte) error { return usbip.ErrStall }

// In stalls: the adapter has no endpoint but 0.
func (*TinyUSB) In(uint8, int) ([]byte, error) { return nil, usbip.ErrStall }
