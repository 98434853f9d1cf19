package board

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gpioKernel is the GPIO side of a modelled kernel: chips by the name of their
// device node, lines by the descriptor that a request gave.
type gpioKernel struct {
	t     testing.TB
	root  string
	chips map[string]*chipModel

	mu     sync.Mutex
	opened []string // device nodes, as they were looked at
	lines  map[int]*lineModel
}

type chipModel struct {
	name, label string
	names       []string // of the lines
	consumers   map[int]string
	refuse      unix.Errno // each request
	infoErr     unix.Errno
}

type lineModel struct {
	request unix.GPIOV2LineRequest
	value   bool
	err     unix.Errno
	events  int // the descriptor that edges are written to
}

func newGPIOKernel(t testing.TB, chips map[string]*chipModel) *gpioKernel {
	k := &gpioKernel{t: t, root: t.TempDir(), chips: chips, lines: map[int]*lineModel{}}
	for node := range chips {
		makeFile(t, k.root, "/dev/"+node, "")
	}
	t.Cleanup(func() {
		for _, l := range k.lines {
			check(t, unix.Close(l.events))
		}
	})
	return k
}

func (k *gpioKernel) board() *linux { return newLinux(k.root, k.ioctl) }

func (k *gpioKernel) line(l sensors.Line) *lineModel { return k.lines[l.(*line).fd] }

func (k *gpioKernel) ioctl(fd, request uintptr, arg unsafe.Pointer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l, ok := k.lines[int(fd)]; ok && (request == unix.GPIO_V2_LINE_GET_VALUES_IOCTL || request == unix.GPIO_V2_LINE_SET_VALUES_IOCTL) {
		return l.values(request, (*unix.GPIOV2LineValues)(arg))
	}
	node, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return unix.EBADF
	}
	c := k.chips[filepath.Base(node)]
	if c == nil {
		return unix.ENOTTY
	}
	switch request {
	case gpioGetChipInfo:
		k.opened = append(k.opened, filepath.Base(node))
		info := (*unix.GPIOChipInfo)(arg)
		copy(info.Name[:], c.name)
		copy(info.Label[:], c.label)
		info.Lines = uint32(len(c.names))
		return nil
	case unix.GPIO_V2_GET_LINEINFO_IOCTL:
		if c.infoErr != 0 {
			return c.infoErr
		}
		info := (*unix.GPIOV2LineInfo)(arg)
		if int(info.Offset) >= len(c.names) {
			return unix.EINVAL
		}
		copy(info.Name[:], c.names[info.Offset])
		if who, held := c.consumers[int(info.Offset)]; held {
			info.Flags = flagUsed | flagOutput
			copy(info.Consumer[:], who)
		}
		return nil
	case unix.GPIO_V2_GET_LINE_IOCTL:
		return k.request(c, (*unix.GPIOV2LineRequest)(arg))
	}
	return unix.ENOTTY
}

