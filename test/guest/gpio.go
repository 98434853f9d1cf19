package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"example.org/dormouse/test/rig/protocol"
)

// gpioSim is where gpio-sim is configured (Documentation/admin-guide/gpio/gpio-sim.rst).
const gpioSim = "/sys/kernel/config/gpio-sim"

func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func read(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// addChip makes a chip and brings it into the system.
func addChip(c protocol.GPIOChip) (any, error) {
	if err := modprobe("gpio_sim", ""); err != nil {
		return nil, err
	}
	bank := filepath.Join(gpioSim, c.Name, "bank0")
	for _, dir := range []string{filepath.Dir(bank), bank} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if err := write(filepath.Join(bank, "num_lines"), strconv.Itoa(len(c.Lines))); err != nil {
		return nil, err
	}
	if err := write(filepath.Join(bank, "label"), c.Label); err != nil {
		return nil, err
	}
	for i, name := range c.Lines {
		if name == "" {
			continue
		}
		line := filepath.Join(bank, "line"+strconv.Itoa(i))
		if err := os.Mkdir(line, 0o755); err != nil {
			return nil, err
		}
		if err := write(filepath.Join(line, "name"), name); err != nil {
			return nil, err
		}
	}
	return setLive(protocol.GPIOLive{Name: c.Name, Live: true})
}

// setLive takes the chip out of the system, with every line in use, or back in.
func setLive(l protocol.GPIOLive) (any, error) {
	level := "0"
	if l.Live {
		level = "1"
	}
	if err := write(filepath.Join(gpioSim, l.Name, "live"), level); err != nil {
		return nil, err
	}
	if !l.Live {
		return protocol.GPIOAdded{}, nil
	}
	dir, err := chipDir(l.Name)
	if err != nil {
		return nil, err
	}
	added := protocol.GPIOAdded{Device: filepath.Base(dir), Dir: dir}
	added.Base, err = globalBase(filepath.Dir(dir))
	return added, err
}

// chipDir is the chip's directory in sysfs, which holds sim_gpioN.
func chipDir(name string) (string, error) {
	device, err := read(filepath.Join(gpioSim, name, "dev_name"))
	if err != nil {
		return "", err
	}
	chip, err := read(filepath.Join(gpioSim, name, "bank0", "chip_name"))
	return filepath.Join("/sys/devices/platform", device, chip), err
}

// globalBase finds the number of the chip's first line, by which tracefs
// counts: /sys/class/gpio/gpiochipBASE links below the chip's device.
func globalBase(device string) (int, error) {
	links, err := filepath.Glob("/sys/class/gpio/gpiochip*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		target, err := filepath.EvalSymlinks(link)
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(target, device+"/") {
			text, err := read(filepath.Join(link, "base"))
			if err != nil {
				return 0, err
			}
			return strconv.Atoi(text)
		}
	}
	return 0, fmt.Errorf("no chip in /sys/class/gpio belongs to %s", device)
}

// attribute is the path of a line's "pull" or "value".
func attribute(l protocol.GPIOLine, name string) (string, error) {
	dir, err := chipDir(l.Chip)
	return filepath.Join(dir, "sim_gpio"+strconv.Itoa(l.Line), name), err
}

const (
	pullUp   = "pull-up"
	pullDown = "pull-down"
)

func setPull(l protocol.GPIOLine, up bool) error {
	path, err := attribute(l, "pull")
	if err != nil {
		return err
	}
	if up {
		return write(path, pullUp)
	}
	return write(path, pullDown)
}

func value(l protocol.GPIOLine) (any, error) {
	path, err := attribute(l, "value")
	if err != nil {
		return nil, err
	}
	v, err := read(path)
	return protocol.GPIOLevel{High: v == "1"}, err
}

// pulses drives a line away from its level and back. Each write returns when
// the kernel has taken the edge. Two edges are never closer than half a period,
// and the first was served before the second comes, however late the machine is:
// gpio-sim makes one interrupt of edges that come before.
func pulses(p protocol.GPIOPulses) (any, error) {
	path, err := attribute(p.GPIOLine, "pull")
	if err != nil {
		return nil, err
	}
	rest, err := read(path)
	if err != nil {
		return nil, err
	}
	away := pullUp
	if rest == pullUp {
		away = pullDown
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	defer unix.Close(fd)
	threads, err := interruptThreads()
	if err != nil {
		return nil, err
	}
	before, err := clocks()
	if err != nil {
		return nil, err
	}
	for range p.Count {
		for _, level := range []string{away, rest} {
			if _, err := unix.Pwrite(fd, []byte(level), 0); err != nil {
				return nil, fmt.Errorf("writing %s to %s: %w", level, path, err)
			}
			if p.Period == 0 {
				continue
			}
			time.Sleep(p.Period / 2)
			if err := asleep(threads); err != nil {
				return nil, err
			}
		}
	}
	after, err := clocks()
	return protocol.GPIOPulsed{Clocks: after, Took: after.Monotonic - before.Monotonic}, err
}

// interruptThreads are the stat files of the kernel's threads that serve
// interrupts, irq/NUMBER-NAME, those of the lines that are watched among them.
func interruptThreads() (files []string, err error) {
	all, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	for _, comm := range all {
		if name, err := read(comm); err == nil && strings.HasPrefix(name, "irq/") { // else it has ended
			files = append(files, filepath.Join(filepath.Dir(comm), "stat"))
		}
	}
	return files, nil
}

// asleep waits until none of these threads has anything to do.
func asleep(threads []string) error {
	return await("the threads that serve interrupts", func() (bool, error) {
		for _, file := range threads {
			text, err := read(file)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // its line was closed
			}
			if err != nil {
				return false, err
			}
			if _, state, _ := strings.Cut(text, ") "); !strings.HasPrefix(state, "S") {
				return false, nil
			}
		}
		return true, nil
	})
}

// lineInput is GPIO_V2_LINE_FLAG_INPUT (linux/gpio.h).
const lineInput = 1 << 2

// hold requests a line as an input under a consumer's name.
func (g *guest) hold(h protocol.GPIOHold) error {
	dir, err := chipDir(h.Chip)
	if err != nil {
		return err
	}
	chip, err := os.OpenFile("/dev/"+filepath.Base(dir), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer chip.Close()
	var request unix.GPIOV2LineRequest
	request.Num_lines = 1
	request.Offsets[0] = uint32(h.Line)
	request.Config.Flags = lineInput
	copy(request.Consumer[:len(request.Consumer)-1], h.Consumer)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, chip.Fd(), unix.GPIO_V2_GET_LINE_IOCTL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("requesting line %d of %s: %w", h.Line, h.Chip, errno)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[h.GPIOLine] = int(request.Fd)
	return nil
}

func (g *guest) drop(l protocol.GPIOLine) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	fd, ok := g.held[l]
	if !ok {
		return fmt.Errorf("line %d of %s isn't held", l.Line, l.Chip)
	}
	delete(g.held, l)
	return unix.Close(fd)
}

// trace is a trace instance of its own, so that nothing else fills its buffer.
const trace = "/sys/kernel/tracing/instances/rig"

// startTrace begins to record events, stamped by CLOCK_MONOTONIC.
func startTrace(t protocol.Trace) error {
	if err := os.Mkdir(trace, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := write(filepath.Join(trace, "buffer_size_kb"), "8192"); err != nil {
		return err
	}
	if err := write(filepath.Join(trace, "trace_clock"), "mono"); err != nil {
		return err
	}
	for _, event := range t.Events {
		if err := write(filepath.Join(trace, "events", event, "enable"), "1"); err != nil {
			return err
		}
	}
	return nil
}

// stopTrace ends the recording and returns it.
func stopTrace(struct{}, []byte) (any, []byte, error) {
	if err := write(filepath.Join(trace, "tracing_on"), "0"); err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(trace, "trace"))
	if err != nil {
		return nil, nil, err
	}
	return nil, text, unix.Rmdir(trace)
}
