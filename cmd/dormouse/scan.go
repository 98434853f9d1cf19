package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"periph.io/x/conn/v3/i2c"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/poll"
)

const helpScan = `Tell what is connected, with --sensor flags to paste: chips on the I2C buses, 1-Wire thermometers, thermal zones, and who holds GPIO lines.

An address is asked whether a chip answers as i2cdetect does it. Where one answers at which a driver's chip can be, that driver is let identify it: it may read, and write one byte, which is a register's number or a command, but no more. A few other chips take that byte amiss: see docs/scan.md, or leave it out with --no-identify. What the kernel drives and what the running daemon reads isn't touched.`

func defineScan(c *syntax) command {
	s := &settings{}
	c.enum(&s.board, "board", "auto", "Where the wires are: the machine's own, or a simulated board that needs no hardware.", "auto", "sim")
	var only []string
	c.texts(&only, "bus", "N", "", "Scan only this I2C bus. Repeatable; without it, all that there are.")
	c.texts(&s.rails, "rail", "NAME=LINE[,KEY=VALUE]…", "", "A supply to be switched on during the scan, as for run: probes=GPIO17,settle=100ms. Repeatable.")
	var identify bool
	c.yesNo(&identify, "identify", true, "Let drivers identify what answers; --no-identify goes by the address alone.")
	s.pidFileFlag(c, defaultPIDFile())
	format := formatFlag(c)
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		buses, err := parseBuses(only)
		if err != nil {
			return err
		}
		cfg, err := sensors.Load(sensors.Source{SensorFlags: []string{"scan=thermal"}, RailFlags: s.rails})
		if err != nil {
			return usageError{err}
		}
		clock, err := alarm.New()
		if err != nil {
			return err
		}
		defer clock.Close()
		here, ok := openBoard(s.board, clock).(board.Inspector)
		if !ok {
			return errors.New("this board can't be looked at")
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		sc := &scanner{here: here, clock: clock, identify: identify}
		sc.daemonsChips(ctx, s.pidFile)
		if s.board == "sim" { // its chips have power since now
			if err := clock.Sleep(ctx, powerUp); err != nil {
				return err
			}
		}
		sc.withRails(ctx, cfg.Rails, func() { sc.look(ctx, buses) })
		if *format == "json" {
			e := json.NewEncoder(stdout)
			e.SetIndent("", "  ")
			err = e.Encode(sc.found)
		} else {
			err = sc.found.print(stdout)
		}
		if err == nil && len(sc.found.Problems) > 0 {
			err = silent{exitFailed}
		}
		return err
	}
}

func parseBuses(texts []string) ([]sensors.Bus, error) {
	var buses []sensors.Bus
	for _, text := range texts {
		b, err := sensors.BusOpt().Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--bus: %w", err)}
		}
		buses = append(buses, b.(sensors.Bus))
	}
	return buses, nil
}

// found is what a scan found: the document of --format=json. Fields are added
// to it, never changed or taken away.
type found struct {
	Buses      []foundBus    `json:"i2c_buses"`
	OneWire    []foundSensor `json:"one_wire"`
	Zones      []foundSensor `json:"thermal_zones"`
	GPIO       []foundGPIO   `json:"gpio_chips"`
	Unfindable []string      `json:"not_findable"` // drivers of what doesn't answer to a question
	Problems   []string      `json:"problems"`     // what couldn't be looked at, and what to do
	Advice     []string      `json:"advice"`
}

type foundBus struct {
	Bus       int            `json:"bus"`
	Complete  bool           `json:"complete"` // no problem left out any address
	Addresses []foundAddress `json:"addresses"`
}

type foundAddress struct {
	Address    string        `json:"address"`
	Kernel     string        `json:"kernel_driver,omitempty"` // that drives it
	Daemon     string        `json:"daemon_sensor,omitempty"` // that reads it
	Identified bool          `json:"identified"`              // the drivers were asked
	Could      []foundSensor `json:"could_be"`
	Refused    []string      `json:"refused"` // why drivers say that it isn't theirs
}

type foundSensor struct {
	What string `json:"what"`
	Flag string `json:"flag,omitempty"` // empty: no driver reads it
}

type foundGPIO struct {
	Chip  string     `json:"chip"`
	Lines int        `json:"lines"`
	Held  []heldLine `json:"held"`
}