func (k *gpioKernel) request(c *chipModel, r *unix.GPIOV2LineRequest) error {
	if c.refuse != 0 {
		return c.refuse
	}
	if _, held := c.consumers[int(r.Offsets[0])]; held {
		return unix.EBUSY
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	r.Fd = int32(ends[0])
	k.lines[ends[0]] = &lineModel{request: *r, events: ends[1]}
	return nil
}

func (l *lineModel) values(request uintptr, v *unix.GPIOV2LineValues) error {
	switch {
	case l.err != 0:
		return l.err
	case v.Mask != 1:
		return unix.EINVAL
	case request == unix.GPIO_V2_LINE_SET_VALUES_IOCTL:
		l.value = v.Bits&1 != 0
	default:
		v.Bits = 0
		if l.value {
			v.Bits = 1
		}
	}
	return nil
}

// edges writes n events with the monotonic clock's present time stamp.
func (l *lineModel) edges(t testing.TB, first, n int) (stamp time.Duration) {
	t.Helper()
	var now unix.Timespec
	check(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	for i := range n {
		e := unix.GPIOV2LineEvent{Timestamp_ns: uint64(now.Nano()), Id: unix.GPIO_V2_LINE_EVENT_RISING_EDGE, Line_seqno: uint32(first + i), Seqno: 99}
		if (first+i)%2 == 0 {
			e.Id = unix.GPIO_V2_LINE_EVENT_FALLING_EDGE
		}
		if _, err := unix.Write(l.events, unsafe.Slice((*byte)(unsafe.Pointer(&e)), unsafe.Sizeof(e))); err != nil {
			t.Fatal(err)
		}
	}
	return time.Duration(now.Nano())
}

func lineNames(n int, names map[int]string) []string {
	all := make([]string, n)
	for i, name := range names {
		all[i] = name
	}
	return all
}

func parseLine(t testing.TB, text string) sensors.LineRef {
	t.Helper()
	ref, err := sensors.ParseLine(text)
	check(t, err)
	return ref
}

// pi5 has its header where early kernels had it, and Raspberry Pi OS's link.
func pi5(t testing.TB) *gpioKernel {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0":  {name: "gpiochip0", label: "gpio-brcmstb@107d508500", names: lineNames(32, map[int]string{3: "WL_ON", 4: "TWICE"})},
		"gpiochip10": {name: "gpiochip10", label: "gpio-brcmstb@107d517c00", names: lineNames(17, map[int]string{4: "PWR_GPIO", 5: "TWICE"})},
		"gpiochip2":  {name: "gpiochip2", label: "pinctrl-rp1", names: lineNames(54, map[int]string{17: "GPIO17", 45: "FAN_PWM"}), consumers: map[int]string{45: "fan", 46: ""}},
	})
	check(t, os.Symlink("gpiochip2", filepath.Join(k.root, "/dev/gpiochip4")))
	return k
}

