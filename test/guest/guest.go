package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/guest/onewire"
	"example.org/dormouse/test/rig/protocol"
)

// guest is what the server remembers between requests.
type guest struct {
	mu       sync.Mutex
	children map[int]*child
	held     map[protocol.GPIOLine]int // descriptors of held lines
	plugs    []*plug                   // by vhci port; nil: free
	i2c      map[int]*i2cBus
	onewire  map[int]*oneWireBus
	spi      map[int]*spiBus
}

type i2cBus struct {
	bus  *i2c.Bus
	plug *plug
}

type oneWireBus struct {
	bus    *onewire.Bus
	plug   *plug
	master string // its directory in sysfs
}

func newGuest() *guest {
	return &guest{
		children: map[int]*child{},
		held:     map[protocol.GPIOLine]int{},
		plugs:    make([]*plug, 15),
		i2c:      map[int]*i2cBus{},
		onewire:  map[int]*oneWireBus{},
		spi:      map[int]*spiBus{},
	}
}

func (g *guest) handlers() map[string]handler {
	return map[string]handler{
		protocol.MethodHello:     result(hello),
		protocol.MethodModprobe:  plain(func(m protocol.Modprobe) error { return modprobe(m.Module, m.Params) }),
		protocol.MethodStart:     method(g.start),
		protocol.MethodWait:      result(g.wait),
		protocol.MethodKill:      plain(kill),
		protocol.MethodRead:      method(readFile),
		protocol.MethodWrite:     method(writeFile),
		protocol.MethodList:      result(list),
		protocol.MethodRemove:    plain(remove),
		protocol.MethodMkdir:     plain(mkdir),
		protocol.MethodProcess:   result(process),
		protocol.MethodHTTP:      method(httpRequest),
		protocol.MethodClocks:    result(func(struct{}) (any, error) { return clocks() }),
		protocol.MethodKernelLog: method(kernelLog),

		protocol.MethodGPIOAdd:    result(addChip),
		protocol.MethodGPIOLive:   result(setLive),
		protocol.MethodGPIOPull:   plain(func(p protocol.GPIOPull) error { return setPull(p.GPIOLine, p.Up) }),
		protocol.MethodGPIOValue:  result(value),
		protocol.MethodGPIOPulses: result(pulses),
		protocol.MethodGPIOHold:   plain(g.hold),
		protocol.MethodGPIODrop:   plain(g.drop),
		protocol.MethodTraceStart: plain(startTrace),
		protocol.MethodTraceStop:  method(stopTrace),

		protocol.MethodI2CAttach:    result(g.attachI2C),
		protocol.MethodI2CDetach:    plain(g.detachI2C),
		protocol.MethodI2CAdd:       plain(g.addI2CChip),
		protocol.MethodI2CPresent:   plain(g.setI2CPresent),
		protocol.MethodI2CPrompt:    plain(g.setI2CPrompt),
		protocol.MethodI2CSet:       plain(g.setI2CValues),
		protocol.MethodI2CPoke:      method(g.pokeI2C),
		protocol.MethodI2CPeek:      method(g.peekI2C),
		protocol.MethodI2CFault:     plain(g.setI2CFault),
		protocol.MethodI2CTransfers: result(g.i2cTransfers),

		protocol.MethodSPIAttach:   result(g.attachSPI),
		protocol.MethodSPIDetach:   plain(g.detachSPI),
		protocol.MethodSPISet:      plain(g.setSPIValues),
		protocol.MethodSPIFault:    plain(g.setSPIFault),
		protocol.MethodSPIMessages: result(g.spiMessages),

		protocol.MethodW1Attach: result(g.attachOneWire),
		protocol.MethodW1Detach: plain(g.detachOneWire),
		protocol.MethodW1Add:    plain(g.addSlave),
		protocol.MethodW1Set:    plain(g.setSlave),
	}
}

func hello(struct{}) (any, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	c, err := clocks()
	return protocol.Hello{Release: unix.ByteSliceToString(u.Release[:]), Uptime: c.Boottime}, err
}

// patience is how long the kernel gets to make or remove a device, by the guest's
// clock: in a machine whose idle time passes at once QEMU answers after seconds.
const patience = 2 * time.Minute

// await polls until done, which is how sysfs has to be waited for.
func await(what string, done func() (bool, error)) error {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s: %w", patience, what, os.ErrDeadlineExceeded)
		}
	}
}
