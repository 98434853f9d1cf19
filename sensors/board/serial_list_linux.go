package board

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// serialDevices lists the ports that the kernel has hardware for.
func (l *linux) serialDevices() ([]Device, error) {
	names, err := l.kernel.stableNames()
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob(l.kernel.path("/sys/class/tty/*/device"))
	if err != nil {
		return nil, err
	}
	var devices []Device
	for _, path := range found {
		name := filepath.Base(filepath.Dir(path))
		absent, err := l.kernel.absent8250(name)
		if err != nil {
			return nil, err
		}
		if absent {
			continue
		}
		d := Device{Claim: sensors.Claim{Kind: sensors.SerialWire, Path: "/dev/" + name}, Node: "/dev/" + name}
		if stable, ok := names[name]; ok {
			d.Claim.Path = stable
		}
		if driver, err := os.Readlink(filepath.Join(path, "driver")); err == nil {
			d.Note = filepath.Base(driver)
		}
		if d.Taken = l.kernel.notConsole(d.Node) != nil; d.Taken {
			d.Note = "is the kernel's console"
		}
		devices = append(devices, d)
	}
	slices.SortFunc(devices, func(a, b Device) int { return strings.Compare(a.Node, b.Node) })
	return devices, nil
}

// identifySerial is the device behind a name, as long as it is there.
func (l *linux) identifySerial(c sensors.Claim) (string, bool) {
	if _, err := os.Stat(l.kernel.path(c.Path)); err != nil {
		return "", false
	}
	return l.kernel.ttyName(c.Path), true
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