func TestRequestLayout(t *testing.T) {
	// The sizes are part of the ioctl numbers of linux/gpio.h.
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"gpiochip_info", unsafe.Sizeof(unix.GPIOChipInfo{}), gpioGetChipInfo >> 16 & 0x3fff},
		{"gpio_v2_line_info", unsafe.Sizeof(unix.GPIOV2LineInfo{}), unix.GPIO_V2_GET_LINEINFO_IOCTL >> 16 & 0x3fff},
		{"gpio_v2_line_request", unsafe.Sizeof(unix.GPIOV2LineRequest{}), unix.GPIO_V2_GET_LINE_IOCTL >> 16 & 0x3fff},
		{"gpio_v2_line_values", unsafe.Sizeof(unix.GPIOV2LineValues{}), unix.GPIO_V2_LINE_GET_VALUES_IOCTL >> 16 & 0x3fff},
		{"gpio_v2_line_event", unsafe.Sizeof(unix.GPIOV2LineEvent{}), 48},
	} {
		if tt.got != tt.want {
			t.Errorf("%s has %d bytes, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func TestHeaderOfEveryModel(t *testing.T) {
	for _, label := range []string{"pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"} {
		k := newGPIOKernel(t, map[string]*chipModel{
			"gpiochip0": {name: "gpiochip0", label: "raspberrypi-exp-gpio", names: lineNames(8, nil)},
			"gpiochip1": {name: "gpiochip1", label: label, names: lineNames(54, nil)},
		})
		info, err := k.board().LineInfo(parseLine(t, "BOARD11"))
		if want := (LineInfo{Chip: "gpiochip1 (" + label + ")", Offset: 17}); err != nil || info != want {
			t.Errorf("%s: %+v, %v", label, info, err)
		}
	}
}

func TestFindLine(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"GPIO17", "gpiochip2 (pinctrl-rp1) line 17"},
		{"gpiochip2:5", "gpiochip2 (pinctrl-rp1) line 5"},
		{"gpiochip4:5", "gpiochip2 (pinctrl-rp1) line 5"}, // by the link
		{"pinctrl-rp1:5", "gpiochip2 (pinctrl-rp1) line 5"},
		{"gpio-brcmstb@107d517c00:3", "gpiochip10 (gpio-brcmstb@107d517c00) line 3"},
		{"WL_ON", "gpiochip0 (gpio-brcmstb@107d508500) line 3"},
		{"FAN_PWM", "gpiochip2 (pinctrl-rp1) line 45"}, // once, in spite of the link
		{"TWICE", "error: line TWICE is ambiguous: it is gpiochip0 (gpio-brcmstb@107d508500) line 4 and gpiochip10 (gpio-brcmstb@107d517c00) line 5: write it as CHIP:OFFSET"},
		{"GPIO54", "error: there is no line GPIO54: gpiochip2 (pinctrl-rp1) has 54 lines, 0 to 53"},
		{"gpiochip10:17", "error: there is no line gpiochip10:17: gpiochip10 (gpio-brcmstb@107d517c00) has 17 lines, 0 to 16"},
		{"gpiochip9:1", "error: line gpiochip9:1: there is no chip gpiochip9; chips here: gpiochip0 (gpio-brcmstb@107d508500), gpiochip2 (pinctrl-rp1), gpiochip10 (gpio-brcmstb@107d517c00)"},
		{"FAN_PMW", "error: no line has the name FAN_PMW (did you mean FAN_PWM?): gpioinfo lists the names; chips here: gpiochip0 (gpio-brcmstb@107d508500), gpiochip2 (pinctrl-rp1), gpiochip10 (gpio-brcmstb@107d517c00)"},
		{"pinctrl-rpi:1", "error: line pinctrl-rpi:1: there is no chip pinctrl-rpi (did you mean pinctrl-rp1?); chips here: gpiochip0 (gpio-brcmstb@107d508500), gpiochip2 (pinctrl-rp1), gpiochip10 (gpio-brcmstb@107d517c00)"},
		{"NOTHING", "error: no line has the name NOTHING: gpioinfo lists the names; chips here: gpiochip0 (gpio-brcmstb@107d508500), gpiochip2 (pinctrl-rp1), gpiochip10 (gpio-brcmstb@107d517c00)"},
	} {
		p, err := pi5(t).board().kernel.find(parseLine(t, tt.line))
		got := p.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

func TestAmbiguousLabel(t *testing.T) {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0": {name: "gpiochip0", label: "pcf8574", names: lineNames(8, nil)},
		"gpiochip1": {name: "gpiochip1", label: "pcf8574", names: lineNames(8, nil)},
	})
	if _, err := k.board().LineInfo(parseLine(t, "pcf8574:3")); err == nil || !strings.Contains(err.Error(), "is ambiguous: it is gpiochip0 (pcf8574) line 3 and gpiochip1 (pcf8574) line 3") {
		t.Errorf("got %v", err)
	}
}

// The header's lines are found by the names of either kernel on either.
func TestLineNamesOfBothKernels(t *testing.T) {
	raspberryPiOS := []string{"ID_SDA", "ID_SCL"}
	for i := 2; i < 28; i++ {
		raspberryPiOS = append(raspberryPiOS, fmt.Sprintf("GPIO%d", i))
	}
	// bcm2711-rpi-4-b.dts of Linux 6.12, as far as the header goes.
	mainline := []string{"ID_SDA", "ID_SCL", "SDA1", "SCL1", "GPIO_GCLK", "GPIO5", "GPIO6", "SPI_CE1_N", "SPI_CE0_N", "SPI_MISO", "SPI_MOSI", "SPI_SCLK",
		"GPIO12", "GPIO13", "TXD1", "RXD1", "GPIO16", "GPIO17", "GPIO18", "GPIO19", "GPIO20", "GPIO21", "GPIO22", "GPIO23", "GPIO24", "GPIO25", "GPIO26", "GPIO27"}
	for label, names := range map[string][]string{"pinctrl-bcm2711": mainline, "pinctrl-bcm2835": mainline, "pinctrl-rp1": raspberryPiOS} {
		k := newGPIOKernel(t, map[string]*chipModel{
			"gpiochip0": {name: "gpiochip0", label: "raspberrypi-exp-gpio", names: []string{"BT_ON", "WL_ON"}},
			"gpiochip1": {name: "gpiochip1", label: label, names: append(slices.Clone(names), "TXD0")},
		})
		for _, scheme := range [][]string{raspberryPiOS, mainline} {
			for bcm, name := range scheme {
				p, err := k.board().kernel.find(parseLine(t, name))
				if err != nil || p.node != "gpiochip1" || p.offset != bcm {
					t.Errorf("%s on %s: %s, %v, want line %d", name, label, p, err, bcm)
				}
			}
		}
		// What isn't the header's everywhere is looked up.
		if p, err := k.board().kernel.find(parseLine(t, "TXD0")); err != nil || p.offset != 28 {
			t.Errorf("TXD0 on %s: %s, %v", label, p, err)
		}
	}
}

