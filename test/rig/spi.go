package rig

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"example.org/dormouse/test/guest/spi"
	"example.org/dormouse/test/rig/protocol"
)

// SPIMessage is what was on the wires while an SPI chip was selected.
type SPIMessage = spi.Message

// An SPIChip is a modelled chip behind an SPI adapter of its own.
type SPIChip struct {
	// Number is its bus: /dev/spidevN.0 while spidev has it. It may be another
	// one after Return.
	Number int

	id    int
	model string
	m     *Machine
}

// AddSPIChip plugs an adapter with a chip in, by the kernel's name of it
// ("mcp3008"). No driver has it yet.
func (m *Machine) AddSPIChip(ctx context.Context, model string) (*SPIChip, error) {
	m.mu.Lock()
	m.buses++
	c := &SPIChip{id: m.buses, model: model, m: m}
	m.mu.Unlock()
	return c, c.Return(ctx)
}

// Remove pulls the adapter out.
func (c *SPIChip) Remove(ctx context.Context) error {
	return c.m.do(ctx, protocol.MethodSPIDetach, protocol.Bus{Bus: c.id}, nil)
}

// Return plugs a removed adapter in again.
func (c *SPIChip) Return(ctx context.Context) error {
	a, _, err := call[protocol.SPIAttached](ctx, c.m, protocol.MethodSPIAttach, protocol.SPIAttach{Bus: c.id, Model: c.model}, nil)
	c.Number = a.Number
	return err
}

// Dir is the chip's directory in sysfs.
func (c *SPIChip) Dir() string { return "/sys/bus/spi/devices/" + c.device() }

func (c *SPIChip) device() string { return fmt.Sprintf("spi%d.0", c.Number) }

// Bind has a driver of the kernel's take the chip, from whichever has it: spidev,
// or one that the chip's model is known to.
func (c *SPIChip) Bind(ctx context.Context, driver string) error {
	err := c.m.WriteFile(ctx, c.Dir()+"/driver/unbind", []byte(c.device()), 0)
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		return err
	}
	if err := c.m.WriteFile(ctx, c.Dir()+"/driver_override", []byte(driver), 0); err != nil {
		return err
	}

	err = c.m.WriteFile(ctx, "/sys/bus/spi/drivers/"+driver+"/bind", []byte(c.device()), 0)
	if err != nil {
		return fmt.Errorf("the kernel's driver %s didn't take %s: %w", driver, c.device(), err)
	}
	return nil
}

// Set changes what the chip measures: inputs ch0, ch1 and so on, as codes.
func (c *SPIChip) Set(ctx context.Context, values map[string]int) error {
	return c.m.do(ctx, protocol.MethodSPISet, protocol.SPISet{Bus: c.id, Values: values}, nil)
}

// SetFault breaks the wire from the chip, or mends it.
func (c *SPIChip) SetFault(ctx context.Context, f spi.Fault) error {
	return c.m.do(ctx, protocol.MethodSPIFault, protocol.SPIFault{Bus: c.id, Fault: string(f)}, nil)
}

// Messages returns what was on the wires since the last call, oldest first.
func (c *SPIChip) Messages(ctx context.Context) ([]SPIMessage, error) {
	messages, _, err := call[[]SPIMessage](ctx, c.m, protocol.MethodSPIMessages, protocol.Bus{Bus: c.id}, nil)
	return messages, err
}
