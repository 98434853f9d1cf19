package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// usbController is the name of QEMU's USB controller.
const usbController = "usb"

// A USBSerial is a USB serial adapter of QEMU's, an FTDI FT232, which the
// kernel's ftdi_sio drives: /dev/ttyUSB0 in the guest, once its modules are
// loaded. The device behind it is the test's.
type USBSerial struct {
	// Port is the device's end of the wire. It is another one after each Plug,
	// and ends at Unplug.
	Port net.Conn

	serial string
	id     string // QEMU's, of the device that is plugged in
	m      *Machine
}

// AddUSBSerial loads the adapter's drivers and plugs one in, with a serial number.
func (m *Machine) AddUSBSerial(ctx context.Context, serial string) (*USBSerial, error) {
	for _, module := range []string{"xhci_pci", "ftdi_sio"} {
		if err := m.Modprobe(ctx, module, ""); err != nil {
			return nil, err
		}
	}
	u := &USBSerial{serial: serial, m: m}
	return u, u.Plug(ctx)
}

// Plug plugs the adapter in. The guest's kernel notices it later.
func (u *USBSerial) Plug(ctx context.Context) (err error) {
	if u.id != "" {
		return fmt.Errorf("the adapter %s is plugged in already", u.serial)
	}
	u.m.mu.Lock()
	u.m.buses++
	id := fmt.Sprintf("serial%d", u.m.buses)
	u.m.mu.Unlock()
	// A character device serves one adapter in its life.
	path := filepath.Join(u.m.dir, id)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	address := map[string]any{"type": "unix", "data": map[string]any{"path": path}}
	_, err = u.m.monitor.execute(ctx, "chardev-add", map[string]any{"id": id, "backend": map[string]any{
		"type": "socket", "data": map[string]any{"addr": address, "server": false}}})
	if err != nil {
		return err
	}
	if err := listener.(*net.UnixListener).SetDeadline(time.Now().Add(callPatience)); err != nil {
		return err
	}
	if u.Port, err = listener.Accept(); err != nil {
		return fmt.Errorf("waiting for QEMU's connection: %w", err)
	}
	_, err = u.m.monitor.execute(ctx, "device_add", map[string]any{
		"driver": "usb-serial", "id": id, "bus": usbController + ".0", "chardev": id, "serial": u.serial})
	if err != nil {
		return errors.Join(err, u.Port.Close())
	}
	u.id = id
	return nil
}

// Unplug pulls the adapter out, whoever uses it; one that is out stays out.
func (u *USBSerial) Unplug(ctx context.Context) error {
	if u.id == "" {
		return nil
	}
	_, err := u.m.monitor.execute(ctx, "device_del", map[string]any{"id": u.id})
	u.id = ""
	return errors.Join(err, u.Port.Close())
}