func TestExpanderByItsAddress(t *testing.T) {
	k := newGPIOKernel(t, map[string]*chipModel{
		"gpiochip0": {name: "gpiochip0", label: "pinctrl-rp1", names: lineNames(54, nil)},
		"gpiochip1": {name: "gpiochip1", label: "mcp23017", names: lineNames(16, nil)},
		"gpiochip2": {name: "gpiochip2", label: "mcp23017", names: lineNames(16, nil)},
		"gpiochip3": {name: "gpiochip3", label: "1-0024", names: lineNames(16, nil)}, // as gpio-pca953x does
	})
	makeFile(t, k.root, "/sys/bus/i2c/devices/1-0020/gpiochip2/dev", "254:2\n")
	makeFile(t, k.root, "/sys/bus/i2c/devices/1-0021/gpiochip1/dev", "254:1\n")
	for _, tt := range []struct{ line, want string }{
		{"1-0020:3", "gpiochip2 (mcp23017) line 3"},
		{"1-0021:15", "gpiochip1 (mcp23017) line 15"},
		{"1-0024:0", "gpiochip3 (1-0024) line 0"},
		{"1-0020:16", "error: there is no line 1-0020:16: gpiochip2 (mcp23017) has 16 lines, 0 to 15"},
		{"mcp23017:3", "error: line mcp23017:3 is ambiguous: it is gpiochip1 (mcp23017) line 3 and gpiochip2 (mcp23017) line 3: name an expander by its bus and address, as in 1-0020:3, or any chip by its number"},
		{"1-0022:3", "error: line 1-0022:3: there is no chip 1-0022 (did you mean 1-0024?); chips here: gpiochip0 (pinctrl-rp1), gpiochip1 (mcp23017), gpiochip2 (mcp23017), gpiochip3 (1-0024)"},
	} {
		p, err := k.board().kernel.find(parseLine(t, tt.line))
		got := p.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

func TestNoLine(t *testing.T) {
	none := newGPIOKernel(t, nil).board()
	_, err := none.OpenLine(parseLine(t, "GPIO17"), sensors.LineConfig{}, "x")
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "there is no /dev/gpiochip*") {
		t.Errorf("no chip: %v", err)
	}
	if _, err := none.LineInfo(parseLine(t, "GPIO17")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("LineInfo without a chip: %v", err)
	}
	other := newGPIOKernel(t, map[string]*chipModel{"gpiochip0": {name: "gpiochip0", label: "INT34C5:00", names: lineNames(4, nil)}})
	_, err = other.board().OpenLine(parseLine(t, "GPIO17"), sensors.LineConfig{}, "x")
	if err == nil || !strings.Contains(err.Error(), "its label would be pinctrl-bcm2835, pinctrl-bcm2711, pinctrl-rp1") || !strings.Contains(err.Error(), "chips here: gpiochip0 (INT34C5:00)") {
		t.Errorf("no header: %v", err)
	}
	broken := newGPIOKernel(t, map[string]*chipModel{"gpiochip0": nil})
	if _, err := broken.board().OpenLine(parseLine(t, "GPIO17"), sensors.LineConfig{}, "x"); !errors.Is(err, unix.ENOTTY) || !strings.Contains(err.Error(), "gpiochip0") {
		t.Errorf("not a GPIO chip: %v", err)
	}
	other.chips["gpiochip0"].infoErr = unix.EIO
	if _, err := other.board().LineInfo(parseLine(t, "LED")); !errors.Is(err, unix.EIO) {
		t.Errorf("line info fails: %v", err)
	}
	for _, errno := range []unix.Errno{unix.EACCES, unix.EPERM} {
		err := notFound(parseLine(t, "GPIO17"), nil, nil, []chipError{{"/dev/gpiochip0", errno}})
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), "group gpio") {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

// Looking for the header stops at it, and leaves no chip open.
func TestChipsAreClosedAtOnce(t *testing.T) {
	k := pi5(t)
	before := openFiles(t)
	l, err := k.board().OpenLine(parseLine(t, "GPIO17"), sensors.LineConfig{}, "x")
	check(t, err)
	if want := []string{"gpiochip0", "gpiochip2", "gpiochip2"}; !slices.Equal(k.opened, want) {
		t.Errorf("opened %q, want %q", k.opened, want)
	}
	if n := openFiles(t) - before; n != 2 { // both ends of the model's pipe
		t.Errorf("%d descriptors more, want the line's only", n)
	}
	check(t, l.Close())
	if n := openFiles(t) - before; n != 1 {
		t.Errorf("%d descriptors more after Close", n)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(all)
}

func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		name    string
		c       sensors.LineConfig
		flags   uint64
		values  int // of the output attribute; -1: there is none
		bounce  uint32
		buffers uint32
	}{
		{"input", sensors.LineConfig{}, 1 << 2, -1, 0, 0},
		{"pull-up, active low", sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: true}, 1<<2 | 1<<8 | 1<<1, -1, 0, 0},
		{"pull-down", sensors.LineConfig{Bias: sensors.PullDown}, 1<<2 | 1<<9, -1, 0, 0},
		{"no pull", sensors.LineConfig{Bias: sensors.BiasOff}, 1<<2 | 1<<10, -1, 0, 0},
		{"rising", sensors.LineConfig{Edges: sensors.RisingEdge, Buffer: 100}, 1<<2 | 1<<4, -1, 0, 100},
		{"falling", sensors.LineConfig{Edges: sensors.FallingEdge, Buffer: -1}, 1<<2 | 1<<5, -1, 0, 0},
		{"both, debounced", sensors.LineConfig{Edges: sensors.BothEdges, Debounce: 5 * time.Millisecond}, 1<<2 | 1<<4 | 1<<5, -1, 5000, 0},
		{"output off", sensors.LineConfig{Output: true}, 1 << 3, 0, 0, 0},
		{"output on", sensors.LineConfig{Output: true, Active: true}, 1 << 3, 1, 0, 0},
		{"output on, active low", sensors.LineConfig{Output: true, Active: true, ActiveLow: true}, 1<<3 | 1<<1, 1, 0, 0},
	} {
		k := pi5(t)
		l, err := k.board().OpenLine(parseLine(t, "GPIO17"), tt.c, "dormouse "+strings.Repeat("greenhouse", 4))
		check(t, err)
		r := k.line(l).request
		if r.Offsets[0] != 17 || r.Num_lines != 1 || r.Config.Flags != tt.flags || r.Event_buffer_size != tt.buffers {
			t.Errorf("%s: %+v", tt.name, r)
		}
		if got := unix.ByteSliceToString(r.Consumer[:]); got != "dormouse greenhousegreenhousegr" {
			t.Errorf("consumer %q", got)
		}
		values, bounce := -1, uint32(0)
		for _, a := range r.Config.Attrs[:r.Config.Num_attrs] {
			switch {
			case a.Mask != 1:
				t.Errorf("%s: attribute for %x", tt.name, a.Mask)
			case a.Attr.Id == unix.GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES:
				values = int(a.Attr.Flags)
			case a.Attr.Id == unix.GPIO_V2_LINE_ATTR_ID_DEBOUNCE:
				bounce = *(*uint32)(unsafe.Pointer(&a.Attr.Flags))
			}
		}
		if values != tt.values || bounce != tt.bounce {
			t.Errorf("%s: output values %d, debounce %d µs", tt.name, values, bounce)
		}
		check(t, l.Close())
	}
}

