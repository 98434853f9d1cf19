package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/guest/onewire"
	"example.org/dormouse/test/rig/protocol"
)

func monotonic() time.Duration {
	c, err := clocks()
	if err != nil {
		panic(err) // the kernel has no other way to fail than a wrong clock number
	}
	return c.Monotonic
}

// attachI2C plugs an adapter in; one that was detached comes back with its chips.
func (g *guest) attachI2C(a protocol.I2CAttach) (any, error) {
	for _, module := range []string{"i2c_dev", "vhci_hcd", "i2c_tiny_usb"} {
		if err := modprobe(module, ""); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	b := g.i2c[a.Bus]
	if b == nil {
		b = &i2cBus{bus: i2c.NewBus(time.Now, monotonic)}
		g.i2c[a.Bus] = b
	}
	g.mu.Unlock()
	if b.plug != nil {
		return nil, fmt.Errorf("I2C bus %d is plugged in already", a.Bus)
	}
	p, err := g.attach(&i2c.TinyUSB{Bus: b.bus})
	if err != nil {
		return nil, err
	}
	b.plug = p
	var number int
	err = await("the I2C adapter", func() (bool, error) {
		found, err := filepath.Glob(p.device() + "/*:1.0/i2c-*")
		if err != nil || len(found) == 0 {
			return false, err
		}
		if number, err = strconv.Atoi(strings.TrimPrefix(filepath.Base(found[0]), "i2c-")); err != nil {
			return false, err
		}
		_, err = os.Stat("/dev/i2c-" + strconv.Itoa(number))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
	return protocol.I2CAttached{Number: number}, err
}

func (g *guest) i2cBus(n int) (*i2cBus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.i2c[n]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("there is no I2C bus %d", n)
}

func (g *guest) detachI2C(q protocol.Bus) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	if b.plug == nil {
		return fmt.Errorf("I2C bus %d isn't plugged in", q.Bus)
	}
	p := b.plug
	b.plug = nil
	return g.detach(p)
}

func (g *guest) addI2CChip(c protocol.I2CChip) error {
	b, err := g.i2cBus(c.Bus)
	if err != nil {
		return err
	}
	var spec i2c.Spec
	if err := json.Unmarshal(c.Spec, &spec); err != nil {
		return fmt.Errorf("decoding a chip: %w", err)
	}
	chip, err := i2c.New(spec)
	if err != nil {
		return err
	}
	var powered func() bool
	if c.Power != nil {
		path, err := attribute(*c.Power, "value")
		if err != nil {
			return err
		}
		if _, err := read(path); err != nil {
			return err
		}
		// A supply that can't be read is off: the chip doesn't answer.
		powered = func() bool {
			v, err := read(path)
			return err == nil && v == "1"
		}
	}
	return b.bus.Add(c.Address, chip, powered)
}

func (g *guest) setI2CPresent(q protocol.I2CPresent) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	return b.bus.SetPresent(q.Address, q.Present)
}

func (g *guest) setI2CPrompt(q protocol.I2CPrompt) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	return b.bus.SetPrompt(q.Address, q.Prompt)
}

func (g *guest) setI2CValues(q protocol.I2CSet) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	return b.bus.With(q.Address, func(c i2c.Chip) error { return c.Set(q.Values) })
}

// memory finds a stretch of a chip's registers.
func (g *guest) memory(q protocol.I2CMemory, n int, f func([]byte)) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	return b.bus.With(q.Address, func(c i2c.Chip) error {
		m := c.Memory()
		if q.Register < 0 || n < 0 || q.Register+n > len(m) {
			return fmt.Errorf("the chip at 0x%02x has %d bytes of registers, not %d from %d on", q.Address, len(m), n, q.Register)
		}
		f(m[q.Register : q.Register+n])
		return nil
	})
}

func (g *guest) pokeI2C(q protocol.I2CMemory, body []byte) (any, []byte, error) {
	return nil, nil, g.memory(q, len(body), func(m []byte) { copy(m, body) })
}

