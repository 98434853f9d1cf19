package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/guest/usbip"
)

// vhci is the kernel's virtual USB host controller.
const vhci = "/sys/devices/platform/vhci_hcd.0"

// fullSpeed is USB_SPEED_FULL (linux/usb/ch9.h).
const fullSpeed = 2

// plug is a USB device plugged into a port of vhci.
type plug struct {
	port   int
	conn   *os.File
	served chan error
}

// attach plugs a device in. It is the kernel's when this returns, but its
// driver is not bound yet.
func (g *guest) attach(dev usbip.Device) (*plug, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	port := -1
	for i, p := range g.plugs {
		if p == nil {
			port = i
			break
		}
	}
	if port < 0 {
		return nil, fmt.Errorf("all %d USB ports are taken", len(g.plugs))
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket pair: %w", err)
	}
	defer unix.Close(pair[1]) // the kernel takes its own reference
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("making a socket non-blocking: %w", err)
	}
	p := &plug{port: port, conn: os.NewFile(uintptr(pair[0]), "usbip"), served: make(chan error, 1)}
	go func() { p.served <- usbip.Serve(p.conn, dev) }()
	// "port fd devid speed": the device's number may be anything but 0.
	if err := write(vhci+"/attach", fmt.Sprintf("%d %d %d %d", port, pair[1], port+1, fullSpeed)); err != nil {
		return nil, errors.Join(err, p.conn.Close())
	}
	g.plugs[port] = p
	return p, nil
}

// detach pulls the device out and waits until the kernel has released it.
func (g *guest) detach(p *plug) error {
	if err := write(vhci+"/detach", strconv.Itoa(p.port)); err != nil {
		return err
	}
	if err := await("the device to be gone", func() (bool, error) {
		left, err := filepath.Glob(p.device())
		return len(left) == 0, err
	}); err != nil {
		return err
	}
	if err := p.conn.Close(); err != nil {
		return err
	}
	served := <-p.served
	if errors.Is(served, os.ErrClosed) || errors.Is(served, unix.ECONNRESET) || errors.Is(served, unix.EPIPE) {
		served = nil // how a connection ends that was closed while being read or written
	}
	g.mu.Lock()
	g.plugs[p.port] = nil
	g.mu.Unlock()
	return served
}

// device is a pattern for the USB device's directory: root hub ports count from 1.
func (p *plug) device() string {
	return fmt.Sprintf("%s/usb*/*-%d", vhci, p.port+1)
}