func TestRequestsRefused(t *testing.T) {
	for _, tt := range []struct {
		line   string
		c      sensors.LineConfig
		errno  unix.Errno
		reason sensors.Reason
		want   string
	}{
		{"FAN_PWM", sensors.LineConfig{}, unix.EBUSY, sensors.Busy, `line FAN_PWM is held by "fan" (gpiochip2 (pinctrl-rp1) line 45): stop that`},
		{"46", sensors.LineConfig{}, unix.EBUSY, sensors.Busy, "line GPIO46 is held by an unnamed consumer"},
		{"17", sensors.LineConfig{Output: true, Edges: sensors.RisingEdge}, 0, sensors.IO, "an output has no edges"},
		{"17", sensors.LineConfig{Debounce: math.MaxInt64}, 0, sensors.IO, "debounce of"},
	} {
		_, err := pi5(t).board().OpenLine(parseLine(t, tt.line), tt.c, "x")
		if err == nil || sensors.ReasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) || tt.errno != 0 && !errors.Is(err, tt.errno) {
			t.Errorf("got %v (%s), want %q", err, sensors.ReasonOf(err), tt.want)
		}
	}
	for errno, want := range map[unix.Errno]string{
		unix.EPERM:  "the kernel protects it",
		unix.EINVAL: "can't do this",
		enotsupp:    "can't do this",
		unix.ENOMEM: "request gpiochip2",
	} {
		k := pi5(t)
		k.chips["gpiochip2"].refuse = errno
		before := openFiles(t)
		if _, err := k.board().OpenLine(parseLine(t, "17"), sensors.LineConfig{}, "x"); !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", errno, err)
		}
		if n := openFiles(t); n != before {
			t.Errorf("%v: %d descriptors are left open", errno, n-before)
		}
	}
}

