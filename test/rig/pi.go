package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"example.org/dormouse/test/rig/protocol"
)

// A Model is a Raspberry Pi as QEMU emulates it, with a kernel of Debian's and
// the kernel's own device tree for it, changed as little as it takes to boot.
type Model struct {
	// Name is QEMU's.
	Name string
	// Architecture is what it runs.
	Architecture

	emulator    string // QEMU's program
	debian      string // Debian's name of the architecture
	release     string // of Debian, that has the kernel
	kernel      string // the package that stands for the newest
	flavour     string // what the kernel's release ends with
	tree        string // device tree in the kernel's package
	changes     []change
	drivers     []string // modules of the board's own controllers
	modules     []string // all that may be loaded
	cross       string   // of the cross compiler: TRIPLET-gcc-12
	make        []string
	peripherals uint32 // physical address of the peripherals
	accelerator string // what follows QEMU's -accel tcg
	qemu        []string
}

// The models. The mini UART is free: the console is the PL011.
var (
	// Zero is a Pi Zero: ARMv6, one processor, 512 MB. Its virtual time counts
	// instructions, 2^instructionShift ns each.
	Zero = Model{
		Name: "raspi0", Architecture: Architecture{GOARCH: "arm", GOARM: "6"}, emulator: "qemu-system-arm",
		debian: "armel", release: "bookworm", kernel: "linux-image-rpi", flavour: "rpi",
		tree: "bcm2835-rpi-zero.dtb",
		changes: slices.Concat(headerBuses, []change{
			// The power manager's bridges aren't emulated: to read them is an abort.
			cells("/soc/watchdog@7e100000", "reg", 0x7e100000, 0x114),
			text("/soc/watchdog@7e100000", "reg-names", "pm"),
			text("/soc/serial@7e215040", "status", "okay"),
		}),
		modules: piModules,
		cross:   "arm-linux-gnueabi", make: []string{"ARCH=arm"},
		peripherals: 0x20000000,
		// Its only clock event is lost on a busy host unless time counts instructions.
		qemu: []string{"-icount", fmt.Sprintf("shift=%d", instructionShift)},
	}
	// Two is a Pi 2B: ARMv7, four processors, 1 GB.
	Two = Model{
		Name: "raspi2b", Architecture: Architecture{GOARCH: "arm", GOARM: "7"}, emulator: "qemu-system-arm",
		debian: "armhf", release: "bookworm", kernel: "linux-image-armmp", flavour: "armmp",
		tree:    "bcm2836-rpi-2-b.dtb",
		changes: headerBuses,
		drivers: drivers,
		modules: slices.Concat(drivers, piModules, []string{"lm75"}),
		cross:   "arm-linux-gnueabihf", make: []string{"ARCH=arm"},
		peripherals: 0x3f000000,
	}
	// Three is a Pi 3B: ARMv8 of 64 bits, four processors, 1 GB.
	Three = Model{
		Name: "raspi3b", Architecture: Architecture{GOARCH: "arm64"}, emulator: "qemu-system-aarch64",
		debian: "arm64", release: "trixie", kernel: "linux-image-arm64", flavour: "arm64",
		tree: "broadcom/bcm2837-rpi-3-b.dtb",
		changes: slices.Concat(headerBuses, []change{
			// The PL011 is the console here, and not Bluetooth's.
			removal("/soc/serial@7e201000/bluetooth"),
			text("/soc/spi@7e204000", "pinctrl-names", "default"),
			reference("/soc/spi@7e204000", "pinctrl-0", "/soc/gpio@7e200000/spi0-gpio7"),
		}),
		drivers: drivers,
		modules: slices.Concat(drivers, piModules, []string{"lm75"}),
		cross:   "aarch64-linux-gnu", make: []string{"ARCH=arm64", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT="},
		peripherals: 0x3f000000,
		// All processors in one thread: those that wait for each other, as for most of
		// the boot, use up the host's otherwise. (A 2B takes minutes to boot so.)
		accelerator: ",thread=single",
	}
)

// Models are all that can be booted.
var Models = []Model{Zero, Two, Three}

// drivers are the board's own, which the Zero's kernel has built in.
var drivers = []string{"i2c_bcm2835", "spi_bcm2835", "bcm2835_thermal", "bcm2835_wdt"}

// piModules are what every Pi may load.
var piModules = []string{
	"configfs", "gpio_sim", "i2c_dev", "vhci_hcd", "i2c_tiny_usb", "ds2490", "wire", "w1_therm",
	"tmp102", "tmp421", "emc1403",
}

// instructionShift makes an instruction take 2^4 ns: 62.5 million a second,
// which an idle host keeps up with.
const instructionShift = 4

// A Pi is a running machine that QEMU emulates as a Raspberry Pi.
type Pi struct {
	*Machine
	Model
	// Serial is the far end of the mini UART, /dev/ttyS1 in the guest.
	Serial net.Conn

	monitor *monitor
	test    *testPort
}

// BootPi boots a Raspberry Pi and returns when it serves. What it needs is
// fetched first where there is none, which takes some minutes. The memory is the
// model's.
func BootPi(ctx context.Context, model Model, o Options) (*Pi, error) {
	if o.Memory != 0 || o.Suspends {
		return nil, errors.New("a Pi's memory is its model's, and it can't be suspended")
	}
	im, err := preparePi(ctx, model)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", model.Name, err)
	}
	dir, err := os.MkdirTemp("", "dormouse-rig-")
	if err != nil {
		return nil, err
	}
	p, err := bootPi(ctx, model, o, im, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func bootPi(ctx context.Context, model Model, o Options, im piImage, dir string) (*Pi, error) {
	initrd, err := writeInitrd(dir, im.base, model.Architecture, o.Files)
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "tree.dtb")
	if err := errors.Join(copyFile(tree, im.tree), im.qemu.change(tree, model.changes)); err != nil {
		return nil, fmt.Errorf("changing the device tree: %w", err)
	}
	args := append([]string{
		"-accel", "tcg" + model.accelerator, "-M", model.Name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", im.kernel, "-dtb", tree, "-initrd", initrd,
		// Half a minute of a boot are self-tests of the kernel's cryptography.
		"-append", "console=ttyAMA0,115200 panic=-1 quiet cryptomgr.notests " + protocol.SerialParameter + "ttyAMA0 " + o.Append,
	}, model.qemu...)
	var ours []net.Conn
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	for i, option := range [][]string{
		{"-serial", "chardev:port"}, {"-serial", "chardev:mini"}, {"-mon", "chardev=monitor,mode=control"}, {"-qtest", "chardev:test", "-qtest-log", "none"},
	} {
		near, far, err := inherited()
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, near), append(theirs, far)
		name := []string{"port", "mini", "monitor", "test"}[i]
		args = append(args, "-chardev", fmt.Sprintf("socket,id=%s,fd=%d", name, 3+i))
		args = append(args, option...)
	}
	qemu := im.qemu.command(model.emulator, append(args, o.QEMU...)...)
	qemu.ExtraFiles = theirs
	m, err := serve(ctx, qemu, newSerialPort(ours[0]), dir)
	if err != nil {
		return nil, err
	}
	p := &Pi{Machine: m, Model: model, Serial: ours[1], test: &testPort{conn: ours[3]}}
	if p.monitor, err = newMonitor(ctx, ours[2]); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// LoadDrivers loads the drivers of the board's own controllers and makes
// /dev/i2c-1, as udev does on a real Pi.
func (p *Pi) LoadDrivers(ctx context.Context) error {
	for _, module := range append(p.drivers, "i2c_dev") {
		if err := p.Modprobe(ctx, module, ""); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the machine.
func (p *Pi) Close() error {
	err := p.Machine.Close()
	if p.monitor != nil {
		err = errors.Join(err, p.monitor.conn.Close())
	}
	return errors.Join(err, p.Serial.Close(), p.test.conn.Close())
}

// SetProperty sets what one of QEMU's devices measures or is, from outside: the
// path is "/machine/peripheral/" and the id that the device was given. Take the
// guest for late: it sees the value at its next read.
func (p *Pi) SetProperty(ctx context.Context, path, property string, value any) error {
	_, err := p.monitor.execute(ctx, "qom-set", map[string]any{"path": path, "property": property, "value": value})
	return err
}

// The GPIO block's registers (BCM2835 ARM Peripherals, section 6.1).
const (
	gpioBase   = 0x200000
	gpioSelect = gpioBase + 0x00 // GPFSEL0: 10 lines a register, 3 bits each
	gpioSet    = gpioBase + 0x1c // GPSET0: 32 lines a register
	gpioClear  = gpioBase + 0x28 // GPCLR0
	gpioLevel  = gpioBase + 0x34 // GPLEV0
)

// A Function is what a line is, as GPFSEL has it.
type Function uint32

// The functions (BCM2835 ARM Peripherals, table 6-2).
const (
	Input Function = iota
	Output
	Alt5
	Alt4
	Alt0
	Alt1
	Alt2
	Alt3
)

func (f Function) String() string {
	return [...]string{"input", "output", "ALT5", "ALT4", "ALT0", "ALT1", "ALT2", "ALT3"}[f&7]
}

// Functions are those of all 54 lines, by their number.
func (p *Pi) Functions(ctx context.Context) ([]Function, error) {
	functions := make([]Function, 54)
	var register uint32
	for n := range functions {
		if n%10 == 0 {
			var err error
			if register, err = p.test.read(ctx, p.peripherals+gpioSelect+uint32(n/10)*4); err != nil {
				return nil, err
			}
		}
		functions[n] = Function(register >> (n % 10 * 3) & 7)
	}
	return functions, nil
}

// SetFunction makes a line what it was before somebody took it.
func (p *Pi) SetFunction(ctx context.Context, line int, f Function) error {
	register := p.peripherals + gpioSelect + uint32(line/10)*4
	value, err := p.test.read(ctx, register)
	if err != nil {
		return err
	}
	shift := line % 10 * 3
	return p.test.write(ctx, register, value&^(7<<shift)|uint32(f)<<shift)
}

// Drive sets the level of an input from outside.
func (p *Pi) Drive(ctx context.Context, line int, high bool) error {
	register := uint32(gpioClear)
	if high {
		register = gpioSet
	}
	return p.test.write(ctx, p.peripherals+register+uint32(line/32)*4, 1<<(line%32))
}

// Level is a line's level, as it is driven by whoever drives it.
func (p *Pi) Level(ctx context.Context, line int) (high bool, err error) {
	levels, err := p.test.read(ctx, p.peripherals+gpioLevel+uint32(line/32)*4)
	return levels>>(line%32)&1 == 1, err
}
