//go:build linux

package board

import (
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/guard"
	"example.org/dormouse/sensors/board/pinmux"
	"periph.io/x/host/v3/distro"
)

// linux is the board that the program runs on.
type linux struct {
	kernel *kernel
	files  *files
	guards guard.Buses
}

// Open gives the machine's own board, whatever it is. Nothing is opened before
// a wire is asked for. The simulated board is made by package sim.
func Open() Inspector { return newLinux("/", ioctl) }

func newLinux(root string, call ioctlFunc) *linux {
	f := newFiles(root)
	f.ioctl = call
	return &linux{kernel: &kernel{root: root, ioctl: call, mux: pinmux.NewReader(root)}, files: f}
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