func TestLevels(t *testing.T) {
	k := pi5(t)
	out, err := k.board().OpenLine(parseLine(t, "17"), sensors.LineConfig{Output: true}, "x")
	check(t, err)
	for _, want := range []bool{true, false, true} {
		check(t, out.SetActive(want))
		if got, err := out.Active(); err != nil || got != want || k.line(out).value != want {
			t.Errorf("Active() = %t, %v, want %t", got, err, want)
		}
	}
	k.line(out).err = unix.ENODEV
	if err := out.SetActive(false); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "line GPIO17 (pin 11) went away") {
		t.Errorf("SetActive of a line that is gone: %v", err)
	}
	if _, err := out.Active(); !errors.Is(err, unix.ENODEV) {
		t.Errorf("Active of a line that is gone: %v", err)
	}
	check(t, out.Close())
	in, err := k.board().OpenLine(parseLine(t, "18"), sensors.LineConfig{}, "x")
	check(t, err)
	if err := in.SetActive(true); err == nil || !strings.Contains(err.Error(), "is an input") {
		t.Errorf("an input was driven: %v", err)
	}
	check(t, in.Close())
	_, activeErr := in.Active()
	_, edgesErr := in.Edges(nil)
	for name, err := range map[string]error{"Close": in.Close(), "Active": activeErr, "Edges": edgesErr, "SetActive": out.SetActive(true), "WaitEdge": in.WaitEdge(t.Context())} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s of a closed line: %v", name, err)
		}
	}
}

