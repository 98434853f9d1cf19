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
	"syscall"
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
		var buses []sensors.Bus
		for _, text := range only {
			bus, err := sensors.BusOpt().Parse(text)
			if err != nil {
				return usageError{fmt.Errorf("--bus: %w", err)}
			}
			buses = append(buses, bus.(sensors.Bus))
		}
		cfg, err := sensors.Load(sensors.Source{SensorFlags: []string{"scan=thermal"}, RailFlags: s.rails})
		if err != nil {
			return usageError{err}
		}
		// Whatever ends the scan, its rails go off.
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		clock, err := alarm.New()
		if err != nil {
			return err
		}
		defer clock.Close()
		here, ok := openBoard(s.board, clock).(board.Inspector)
		if !ok {
			return errors.New("this board can't be looked at")
		}
		sc := newScanner(here, clock, identify)
		sc.daemonsChips(ctx, s.pidFile)
		if s.board == "sim" { // its chips have power since now
			if err := clock.Sleep(ctx, powerUp); err != nil {
				return brokenOff(err)
			}
		} else if s.pidFile != systemsPIDFile {
			sc.daemonsChips(ctx, systemsPIDFile)
		}
		sc.withRails(ctx, cfg.Rails, func() { sc.look(ctx, buses) })
		if err := ctx.Err(); err != nil {
			return brokenOff(err)
		}
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

func brokenOff(err error) error { return fmt.Errorf("the scan was broken off: %w", err) }

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

	unbind string // the command that takes it away from the kernel
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

func newScanner(here board.Inspector, clock *alarm.Clock, identify bool) *scanner {
	return &scanner{here: here, clock: clock, identify: identify, found: found{Buses: []foundBus{}, OneWire: []foundSensor{},
		Zones: []foundSensor{}, GPIO: []foundGPIO{}, Unfindable: []string{}, Problems: []string{}, Advice: []string{}}}
}

func (s *scanner) problem(format string, args ...any) {
	s.found.Problems = append(s.found.Problems, fmt.Sprintf(format, args...))
}

func (s *scanner) advise(format string, args ...any) {
	s.found.Advice = append(s.found.Advice, fmt.Sprintf(format, args...))
}

// systemsPIDFile is that of the units and of root, whoever scans.
const systemsPIDFile = "/run/dormouse/dormouse.pid"

// daemonsChips asks a daemon of ours which chips it reads. A question in the
// midst of a measurement would spoil it: an SHT4x that is asked for its serial
// number then has that to tell, with a good checksum. Where the daemon doesn't
// answer, nothing is identified.
func (s *scanner) daemonsChips(ctx context.Context, pidFile string) {
	state := daemon.Status(pidFile)
	if !state.Running() && state.Code != daemon.StatusUnknown {
		return
	}
	limited := s.clock.WithDeadline(ctx, s.clock.Now().Add(10*time.Second))
	defer limited.Cancel()
	readings, err := askForReadings(limited, pidFile)
	if err != nil {
		s.problem("the daemon of %s (%s) can't be asked which chips it reads, so nothing was identified: scan as root or as the daemon's user: %v", pidFile, state.Text, err)
		s.identify = false
		return
	}
	s.reads = append(s.reads, readings.Sensors...)
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
		taken[addr] = foundAddress{Kernel: driver, unbind: board.UnbindCommand(number, addr, driver), Could: []foundSensor{}, Refused: []string{}}
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
	identify := s.identify && err == nil
	for _, addr := range answers.Addresses {
		if taken[addr], err = s.candidates(ctx, number, addr, identify); err != nil {
			s.problem("%v: from %s on nothing was identified on %s", err, sensors.Address(addr), number)
			identify = false
			taken[addr], _ = s.candidates(ctx, number, addr, false) // asks nobody, so nothing fails
		}
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
// model, and where they are identified those that the drivers accept. The error
// is that of a bus that fails.
func (s *scanner) candidates(ctx context.Context, number sensors.Bus, addr uint16, identify bool) (foundAddress, error) {
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
				err = s.probe(ctx, cfg)
			}
			text := fmt.Sprintf("%s: %v", d.Name, err)
			switch {
			case err == nil:
				a.Could = append(a.Could, foundSensor{what, "--sensor=" + flag})
			case !slices.Contains(refusals, sensors.ReasonOf(err)):
				return a, fmt.Errorf("%s: %w", d.Name, err)
			case !slices.Contains(a.Refused, text):
				a.Refused = append(a.Refused, text)
			}
		}
	}
	return a, nil
}

// refusals are what a driver says of a chip that isn't its own. Any other error
// says nothing of the chip.
var refusals = []sensors.Reason{sensors.Identity, sensors.Checksum, sensors.NoAnswer, sensors.NotReady, sensors.OutOfRange}

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

// askingBoard lets nobody write more than one byte to a chip.
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

// zones lists the thermal zones. Of several that are called alike none can be
// told from the others.
func (s *scanner) zones(ctx context.Context) {
	files, err := s.here.Files().Glob("/sys/class/thermal/thermal_zone*/type")
	called := map[string]int{}
	for _, file := range files {
		var data []byte
		if data, err = s.here.Files().ReadFile(ctx, file); err != nil {
			break
		}
		zone := strings.TrimSpace(string(data))
		called[zone]++
		s.found.Zones = append(s.found.Zones, foundSensor{What: zone})
	}
	if err != nil {
		s.problem("which thermal zones there are isn't known: %v", err)
	}
	for i, z := range s.found.Zones {
		if called[z.What] == 1 {
			s.found.Zones[i].Flag = checkedFlag(z.What + "=thermal,zone=" + z.What)
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
