package main

import (
	"fmt"
	"path/filepath"

	"example.org/dormouse/test/guest/spi"
	"example.org/dormouse/test/rig/protocol"
)

// spiBus is an adapter with its one chip.
type spiBus struct {
	adapter *spi.CH341
	model   string
	plug    *plug
}

// attachSPI plugs an adapter in. The kernel has spidev built in.
func (g *guest) attachSPI(a protocol.SPIAttach) (any, error) {
	for _, module := range []string{"vhci_hcd", "spi_ch341"} {
		if err := modprobe(module, ""); err != nil {
			return nil, err
		}
	}
	b, err := g.newSPIBus(a)
	if err != nil {
		return nil, err
	}
	if b.plug != nil {
		return nil, fmt.Errorf("SPI bus %d is plugged in already", a.Bus)
	}
	if err := write("/sys/module/spi_ch341/parameters/alias", b.model); err != nil {
		return nil, err
	}
	if b.plug, err = g.attach(b.adapter); err != nil {
		return nil, err
	}
	var number int
	err = await("the SPI adapter", func() (bool, error) {
		found, err := filepath.Glob(b.plug.device() + "/*:1.0/spi_master/spi*/spi*.0")
		if err != nil || len(found) == 0 {
			return false, err
		}
		_, err = fmt.Sscanf(filepath.Base(found[0]), "spi%d.0", &number)
		return err == nil, err
	})
	return protocol.SPIAttached{Number: number}, err
}

// newSPIBus finds an adapter that was there before, or makes it.
func (g *guest) newSPIBus(a protocol.SPIAttach) (*spiBus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.spi[a.Bus]; b != nil {
		return b, nil
	}
	chip, err := spi.New(a.Model)
	if err != nil {
		return nil, err
	}
	b := &spiBus{adapter: spi.NewCH341(chip), model: a.Model}
	g.spi[a.Bus] = b
	return b, nil
}

func (g *guest) spiBus(n int) (*spiBus, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.spi[n]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("there is no SPI bus %d", n)
}

func (g *guest) detachSPI(q protocol.Bus) error {
	b, err := g.spiBus(q.Bus)
	if err != nil {
		return err
	}
	if b.plug == nil {
		return fmt.Errorf("SPI bus %d isn't plugged in", q.Bus)
	}
	p := b.plug
	b.plug = nil
	return g.detach(p)
}

func (g *guest) setSPIValues(q protocol.SPISet) error {
	b, err := g.spiBus(q.Bus)
	if err != nil {
		return err
	}
	return b.adapter.Set(q.Values)
}

func (g *guest) setSPIFault(q protocol.SPIFault) error {
	b, err := g.spiBus(q.Bus)
	if err != nil {
		return err
	}
	return b.adapter.SetFault(spi.Fault(q.Fault))
}

func (g *guest) spiMessages(q protocol.Bus) (any, error) {
	b, err := g.spiBus(q.Bus)
	if err != nil {
		return nil, err
	}
	return b.adapter.Messages(), nil
}
