package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/rig/protocol"
)

// Chip describes a modelled chip. Package test/guest/i2c has constructors:
// i2c.BMP280(), i2c.TMP102(400), i2c.Registers(…).
type Chip = i2c.Spec

// Transfer is one message that was on a bus.
type Transfer = i2c.Transfer

// I2CBus is an I2C adapter of the guest with modelled chips.
type I2CBus struct {
	// Number is the adapter's: /dev/i2c-N. It may change when the adapter
	// returns after Remove. The first adapter is 0, the second 1.
	Number int

	id int
	m  *Machine
}

// AddI2CBus plugs an adapter in and waits for its device.
func (m *Machine) AddI2CBus(ctx context.Context) (*I2CBus, error) {
	m.mu.Lock()
	m.buses++
	b := &I2CBus{id: m.buses, m: m}
	m.mu.Unlock()
	return b, b.Return(ctx)
}

// Remove pulls the adapter out, as a USB plug.
func (b *I2CBus) Remove(ctx context.Context) error {
	return b.m.do(ctx, protocol.MethodI2CDetach, protocol.Bus{Bus: b.id}, nil)
}

// Return plugs a removed adapter in again, with the chips it had.
func (b *I2CBus) Return(ctx context.Context) error {
	a, _, err := call[protocol.I2CAttached](ctx, b.m, protocol.MethodI2CAttach, protocol.I2CAttach{Bus: b.id}, nil)
	b.Number = a.Number
	return err
}

// AddChip puts a chip at an address, always powered.
func (b *I2CBus) AddChip(ctx context.Context, address uint16, chip Chip) error {
	return b.addChip(ctx, address, chip, nil)
}

// AddPoweredChip puts a chip at an address whose supply is a GPIO line: it
// answers while the line is high, and has lost its registers when it answers
// again after it was found without supply. The line is looked at only when a
// message comes by.
func (b *I2CBus) AddPoweredChip(ctx context.Context, address uint16, chip Chip, supply *GPIOChip, line int) error {
	l := supply.line(line)
	return b.addChip(ctx, address, chip, &l)
}

func (b *I2CBus) addChip(ctx context.Context, address uint16, chip Chip, power *protocol.GPIOLine) error {
	spec, err := json.Marshal(chip)
	if err != nil {
		return err
	}
	return b.m.do(ctx, protocol.MethodI2CAdd, protocol.I2CChip{Bus: b.id, Address: address, Spec: spec, Power: power}, nil)
}

// PullOut takes a chip off the bus; nobody answers at its address.
func (b *I2CBus) PullOut(ctx context.Context, address uint16) error {
	return b.m.do(ctx, protocol.MethodI2CPresent, protocol.I2CPresent{Bus: b.id, Address: address}, nil)
}

// PutBack puts a chip back, freshly powered.
func (b *I2CBus) PutBack(ctx context.Context, address uint16) error {
	return b.m.do(ctx, protocol.MethodI2CPresent, protocol.I2CPresent{Bus: b.id, Address: address, Present: true}, nil)
}

// Set changes what a chip measures, by the names that its constructor tells.
func (b *I2CBus) Set(ctx context.Context, address uint16, values map[string]int) error {
	return b.m.do(ctx, protocol.MethodI2CSet, protocol.I2CSet{Bus: b.id, Address: address, Values: values}, nil)
}

// Poke changes registers behind the chip's back; the offset counts bytes, so
// that word register r is at 2r.
func (b *I2CBus) Poke(ctx context.Context, address uint16, offset int, content []byte) error {
	return b.m.do(ctx, protocol.MethodI2CPoke, protocol.I2CMemory{Bus: b.id, Address: address, Register: offset}, content)
}

// Peek reads registers without a transfer on the bus; the offset is as Poke's.
func (b *I2CBus) Peek(ctx context.Context, address uint16, offset, n int) ([]byte, error) {
	_, content, err := call[struct{}](ctx, b.m, protocol.MethodI2CPeek,
		protocol.I2CMemory{Bus: b.id, Address: address, Register: offset, Length: n}, nil)
	return content, err
}

// SetFault makes a chip misbehave, or with address 0 the whole bus, until it
// is set to i2c.Healthy.
func (b *I2CBus) SetFault(ctx context.Context, address uint16, f i2c.Fault) error {
	return b.m.do(ctx, protocol.MethodI2CFault, protocol.I2CFault{Bus: b.id, Address: address, Fault: string(f)}, nil)
}

// Transfers returns the messages on the bus since the last call, the 2000
// latest at least.
func (b *I2CBus) Transfers(ctx context.Context) ([]Transfer, error) {
	t, _, err := call[[]Transfer](ctx, b.m, protocol.MethodI2CTransfers, protocol.Bus{Bus: b.id}, nil)
	return t, err
}

// Bind lets the kernel's own driver ("bmp280", "lm75") take the chip at an
// address, as a second implementation to compare with. It returns the device's
// directory in sysfs. The driver's module must be loaded: Modprobe. While it is
// bound the chip converts in no time.
func (b *I2CBus) Bind(ctx context.Context, driver string, address uint16) (dir string, err error) {
	if err := b.setPrompt(ctx, address, true); err != nil {
		return "", err
	}
	bus := fmt.Sprintf("/sys/bus/i2c/devices/i2c-%d", b.Number)
	if err := b.m.WriteFile(ctx, bus+"/new_device", fmt.Appendf(nil, "%s 0x%02x\n", driver, address), 0); err != nil {
		return "", err
	}
	dir = fmt.Sprintf("%s/%d-%04x", bus, b.Number, address)
	if _, err := b.m.List(ctx, dir+"/driver"); err != nil {
		return "", fmt.Errorf("the kernel's driver %s didn't take 0x%02x: %w", driver, address, err)
	}
	return dir, nil
}

// Unbind takes a chip from the kernel's driver again.
func (b *I2CBus) Unbind(ctx context.Context, address uint16) error {
	err := b.m.WriteFile(ctx, fmt.Sprintf("/sys/bus/i2c/devices/i2c-%d/delete_device", b.Number), fmt.Appendf(nil, "0x%02x\n", address), 0)
	return errors.Join(err, b.setPrompt(ctx, address, false))
}

func (b *I2CBus) setPrompt(ctx context.Context, address uint16, prompt bool) error {
	return b.m.do(ctx, protocol.MethodI2CPrompt, protocol.I2CPrompt{Bus: b.id, Address: address, Prompt: prompt}, nil)
}

// Attribute finds one file below a device's directory in sysfs by the end of
// its name ("in_temp_input", "temp1_input"), through subsystem directories
// such as iio:device0 or hwmon/hwmon1, and reads it.
func (m *Machine) Attribute(ctx context.Context, dir, name string) (string, error) {
	path, err := m.findAttribute(ctx, dir, name, 2)
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", fmt.Errorf("no file %s below %s", name, dir)
	}
	content, err := m.ReadFile(ctx, path)
	return strings.TrimSpace(string(content)), err
}

func (m *Machine) findAttribute(ctx context.Context, dir, name string, depth int) (string, error) {
	entries, err := m.List(ctx, dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name == name {
			return dir + "/" + name, nil
		}
	}
	for _, e := range entries {
		isClass := strings.HasPrefix(e.Name, "iio:") || strings.HasPrefix(e.Name, "hwmon")
		if depth > 0 && e.Link == "" && isClass {
			if path, err := m.findAttribute(ctx, dir+"/"+e.Name, name, depth-1); path != "" || err != nil {
				return path, err
			}
		}
	}
	return "", nil
}
