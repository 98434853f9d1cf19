package scan

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// busTime is the time limit of a bus: an adapter gives up a transaction after a
// second or two. Tests have more of it.
var busTime = 10 * time.Second

func (s *scanner) scanBuses(ctx context.Context) {
	buses := s.Buses
	if len(buses) == 0 {
		var err error
		if buses, err = s.Board.Buses(); err != nil {
			s.problem("the I2C buses can't be listed: %v", err)
		}
		if len(buses) == 0 {
			s.adviseBus()
		}
	}
	for _, number := range buses {
		// A bus that hangs must not hang the command.
		limited := s.Clock.WithDeadline(ctx, s.Clock.Now().Add(busTime))
		s.found.Buses = append(s.found.Buses, s.scanBus(limited, number))
		limited.Cancel()
	}
	if len(buses) > 0 && !slices.ContainsFunc(s.found.Buses, func(b Bus) bool { return len(b.Addresses) > 0 || !b.Complete }) {
		s.advise("no chip answers: check supply, ground, SDA and SCL; a chip behind a rail that is off can't answer: --rail=probes=GPIO17 switches it on for the scan")
	} else if len(s.DaemonSensors) > 0 {
		s.advise("a daemon runs: chips behind its rails answer only while it reads them")
	}
}

func (s *scanner) adviseBus() {
	nodes, err := s.Board.Files().Glob("/sys/bus/i2c/devices/i2c-*")
	if err == nil && len(nodes) > 0 {
		s.advise("the kernel has I2C buses, but there is no /dev/i2c-*: load its module (sudo modprobe i2c-dev), and in a container let it have the devices")
		return
	}
	s.advise("there is no I2C bus: enable it (sudo raspi-config nonint do_i2c 0, or dtparam=i2c_arm=on in config.txt) and restart; then sudo modprobe i2c-dev, if there is still no /dev/i2c-1")
}

func (s *scanner) scanBus(ctx context.Context, number sensors.Bus) Bus {
	before := len(s.found.Problems)
	used := s.inUse(ctx, number)
	answers, err := board.Scan(ctx, s.Board, number, func(addr uint16) bool { _, held := used[addr]; return held })
	if answers == nil {
		answers = &board.Answers{}
	}
	for _, failed := range answers.Failed {
		s.problem("%v", failed)
	}
	if err != nil {
		s.problem("%v", err)
	}
	if answers.ReadOnly {
		s.advise("the adapter of %s can't do quick writes, so a byte was read instead: a chip that has nothing to send, such as an idle SHT4x, may not have answered", number)
	}
	identify := s.Identify && err == nil
	for _, addr := range answers.Addresses {
		if used[addr], err = s.candidates(ctx, number, addr, identify); err != nil {
			s.problem("%v: from %s on nothing was identified on %s", err, sensors.Address(addr), number)
			identify = false
			used[addr], _ = s.candidates(ctx, number, addr, false) // without a probe nothing fails
		}
	}
	if identify && slices.ContainsFunc(answers.Addresses, func(addr uint16) bool { return used[addr].Identified }) {
		s.probeAgain(ctx, number, answers.Addresses, used)
	}
	bus := Bus{Bus: int(number), Complete: len(s.found.Problems) == before, Addresses: []Address{}}
	for _, addr := range slices.Sorted(maps.Keys(used)) {
		a := used[addr]
		a.Address = sensors.Address(addr).String()
		bus.Addresses = append(bus.Addresses, a)
	}
	return bus
}

// probeAgain probes those addresses again whose probe failed because the bus might
// be stuck: another chip was identified since, so it isn't.
func (s *scanner) probeAgain(ctx context.Context, number sensors.Bus, addresses []uint16, used map[uint16]Address) {
	for _, addr := range addresses {
		if !used[addr].mayBeStuck {
			continue
		}
		a, err := s.candidates(ctx, number, addr, true)
		if err != nil {
			s.problem("%v: %s was probed again, because another chip on %s was identified", err, sensors.Address(addr), number)
			continue
		}
		used[addr] = a
	}
}

// inUse are the addresses that the kernel's drivers have and that the daemon
// reads.
func (s *scanner) inUse(ctx context.Context, number sensors.Bus) map[uint16]Address {
	used := map[uint16]Address{}
	for addr, driver := range s.kernelDrivers(ctx, number) {
		used[addr] = Address{Kernel: driver, unbind: board.UnbindCommand(number, addr, driver), Could: []Find{}, Refused: []string{}}
	}
	for _, r := range s.DaemonSensors {
		for _, c := range r.Claims {
			if c.Kind == sensors.I2CWire && c.Bus == int(number) {
				used[uint16(c.Address)] = Address{Daemon: r.Name, Could: []Find{}, Refused: []string{}}
			}
		}
	}
	return used
}

// kernelDrivers finds the addresses of a bus that the kernel's drivers have, as
// /sys/bus/i2c/devices/1-0076/uevent tells.
func (s *scanner) kernelDrivers(ctx context.Context, number sensors.Bus) map[uint16]string {
	drivers := map[uint16]string{}
	prefix := fmt.Sprintf("/sys/bus/i2c/devices/%d-", int(number))
	files, err := s.Board.Files().Glob(prefix + "*/uevent")
	for _, file := range files {
		var data []byte
		if data, err = s.Board.Files().ReadFile(ctx, file); err != nil {
			break
		}
		addr, parseErr := strconv.ParseUint(strings.TrimPrefix(path.Dir(file), prefix), 16, 7)
		_, driver, ok := strings.Cut("\n"+string(data), "\nDRIVER=")
		if ok && parseErr == nil { // no driver of ours has a 10-bit address
			driver, _, _ = strings.Cut(driver, "\n")
			drivers[uint16(addr)] = driver
		}
	}
	if err != nil {
		s.problem("the kernel's drivers on %s are not known: %v", number, err)
	}
	return drivers
}
