//go:build linux

package board

import (
	"fmt"

	"example.org/dormouse/sensors"
	"periph.io/x/host/v3/distro"
)

// linux is the board that the program runs on.
type linux struct {
	kernel *kernel
	files  *files
}

// Open gives the board of that kind. "auto" is the machine itself, whatever it
// is; nothing is opened before a wire is asked for. The simulated board is
// made by package sim.
func Open(kind string) (Board, error) {
	if kind != "auto" {
		return nil, fmt.Errorf("there is no board %q: auto is the machine itself", kind)
	}
	return newLinux("/", ioctl), nil
}

func newLinux(root string, call ioctlFunc) *linux {
	return &linux{kernel: &kernel{root: root, ioctl: call}, files: newFiles(root)}
}

// Model is the device tree's model (periph reads it, and initialises nothing
// for it).
func (l *linux) Model() string {
	if m := distro.DTModel(); m != "<unknown>" {
		return m
	}
	return "a board without a device tree"
}

func (l *linux) Files() sensors.Files { return l.files }
