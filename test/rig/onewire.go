package rig

import (
	"context"

	"example.org/dormouse/test/guest/onewire"
	"example.org/dormouse/test/rig/protocol"
)

// DS18B20 is a modelled thermometer on a 1-Wire bus.
type DS18B20 struct {
	// Serial is its number, 48 bits.
	Serial uint64
	// Sixteenths is its temperature in 1/16 °C: −162 is −10.125 °C.
	Sixteenths int16
	// Absent pulls it out; one that returns has lost its last conversion.
	Absent bool
	// BadCRC spoils the checksum of its scratchpad.
	BadCRC bool
}

// Dir is the thermometer's directory in the guest's sysfs, with files
// "temperature" and "w1_slave".
func (s DS18B20) Dir() string { return "/sys/bus/w1/devices/" + onewire.Name(s.Serial) }

func (s DS18B20) wire(bus int) protocol.W1Slave {
	return protocol.W1Slave{Bus: bus, Serial: s.Serial, Raw: s.Sixteenths, Absent: s.Absent, BadCRC: s.BadCRC}
}

// OneWireBus is a DS2490 adapter of the guest with modelled thermometers.
type OneWireBus struct {
	// Master is its directory in sysfs, with the file "therm_bulk_read".
	Master string

	id int
	m  *Machine
}

// AddOneWireBus plugs an adapter in and waits until the kernel's search has
// found the thermometers.
func (m *Machine) AddOneWireBus(ctx context.Context, slaves ...DS18B20) (*OneWireBus, error) {
	m.mu.Lock()
	m.buses++
	b := &OneWireBus{id: m.buses, m: m}
	m.mu.Unlock()
	return b, b.Return(ctx, slaves...)
}

// Remove pulls the adapter out.
func (b *OneWireBus) Remove(ctx context.Context) error {
	return b.m.do(ctx, protocol.MethodW1Detach, protocol.Bus{Bus: b.id}, nil)
}

// Return plugs a removed adapter in again, with the thermometers it had and
// these.
func (b *OneWireBus) Return(ctx context.Context, slaves ...DS18B20) error {
	attach := protocol.W1Attach{Bus: b.id}
	for _, s := range slaves {
		attach.Slaves = append(attach.Slaves, s.wire(b.id))
	}
	a, _, err := call[protocol.W1Attached](ctx, b.m, protocol.MethodW1Attach, attach, nil)
	b.Master = a.Master
	return err
}

// Add connects another thermometer and tells the kernel.
func (b *OneWireBus) Add(ctx context.Context, s DS18B20) error {
	return b.m.do(ctx, protocol.MethodW1Add, s.wire(b.id), nil)
}

// Set changes a thermometer: temperature, presence, checksum. The kernel
// forgets an absent one only after ten searches, 100 s; until then its files
// read empty.
func (b *OneWireBus) Set(ctx context.Context, s DS18B20) error {
	return b.m.do(ctx, protocol.MethodW1Set, s.wire(b.id), nil)
}
