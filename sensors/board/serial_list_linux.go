package board

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A SerialPort is a port that the kernel has hardware for.
type SerialPort struct {
	Path    string // the most stable name: /dev/serial/by-id/…, /dev/serial0, else /dev/ttyUSB0
	Device  string // "/dev/ttyUSB0"
	Driver  string // the kernel's: "ftdi_sio"
	Console bool   // the kernel's console is on it
}

// SerialPorts lists the serial ports without opening any.
func (l *linux) SerialPorts() ([]SerialPort, error) {
	names, err := l.kernel.stableNames()
	if err != nil {
		return nil, err
	}
	devices, err := filepath.Glob(l.kernel.path("/sys/class/tty/*/device"))
	if err != nil {
		return nil, err
	}
	var ports []SerialPort
	for _, device := range devices {
		dir := filepath.Dir(device)
		name := filepath.Base(dir)
		absent, err := l.kernel.absent8250(name)
		if err != nil {
			return nil, err
		}
		if absent {
			continue
		}
		p := SerialPort{Path: "/dev/" + name, Device: "/dev/" + name}
		if stable, ok := names[name]; ok {
			p.Path = stable
		}
		if driver, err := os.Readlink(filepath.Join(device, "driver")); err == nil {
			p.Driver = filepath.Base(driver)
		}
		p.Console = l.kernel.notConsole(p.Device) != nil
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(a, b SerialPort) int { return strings.Compare(a.Device, b.Device) })
	return ports, nil
}

// stableNames are the links that keep their names over boots and replugging, by
// the device they lead to: udev's /dev/serial/by-id, and Raspberry Pi OS's
// /dev/serial0, which is the header's port on every model.
func (k *kernel) stableNames() (map[string]string, error) {
	names := map[string]string{}
	for _, pattern := range []string{"/dev/serial0", "/dev/serial/by-id/*"} {
		links, err := filepath.Glob(k.path(pattern))
		if err != nil {
			return nil, err
		}
		for _, link := range links {
			target, err := os.Readlink(link)
			if err != nil {
				continue // it is no link, or is gone meanwhile
			}
			names[filepath.Base(target)] = filepath.Join(filepath.Dir(pattern), filepath.Base(link))
		}
	}
	return names, nil
}

// absent8250 tells of a ttyS that has no hardware: of the ports that the 8250
// driver makes beforehand, type is 0, PORT_UNKNOWN of linux/serial_core.h
// (Documentation/ABI/testing/sysfs-tty).
func (k *kernel) absent8250(name string) (bool, error) {
	if !strings.HasPrefix(name, "ttyS") {
		return false, nil
	}
	kind, err := os.ReadFile(k.path("/sys/class/tty/" + name + "/type"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.TrimSpace(string(kind)) == "0", err
}