type heldLine struct {
	Offset   int    `json:"offset"`
	Name     string `json:"name"`
	Consumer string `json:"consumer"`
	Output   bool   `json:"output"`
}

// A scanner looks at a board and keeps what it found.
type scanner struct {
	here     board.Inspector
	clock    *alarm.Clock
	identify bool
	reads    []exporter.SensorJSON // of the daemon that runs
	found    found
}

func (s *scanner) problem(format string, args ...any) {
	s.found.Problems = append(s.found.Problems, fmt.Sprintf(format, args...))
}

func (s *scanner) advise(format string, args ...any) {
	s.found.Advice = append(s.found.Advice, fmt.Sprintf(format, args...))
}

// daemonsChips asks a daemon of ours which chips it reads. A question in the
// midst of a measurement would spoil it: an SHT4x that is asked for its serial
// number then has that to tell, with a good checksum. Where the daemon doesn't
// answer, nothing is identified.
func (s *scanner) daemonsChips(ctx context.Context, pidFile string) {
	if !daemon.Status(pidFile).Running() {
		return
	}
	limited := s.clock.WithDeadline(ctx, s.clock.Now().Add(10*time.Second))
	defer limited.Cancel()
	readings, err := askForReadings(limited, pidFile)
	if err != nil {
		s.problem("a daemon runs and can't be asked which chips it reads (%v): nothing was identified, so as not to disturb it: ask as root or as the daemon's user", err)
		s.identify = false
		return
	}
	s.reads = readings.Sensors
}

// withRails looks while the rails are on.
func (s *scanner) withRails(ctx context.Context, configs []*sensors.RailConfig, look func()) {
	rails := board.NewRails(configs, s.here, s.clock)
	defer func() {
		if err := rails.AllDown(); err != nil {
			s.problem("%v", err)
		}
	}()
	for _, r := range configs {
		if err := rails.Up(ctx, r.Name, powerUp); err != nil {
			s.problem("%v", err)
		}
	}
	look()
	if len(configs) > 0 {
		s.advise("give the sensors behind a rail its power=NAME, and paste the --rail flag too")
	}
}

func (s *scanner) look(ctx context.Context, buses []sensors.Bus) {
	s.found = found{Buses: []foundBus{}, OneWire: []foundSensor{}, Zones: []foundSensor{}, GPIO: []foundGPIO{}, Unfindable: []string{},
		Problems: append([]string{}, s.found.Problems...), Advice: []string{}}
	s.scanBuses(ctx, buses)
	s.oneWire()
	s.zones(ctx)
	s.lines()
	for _, d := range sensors.Drivers() {
		if slices.ContainsFunc(d.Options, func(o sensors.Option) bool {
			return o.Type == sensors.LineOption || o.Type == sensors.OutputOption
		}) {
			s.found.Unfindable = append(s.found.Unfindable, d.Name)
		}
	}
}

func (s *scanner) scanBuses(ctx context.Context, buses []sensors.Bus) {
	if len(buses) == 0 {
		var err error
		if buses, err = s.here.Buses(); err != nil {
			s.problem("which I2C buses there are isn't known: %v", err)
		}
		if len(buses) == 0 {
			s.noBus()
		}
	}
	for _, number := range buses {
		// A bus that hangs mustn't hang the command.
		limited := s.clock.WithDeadline(ctx, s.clock.Now().Add(busTime))
		s.found.Buses = append(s.found.Buses, s.scanBus(limited, number))
		limited.Cancel()
	}
	if len(buses) > 0 && !slices.ContainsFunc(s.found.Buses, func(b foundBus) bool { return len(b.Addresses) > 0 || !b.Complete }) {
		s.advise("no chip answers: check supply, ground, SDA and SCL; one behind a rail that is off can't answer: --rail=probes=GPIO17 switches it on for the scan")
	} else if len(s.reads) > 0 {
		s.advise("a daemon runs: chips behind its rails answer only while it reads them")
	}
}

const (
	powerUp   = 100 * time.Millisecond // until chips answer whose supply has just been switched on
	busTime   = 10 * time.Second       // for all of a bus: an adapter gives a transaction up after a second or two
	probeTime = 2 * time.Second
)