func (g *guest) peekI2C(q protocol.I2CMemory, _ []byte) (any, []byte, error) {
	var out []byte
	err := g.memory(q, q.Length, func(m []byte) { out = append(out, m...) })
	return nil, out, err
}

func (g *guest) setI2CFault(q protocol.I2CFault) error {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return err
	}
	return b.bus.SetFault(q.Address, i2c.Fault(q.Fault))
}

func (g *guest) i2cTransfers(q protocol.Bus) (any, error) {
	b, err := g.i2cBus(q.Bus)
	if err != nil {
		return nil, err
	}
	return b.bus.Transfers(), nil
}

// w1Devices is where the kernel lists 1-Wire masters and slaves.
const w1Devices = "/sys/bus/w1/devices"

// attachOneWire plugs a DS2490 in, with slaves that the kernel's search finds.
func (g *guest) attachOneWire(a protocol.W1Attach) (any, error) {
	for _, module := range []string{"vhci_hcd", "w1_therm", "ds2490"} {
		if err := modprobe(module, ""); err != nil {
			return nil, err
		}
	}
	g.mu.Lock()
	b := g.onewire[a.Bus]
	if b == nil {
		b = &oneWireBus{bus: onewire.NewBus()}
		g.onewire[a.Bus] = b
	}
	g.mu.Unlock()
	if b.plug != nil {
		return nil, fmt.Errorf("1-Wire bus %d is plugged in already", a.Bus)
	}
	for _, s := range a.Slaves {
		if err := b.bus.Set(s.Serial, s.Raw, s.Absent, s.BadCRC); err != nil {
			return nil, err
		}
	}
	before, err := filepath.Glob(w1Devices + "/w1_bus_master*")
	if err != nil {
		return nil, err
	}
	if b.plug, err = g.attach(&onewire.DS2490{Bus: b.bus}); err != nil {
		return nil, err
	}
	err = await("the 1-Wire master", func() (bool, error) {
		now, err := filepath.Glob(w1Devices + "/w1_bus_master*")
		for _, m := range now {
			if !slices.Contains(before, m) {
				b.master = m
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return nil, err
	}
	for _, s := range a.Slaves {
		if !s.Absent {
			if err := awaitSlave(s.Serial); err != nil {
				return nil, err
			}
		}
	}
	return protocol.W1Attached{Master: b.master}, nil
}

func awaitSlave(serial uint64) error {
	name := onewire.Name(serial)
	return await("slave "+name, func() (bool, error) {
		_, err := os.Stat(filepath.Join(w1Devices, name, "temperature"))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
}

func (g *guest) oneWireBus(n int) (*oneWireBus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.onewire[n]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("there is no 1-Wire bus %d", n)
}

func (g *guest) detachOneWire(q protocol.Bus) error {
	b, err := g.oneWireBus(q.Bus)
	if err != nil {
		return err
	}
	if b.plug == nil {
		return fmt.Errorf("1-Wire bus %d isn't plugged in", q.Bus)
	}
	p := b.plug
	b.plug = nil
	return g.detach(p)
}

// addSlave connects a slave to a bus in use, and tells the kernel, which else
// would search only every 10 s.
func (g *guest) addSlave(s protocol.W1Slave) error {
	b, err := g.oneWireBus(s.Bus)
	if err != nil {
		return err
	}
	if err := b.bus.Set(s.Serial, s.Raw, s.Absent, s.BadCRC); err != nil {
		return err
	}
	if err := write(b.master+"/w1_master_add", onewire.Name(s.Serial)); err != nil {
		return err
	}
	return awaitSlave(s.Serial)
}

func (g *guest) setSlave(s protocol.W1Slave) error {
	b, err := g.oneWireBus(s.Bus)
	if err != nil {
		return err
	}
	return b.bus.Set(s.Serial, s.Raw, s.Absent, s.BadCRC)
}
