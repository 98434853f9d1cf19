package pinmux

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// controllers are the device tree's names of the chips behind the header, by
// the label that their drivers give them.
var controllers = map[string]string{
	"pinctrl-bcm2835": "brcm,bcm2835-gpio",
	"pinctrl-bcm2711": "brcm,bcm2711-gpio",
	"pinctrl-rp1":     "raspberrypi,rp1-gpio",
}

// unlisted are the peripherals of the BCM2835 to BCM2711 that may have pins on
// the header though their nodes list none: the firmware or the pin controller's
// own node has chosen their function. By the address at the end of their names;
// that of the I2C controller which only HDMI has isn't among them (BCM2835 ARM
// Peripherals, sections 1.2, 2.1, 3.1, 6.2, 10.5 and 13.4).
var unlisted = map[string][]int{
	"7e205000": {0, 1},
	"7e804000": {2, 3},
	"7e204000": {7, 8, 9, 10, 11},
	"7e201000": {14, 15},
	"7e215040": {14, 15},
}

// muxNames are the functions of brcm,function: dt-bindings/pinctrl/bcm2835.h.
var muxNames = []string{"gpio_in", "gpio_out", "alt5", "alt4", "alt0", "alt1", "alt2", "alt3"}

// kindOf is a device's kind by its name: "i2c" of i2c@7e804000, as the
// Devicetree Specification (section 2.2.2) recommends, and of 20804000.i2c, as
// the kernel calls the same in debugfs.
func kindOf(device string) string {
	if name, _, ok := strings.Cut(device, "@"); ok {
		return name
	}
	_, kind, _ := strings.Cut(device, ".")
	return kind
}

// A muxed pin is one of which a node of the pin controller says what it is to
// be.
type muxed struct {
	offset int
	mux    string
}

// A device is an enabled node with the numbers of those nodes that say what its
// pins are to be.
type device struct {
	name   string
	groups []uint32
}

// tree is what is to be known of a device tree.
type tree struct {
	compatible string // of the pin controller
	found      bool
	groups     map[uint32][]muxed
	devices    []device
}

// readTree reads the functions from the device tree. ok is false where there is
// none, where it may not be read, or where it doesn't have this pin controller.
func (r *Reader) readTree(label string) (found pins, ok bool) {
	t := &tree{compatible: controllers[label], groups: map[uint32][]muxed{}}
	for _, base := range []string{"/sys/firmware/devicetree/base", "/proc/device-tree"} {
		if _, err := t.walk(filepath.Join(r.root, base), true, false); err != nil {
			return nil, false
		}
		if t.found {
			return t.pins(), true
		}
	}
	return nil, false
}

// pins gives each device what its nodes say. A device without any has its usual
// ones, perhaps.
func (t *tree) pins() pins {
	found := pins{}
	for _, d := range t.devices {
		listed := false
		for _, g := range d.groups {
			for _, m := range t.groups[g] {
				listed = true
				if !isLine(m.mux) {
					found[m.offset] = function(m.offset, d.name, m.mux)
				}
			}
		}
		if listed || t.compatible == controllers["pinctrl-rp1"] {
			continue
		}
		_, address, _ := strings.Cut(d.name, "@")
		for _, offset := range unlisted[address] {
			if _, ok := found[offset]; !ok {
				f := function(offset, d.name, "")
				f.Guess = true
				found[offset] = f
			}
		}
	}
	return found
}

// walk reads a node and those below it. inside tells that the node is below the
// pin controller's; then it returns the pins that it and those below it are
// about. A node that vanishes meanwhile is passed over: its overlay was removed.
func (t *tree) walk(dir string, enabled, inside bool) ([]muxed, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	n := &node{dir: dir, has: map[string]bool{}}
	var below []string
	for _, e := range entries {
		if e.IsDir() {
			below = append(below, e.Name())
		} else {
			n.has[e.Name()] = true
		}
	}
	enabled = enabled && n.enabled()
	// Most nodes have a compatible: the walk takes half the time where it is read
	// only of those that the controller's binding lets it be.
	controller := n.has["gpio-controller"] && slices.Contains(n.strings("compatible"), t.compatible)
	t.found = t.found || controller
	if groups := n.cells("pinctrl-0"); enabled && !controller && (len(groups) > 0 || mayHaveUnlisted(dir)) {
		t.devices = append(t.devices, device{path.Base(dir), groups})
	}
	var all []muxed
	if inside {
		all = n.muxed()
	}
	for _, name := range below {
		more, err := t.walk(filepath.Join(dir, name), enabled, inside || controller)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if number := n.cells("phandle"); inside && len(number) == 1 {
		t.groups[number[0]] = all
	}
	return all, n.err
}

func mayHaveUnlisted(dir string) bool {
	_, address, _ := strings.Cut(path.Base(dir), "@")
	_, ok := unlisted[address]
	return ok
}

// A node is a directory of the device tree; its files are its properties.
type node struct {
	dir string
	has map[string]bool
	err error // the first that isn't that the property has vanished
}

func (n *node) read(property string) []byte {
	if !n.has[property] {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(n.dir, property))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && n.err == nil {
		n.err = err
	}
	return data
}

// strings are a property of texts, each of which ends in a zero byte.
func (n *node) strings(property string) []string {
	text := strings.TrimSuffix(string(n.read(property)), "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}

// cells are a property of numbers of 32 bits, big-endian.
func (n *node) cells(property string) []uint32 {
	data := n.read(property)
	var cells []uint32
	for ; len(data) >= 4; data = data[4:] {
		cells = append(cells, binary.BigEndian.Uint32(data))
	}
	return cells
}

// enabled is the node's own status: Devicetree Specification, section 2.3.4.
func (n *node) enabled() bool {
	status := n.strings("status")
	return len(status) == 0 || status[0] == "okay" || status[0] == "ok"
}

// muxed are the pins that a node of the pin controller is about, in either of
// the two spellings: brcm,bcm2835-gpio.txt and pinmux-node.yaml of the kernel's
// devicetree/bindings/pinctrl.
func (n *node) muxed() []muxed {
	var all []muxed
	functions := n.cells("brcm,function")
	for i, offset := range n.cells("brcm,pins") {
		if len(functions) == 0 {
			break
		}
		f := functions[min(i, len(functions)-1)] // one for each pin, or one for all
		all = append(all, muxed{int(offset), muxNames[f%uint32(len(muxNames))]})
	}
	for _, mux := range n.strings("function") {
		for _, name := range n.strings("pins") {
			if offset, err := strconv.Atoi(strings.TrimPrefix(name, "gpio")); err == nil {
				all = append(all, muxed{offset, mux})
			}
		}
	}
	return all
}