func (s *scanner) noBus() {
	nodes, err := s.here.Files().Glob("/sys/bus/i2c/devices/i2c-*")
	if err == nil && len(nodes) > 0 {
		s.advise("the kernel has I2C buses, but there is no /dev/i2c-*: load its module (modprobe i2c-dev), and in a container let it have the devices")
		return
	}
	s.advise("there is no I2C bus: enable it with raspi-config (Interface Options, I2C) or dtparam=i2c_arm=on in config.txt and restart; then modprobe i2c-dev, if there is still no /dev/i2c-1")
}

func (s *scanner) scanBus(ctx context.Context, number sensors.Bus) foundBus {
	before := len(s.found.Problems)
	taken := map[uint16]foundAddress{}
	for addr, driver := range s.driven(ctx, number) {
		taken[addr] = foundAddress{Kernel: driver, Could: []foundSensor{}, Refused: []string{}}
	}
	for _, r := range s.reads {
		text, ok := strings.CutPrefix(r.Wiring, number.String()+", address ")
		text, _, _ = strings.Cut(text, ",")
		if addr, err := strconv.ParseUint(text, 0, 7); ok && err == nil {
			taken[uint16(addr)] = foundAddress{Daemon: r.Name, Could: []foundSensor{}, Refused: []string{}}
		}
	}
	answers, err := board.Scan(ctx, s.here, number, func(addr uint16) bool { _, held := taken[addr]; return held })
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
		s.advise("the adapter of %s can't do quick writes, so a byte was read instead: a chip that has nothing to tell, as an idle SHT4x, may have kept silent", number)
	}
	for _, addr := range answers.Addresses {
		taken[addr] = s.candidates(ctx, number, addr, s.identify && err == nil)
	}
	bus := foundBus{Bus: int(number), Complete: len(s.found.Problems) == before, Addresses: []foundAddress{}}
	for _, addr := range slices.Sorted(maps.Keys(taken)) {
		a := taken[addr]
		a.Address = sensors.Address(addr).String()
		bus.Addresses = append(bus.Addresses, a)
	}
	return bus
}

// driven finds the addresses of a bus that the kernel's drivers have, as
// /sys/bus/i2c/devices/1-0076/uevent tells.
func (s *scanner) driven(ctx context.Context, number sensors.Bus) map[uint16]string {
	drivers := map[uint16]string{}
	prefix := fmt.Sprintf("/sys/bus/i2c/devices/%d-", int(number))
	files, err := s.here.Files().Glob(prefix + "*/uevent")
	for _, file := range files {
		var data []byte
		if data, err = s.here.Files().ReadFile(ctx, file); err != nil {
			break
		}
		addr, parseErr := strconv.ParseUint(strings.TrimPrefix(path.Dir(file), prefix), 16, 7)
		_, driver, ok := strings.Cut("\n"+string(data), "\nDRIVER=")
		if ok && parseErr == nil { // a 10-bit address has no driver of ours
			driver, _, _ = strings.Cut(driver, "\n")
			drivers[uint16(addr)] = driver
		}
	}
	if err != nil {
		s.problem("what the kernel drives on %s isn't known: %v", number, err)
	}
	return drivers
}

// candidates are the drivers' chips that can be at the address, one for each
// model, and where they are identified those that the drivers accept.
func (s *scanner) candidates(ctx context.Context, number sensors.Bus, addr uint16, identify bool) foundAddress {
	a := foundAddress{Identified: identify, Could: []foundSensor{}, Refused: []string{}}
	for _, d := range sensors.Drivers() {
		models, ok := models(d)
		if !ok {
			continue
		}
		name := fmt.Sprintf("%s-%02x", d.Name, addr)
		if number != 1 {
			name = fmt.Sprintf("%s-%d-%02x", d.Name, int(number), addr)
		}
		for _, model := range models {
			what, flag := d.Name, fmt.Sprintf("%s=%s,bus=%d,addr=%s", name, d.Name, int(number), sensors.Address(addr))
			if model != "" {
				what, flag = model, flag+",model="+model
			}
			cfg, err := sensors.Load(sensors.Source{SensorFlags: []string{flag}})
			if err != nil {
				continue // it can't be at this address
			}
			if identify {
				if err := s.probe(ctx, cfg); err != nil {
					if text := fmt.Sprintf("%s: %v", d.Name, err); !slices.Contains(a.Refused, text) {
						a.Refused = append(a.Refused, text)
					}
					continue
				}
			}
			a.Could = append(a.Could, foundSensor{what, "--sensor=" + flag})
		}
	}
	return a
}