func TestEdges(t *testing.T) {
	k := pi5(t)
	l, err := k.board().OpenLine(parseLine(t, "17"), sensors.LineConfig{Edges: sensors.BothEdges}, "x")
	check(t, err)
	edges, err := l.Edges(nil)
	if err != nil || len(edges) != 0 {
		t.Errorf("before any: %+v, %v", edges, err)
	}
	before := alarm.Now()
	k.line(l).edges(t, 7, 40)
	after := alarm.Now()
	edges, err = l.Edges(make([]sensors.Edge, 1, 64))
	took := alarm.Now().Sub(after)
	check(t, err)
	if len(edges) != 41 {
		t.Fatalf("%d edges, want the one that was there and 40", len(edges))
	}
	for i, e := range edges[1:] {
		// The clocks are read one after the other, within what the look took.
		if e.Seq != uint32(7+i) || e.Active != (e.Seq%2 == 1) || e.At.Sub(before) < -took || e.At.Sub(after) > took {
			t.Errorf("edge %d is %+v, want one between %d and %d", i, e, before, after)
		}
		if e.At != edges[1].At {
			t.Errorf("edge %d at %d: edges of one moment were moved apart", i, e.At)
		}
	}
	// More than a buffer is left for the next time.
	m := k.line(l)
	var flood sync.WaitGroup
	flood.Go(func() { m.edges(t, 1, 1300) })
	total := 0
	for total < 1300 {
		edges, err = l.Edges(edges[:0])
		check(t, err)
		// Of the last that it reads at once some may be more than it wants.
		if most := mostEventsInKernel - 1 + len(l.(*line).events); len(edges) > most {
			t.Errorf("%d edges at once, want at most %d", len(edges), most)
		}
		total += len(edges)
	}
	flood.Wait()

	if _, err := unix.Write(m.events, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Edges(nil); !errors.Is(err, unix.EIO) {
		t.Errorf("half an event: %v", err)
	}
	check(t, l.Close())
}

func TestEdgesDoNotAllocate(t *testing.T) {
	k := pi5(t)
	l, err := k.board().OpenLine(parseLine(t, "17"), sensors.LineConfig{Edges: sensors.BothEdges}, "x")
	check(t, err)
	buf := make([]sensors.Edge, 0, 64)
	if n := testing.AllocsPerRun(50, func() {
		if _, err := l.Edges(buf); err != nil {
			t.Error(err)
		}
		if _, err := l.Active(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per look", n)
	}
	check(t, l.Close())
}

func TestWaitEdge(t *testing.T) {
	k := pi5(t)
	l, err := k.board().OpenLine(parseLine(t, "17"), sensors.LineConfig{Edges: sensors.BothEdges}, "x")
	check(t, err)
	m := k.line(l)
	waiting := func() bool {
		l := l.(*line)
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.waiting != nil
	}
	done := make(chan error)
	wait := func(ctx context.Context) {
		go func() { done <- l.WaitEdge(ctx) }()
		for !waiting() {
			time.Sleep(time.Millisecond)
		}
	}

	wait(t.Context())
	if err := l.WaitEdge(t.Context()); err == nil || !strings.Contains(err.Error(), "another caller waits") {
		t.Errorf("two wait: %v", err)
	}
	m.edges(t, 1, 1)
	check(t, <-done)
	check(t, l.WaitEdge(t.Context())) // it is still there
	if edges, err := l.Edges(nil); err != nil || len(edges) != 1 || edges[0].Seq != 1 {
		t.Errorf("got %+v, %v", edges, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	wait(ctx)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := l.WaitEdge(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
	if waiting() {
		t.Error("still in the poller")
	}
	wait(t.Context()) // the deadline that ended the last wait is gone
	check(t, l.Close())
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
}

func TestLineGoesAwayWhileWaitedFor(t *testing.T) {
	var ends [2]int
	check(t, unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	l := &line{ref: parseLine(t, "17"), place: place{chip: "gpiochip0 (pinctrl-rp1)"}, fd: ends[0]}
	done := make(chan error)
	go func() { done <- l.WaitEdge(t.Context()) }()
	check(t, unix.Close(ends[1])) // as poll(2) tells of a chip that is gone: POLLHUP
	if err := <-done; !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("got %v, want ENODEV", err)
	}
	if _, err := l.Edges(nil); !errors.Is(err, unix.EIO) {
		t.Errorf("Edges at the end of the file: %v", err)
	}
	check(t, l.Close())
}

func TestClockDistance(t *testing.T) {
	first, err := monotonicToBoot(0)
	check(t, err)
	if first < -time.Millisecond {
		t.Errorf("the boot-time clock is %v behind", first)
	}
	near := first + 100*time.Microsecond
	for try := 0; ; try++ { // again if it was preempted between the clocks
		got, err := monotonicToBoot(near)
		check(t, err)
		if got == near {
			break
		}
		if try == 100 {
			t.Fatalf("a small difference moves it from %v to %v", near, got)
		}
	}
	if got, err := monotonicToBoot(first - time.Hour); err != nil || (got-first).Abs() > time.Second {
		t.Errorf("after an hour's suspend: %v, %v, want %v", got, err, first)
	}
}