// models are the members of a chip's family, one empty string where the driver
// knows but one; ok tells whether it is a chip with an I2C address.
func models(d *sensors.Driver) (models []string, ok bool) {
	models = []string{""}
	for _, o := range d.Options {
		ok = ok || o.Type == sensors.I2CAddrOption
		if o.Name == "model" {
			models = o.Choices
		}
	}
	return models, ok
}

// errRecognised ends a probe whose driver has recognised its chip: its New
// returned, or would write more than a register's number or a command, as it
// does only to a chip of its own.
var errRecognised = errors.New("the chip is recognised")

type recognised struct{}

func (recognised) Sense(context.Context, *sensors.Report) error { return errRecognised }

// probe has the sensor's driver look at the chip, without a measurement.
func (s *scanner) probe(ctx context.Context, cfg *sensors.Config) error {
	only, driver := *cfg.Sensors[0], *cfg.Sensors[0].Driver
	build := driver.New
	driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
		_, err := build(ctx, e)
		return recognised{}, err
	}
	only.Driver, only.Timeout, only.Retries = &driver, probeTime, 0
	poller, err := poll.New(poll.Options{Config: &sensors.Config{Sensors: []*sensors.SensorConfig{&only}},
		Board: askingBoard{s.here}, Clock: s.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	snapshot, err := poller.ReadNow(ctx)
	if err = errors.Join(err, poller.Close()); err == nil {
		err = snapshot.Results[0].Err
	}
	if errors.Is(err, errRecognised) {
		return nil
	}
	return err
}

// askingBoard lets nobody write more than one byte.
type askingBoard struct{ board.Board }

func (b askingBoard) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	bus, err := b.Board.OpenBus(number)
	if err != nil {
		return nil, err
	}
	return askingBus{bus}, nil
}

type askingBus struct{ i2c.BusCloser }

func (b askingBus) Tx(addr uint16, w, r []byte) error {
	if len(w) > 1 {
		return errRecognised
	}
	return b.BusCloser.Tx(addr, w, r)
}

// oneWire lists what the kernel found on its 1-Wire buses. The directory of a
// device is its family and number: 28-0316a2793aff.
func (s *scanner) oneWire() {
	const devices = "/sys/bus/w1/devices"
	masters, err := s.here.Files().Glob(devices + "/w1_bus_master*")
	chips, chipsErr := s.here.Files().Glob(devices + "/*-*")
	if err := errors.Join(err, chipsErr); err != nil {
		s.problem("what is on the 1-Wire bus isn't known: %v", err)
	}
	for _, dir := range chips {
		id := path.Base(dir)
		s.found.OneWire = append(s.found.OneWire, foundSensor{id, checkedFlag("w1-" + id + "=w1,id=" + id)})
	}
	if len(masters) == 0 {
		s.advise("there is no 1-Wire bus: for a DS18B20 put dtoverlay=w1-gpio into config.txt and restart")
	} else if len(chips) == 0 {
		s.advise("there is a 1-Wire bus and nothing on it: check the wiring and the pull-up of 4.7 kΩ; the kernel looks for new chips every few seconds")
	}
}

func (s *scanner) zones(ctx context.Context) {
	files, err := s.here.Files().Glob("/sys/class/thermal/thermal_zone*/type")
	for _, file := range files {
		var data []byte
		if data, err = s.here.Files().ReadFile(ctx, file); err != nil {
			break
		}
		zone := strings.TrimSpace(string(data))
		s.found.Zones = append(s.found.Zones, foundSensor{zone, checkedFlag(zone + "=thermal,zone=" + zone)})
	}
	if err != nil {
		s.problem("which thermal zones there are isn't known: %v", err)
	}
	for i, z := range s.found.Zones { // of several that are called alike none can be told
		if slices.ContainsFunc(s.found.Zones[:i], func(other foundSensor) bool { return other.What == z.What }) {
			for j := range s.found.Zones {
				if s.found.Zones[j].What == z.What {
					s.found.Zones[j].Flag = ""
				}
			}
		}
	}
}

// checkedFlag is a flag with the sensor, or empty where it can't be one.
func checkedFlag(sensor string) string {
	if _, err := sensors.Load(sensors.Source{SensorFlags: []string{sensor}}); err != nil {
		return ""
	}
	return "--sensor=" + sensor
}

func (s *scanner) lines() {
	lines, err := s.here.Lines()
	if err != nil {
		s.problem("%v", err)
	}
	if len(lines) == 0 && err == nil {
		s.advise("there is no /dev/gpiochip*: this machine has no GPIO, or its driver isn't loaded, or a sandbox hides it")
	}
	for _, l := range lines {
		if n := len(s.found.GPIO); n == 0 || s.found.GPIO[n-1].Chip != l.Chip {
			s.found.GPIO = append(s.found.GPIO, foundGPIO{Chip: l.Chip, Held: []heldLine{}})
		}
		chip := &s.found.GPIO[len(s.found.GPIO)-1]
		chip.Lines++
		if l.Held {
			chip.Held = append(chip.Held, heldLine{l.Offset, l.Name, l.Consumer, l.Output})
		}
	}
}

func (f *found) print(w io.Writer) error {
	var b strings.Builder
	for _, bus := range f.Buses {
		fmt.Fprintf(&b, "%s\n", sensors.Bus(bus.Bus))
		for _, a := range bus.Addresses {
			fmt.Fprintf(&b, "  %s  %s\n", a.Address, a.describe(bus.Bus))
			for _, c := range a.Could {
				fmt.Fprintf(&b, "          %s\n", c.Flag)
			}
			if len(a.Could) == 0 {
				printIndented(&b, "          ", a.Refused)
			}
		}
		switch {
		case !bus.Complete:
			b.WriteString("  not all of it could be looked at: see below\n")
		case len(bus.Addresses) == 0:
			b.WriteString("  nothing answers\n")
		}
	}
	printSensors(&b, "1-Wire", f.OneWire)
	printSensors(&b, "Thermal zones", f.Zones)
	for _, chip := range f.GPIO {
		fmt.Fprintf(&b, "%s, %d lines, %d of them held\n", chip.Chip, chip.Lines, len(chip.Held))
		for _, l := range chip.Held {
			name := l.Name
			if name == "" {
				name = fmt.Sprintf("line %d", l.Offset)
			}
			fmt.Fprintf(&b, "  %-6s  by %s\n", name, heldBy(board.LineInfo{Consumer: l.Consumer}))
		}
	}
	fmt.Fprintf(&b, "\nWhat is on a GPIO line can't be found by asking: %s. `dormouse drivers NAME` tells how to say where it is.\n", strings.Join(f.Unfindable, ", "))
	for _, list := range []struct {
		title string
		lines []string
	}{{"Couldn't be looked at:", f.Problems}, {"To be known:", f.Advice}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n", list.title)
			printIndented(&b, "  ", list.lines)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printIndented(b *strings.Builder, indent string, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(b, "%s%s\n", indent, strings.ReplaceAll(l, "\n", "\n"+indent))
	}
}

func printSensors(b *strings.Builder, title string, list []foundSensor) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(b, title)
	for _, s := range list {
		if s.Flag == "" {
			fmt.Fprintf(b, "  %s: no driver reads it\n", s.What)
			continue
		}
		fmt.Fprintf(b, "  %s\n          %s\n", s.What, s.Flag)
	}
}

func (a *foundAddress) describe(bus int) string {
	var names []string
	for _, c := range a.Could {
		names = append(names, c.What)
	}
	switch {
	case a.Kernel != "":
		return fmt.Sprintf("is driven by the kernel's %s (to take it away: echo %d-00%s > /sys/bus/i2c/drivers/%s/unbind)", a.Kernel, bus, a.Address[2:], a.Kernel)
	case a.Daemon != "":
		return "is read by the running daemon, as " + a.Daemon
	case len(names) == 1 && a.Identified:
		return "looks like " + names[0]
	case len(names) == 1:
		return "answers; by its address it could be " + names[0]
	case len(names) > 1 && a.Identified:
		return "could be " + strings.Join(names, ", ") + ": they can't be told apart, so take what is printed on the chip"
	case len(names) > 1:
		return "answers; by its address it could be " + strings.Join(names, ", ")
	case len(a.Refused) > 0:
		return "answers, and is no chip that a driver knows:"
	}
	return "answers; no driver's chip has this address"
}
