package scan

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"

	_ "example.org/dormouse/sensors/all"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
)

func TestMain(m *testing.M) {
	// The boards are simulated, the time is real: that the machine does something else
	// for seconds is no fault of a bus.
	busTime, probeTime = time.Hour, time.Hour
	os.Exit(m.Run())
}

// bench is a simulated board that can also be without wires.
type bench struct {
	*sim.Board
	buses    []sensors.Bus
	open     func(sensors.Bus) (i2c.BusCloser, error) // nil: the board's
	linesErr error
}

func (b *bench) Buses() ([]sensors.Bus, error) { return b.buses, nil }

func (b *bench) OpenBus(n sensors.Bus) (i2c.BusCloser, error) {
	if b.open != nil {
		return b.open(n)
	}
	return b.Board.OpenBus(n)
}

func (b *bench) Lines() ([]board.LineInfo, error) {
	if b.linesErr != nil {
		return nil, b.linesErr
	}
	return b.Board.Lines()
}

func newBench(t *testing.T) (*bench, *scanner) {
	t.Helper()
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { clock.Close() })
	b := &bench{Board: sim.New(clock, 1), buses: []sensors.Bus{1}}
	if err := clock.Sleep(t.Context(), PowerUp); err != nil {
		t.Fatal(err)
	}
	return b, newScanner(Options{Board: b, Clock: clock, Identify: true})
}

func (s *scanner) text(t *testing.T) string {
	t.Helper()
	var text bytes.Buffer
	if err := s.found.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// A spyBus hands on what is sent to a chip, and writes it down.
type spyBus struct {
	i2c.BusCloser
	log *[]string
}

func (b spyBus) Tx(addr uint16, w, r []byte) error {
	if len(w) > 1 {
		*b.log = append(*b.log, sensors.Address(addr).String())
	}
	return b.BusCloser.Tx(addr, w, r)
}

func (b spyBus) Quick(addr uint16) error {
	return b.BusCloser.(interface{ Quick(uint16) error }).Quick(addr)
}

func TestFaults(t *testing.T) {
	const driver = "/sys/bus/i2c/devices/1-0076/uevent"
	for _, tt := range []struct {
		name     string
		spoil    func(*bench)
		problems int
		says     []string
		not      []string
	}{
		{"no bus", func(b *bench) { b.buses = nil }, 0, []string{"there is no I2C bus: enable it (sudo raspi-config nonint do_i2c 0", "dtparam=i2c_arm=on"}, []string{"0x"}},
		{"no device nodes", func(b *bench) {
			b.buses = nil
			b.SetFile("/sys/bus/i2c/devices/i2c-1/name", nil)
		}, 0, []string{"modprobe i2c-dev"}, []string{"raspi-config"}},
		{"no permission", func(b *bench) {
			b.open = func(n sensors.Bus) (i2c.BusCloser, error) {
				return nil, board.BusOpenError(n, []sensors.Bus{1}, unix.EACCES)
			}
			b.linesErr = unix.EACCES
		}, 2, []string{"Problems:\n  I2C bus 1: /dev/i2c-1 may not be opened: add", "group i2c", "the scan of this bus is incomplete", "permission denied"}, []string{"pinctrl", "no chip answers"}},
		{"the kernel drives it", func(b *bench) { b.SetFile(driver, []byte("OF_NAME=bmp280\nDRIVER=bmp280\nMODALIAS=i2c:bmp280\n")) }, 0,
			[]string{"0x76  is used by the kernel's driver bmp280 (to unbind it: echo 1-0076 > /sys/bus/i2c/drivers/bmp280/unbind)\n"}, []string{"looks like bme280"}},
		{"the kernel knows it without a driver", func(b *bench) { b.SetFile(driver, []byte("OF_NAME=bmp280\nMODALIAS=i2c:bmp280\n")) }, 0,
			[]string{"0x76  looks like bme280"}, nil},
		{"what the kernel drives can't be read", func(b *bench) {
			b.SetFile(driver, nil)
			b.FailFile(driver, unix.EIO)
		}, 1, []string{"the kernel's drivers on I2C bus 1 are not known"}, nil},
		{"hung", func(b *bench) {
			for _, addr := range []uint16{sim.SHT4x, sim.TMP102, sim.ADS1115, sim.BME280} {
				b.SetFault(addr, sim.Fault{Errno: unix.ETIMEDOUT})
			}
		}, 4, []string{"I2C bus 1 hung at 0x44: a chip holds SDA or SCL low"}, []string{"looks like"}},
		{"stuck", func(b *bench) { b.Stick(0) }, 1, []string{"I2C bus 1 is stuck: every address answers", "is incomplete"}, []string{"0x44", "no chip answers"}},
		{"a chip that nobody knows", func(b *bench) { b.Connect(sim.BME280, stranger{}) }, 0,
			[]string{"0x76  answers, and is no chip that a driver knows:\n          bme280: ", "chip's ID is 0x42"}, []string{"--sensor=bme280"}},
		{"nobody is there", func(b *bench) {
			for _, addr := range []uint16{sim.SHT4x, sim.TMP102, sim.ADS1115, sim.BME280} {
				b.Remove(addr)
			}
			b.RemoveFiles("/sys/bus/w1")
			b.RemoveFiles("/sys/devices/w1_bus_master1")
			b.LoseLines(true)
		}, 0, []string{"no chip answers", "--rail=probes=GPIO17", "dtoverlay=w1-gpio", "there is no /dev/gpiochip*"}, []string{"1-Wire\n"}},
		{"an empty 1-Wire bus", func(b *bench) { b.RemoveFiles("/sys/bus/w1/devices/" + sim.Probe1Wire) }, 0,
			[]string{"pull-up of 4.7 kΩ"}, []string{"dtoverlay"}},
		{"a 1-Wire chip that is no thermometer", func(b *bench) { b.SetFile("/sys/bus/w1/devices/01-000012345678/name", nil) }, 0,
			[]string{"01-000012345678: no driver reads it"}, nil},
		{"zones called alike, and by what can't be in a flag", func(b *bench) {
			b.SetFile("/sys/class/thermal/thermal_zone1/type", []byte("gpu\n"))
			b.SetFile("/sys/class/thermal/thermal_zone2/type", []byte("gpu\n"))
			b.SetFile("/sys/class/thermal/thermal_zone3/type", []byte("a,b=c\n"))
		}, 0, []string{"gpu: no driver reads it\n  gpu: no driver reads it", "a,b=c: no driver reads it", "--sensor=cpu-thermal="}, nil},
		{"a zone that can't be read", func(b *bench) { b.FailFile("/sys/class/thermal/thermal_zone0/type", unix.EIO) }, 1,
			[]string{"the thermal zones are not known"}, nil},
		{"ports", func(b *bench) {
			b.SetFile("/dev/spidev0.0", nil)
			b.SetFile("/dev/serial0", nil)
			b.SetFile("/dev/serial/by-id/usb-FTDI_A1-if00-port0", nil)
		}, 0, []string{"SPI\n  /dev/spidev0.0\n", "Serial ports\n  /dev/serial/by-id/usb-FTDI_A1-if00-port0\n  /dev/serial0\n"}, []string{"dtparam=spi=on"}},
		{"held lines", func(b *bench) { b.Hold(4, "onewire@0"); b.Hold(30, "") }, 0,
			[]string{"54 lines, 2 of them held\n  GPIO4   by \"onewire@0\"\n  line 30  by an unnamed consumer\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, s := newBench(t)
			tt.spoil(b)
			s.scan(t.Context())
			text := s.text(t)
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("there is no %q", want)
				}
			}
			for _, wrong := range tt.not {
				if strings.Contains(text, wrong) {
					t.Errorf("there is %q", wrong)
				}
			}
			if len(s.found.Problems) != tt.problems {
				t.Errorf("%d problems, want %d", len(s.found.Problems), tt.problems)
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

// No chip gets more than one byte, whatever its driver would do; the BMP280's
// would reset it.
func TestWritesOneByteAtMost(t *testing.T) {
	b, s := newBench(t)
	var written []string
	b.open = func(n sensors.Bus) (i2c.BusCloser, error) {
		bus, err := b.Board.OpenBus(n)
		return spyBus{bus, &written}, err
	}
	s.scan(t.Context())
	if len(written) > 0 {
		t.Errorf("more than a byte was written to %v", written)
	}
	if n := len(s.found.Buses[0].Addresses); n != 4 {
		t.Errorf("%d chips were found, want 4", n)
	}
}

// askedBus answers to the scan; what comes of a question is the test's.
type askedBus struct {
	i2c.BusCloser
	asked func() error
}

func (b askedBus) Tx(addr uint16, w, r []byte) error {
	if len(w) > 0 {
		if err := b.asked(); err != nil {
			return board.BusError(1, addr, err)
		}
	}
	return b.BusCloser.Tx(addr, w, r)
}

// A bus that fails when drivers ask, or hangs in the kernel for ever, says
// nothing of its chips, and the next is scanned all the same.
func TestOfABusThatFailsLater(t *testing.T) {
	leave := make(chan struct{})
	defer close(leave)
	var timeIsUp func()
	for name, asked := range map[string]func() error{
		"fails": func() error { return unix.EIO },
		"hangs": func() error { timeIsUp(); <-leave; return unix.EIO },
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBench(t)
			b.open = func(n sensors.Bus) (i2c.BusCloser, error) {
				bus, err := b.Board.OpenBus(1)
				if n == 1 {
					bus = askedBus{bus, asked}
				}
				return bus, err
			}
			// The bus's time is up when the first driver has asked.
			limit := alarm.NewFake(1, time.Time{})
			limited := limit.WithDeadline(t.Context(), limit.Now().Add(time.Second))
			defer limited.Cancel()
			timeIsUp = func() { limit.Advance(time.Second) }
			first := s.scanBus(limited, 1)
			second := s.scanBus(t.Context(), 2)
			if len(s.found.Problems) != 1 || !strings.Contains(s.found.Problems[0], "from 0x48 on nothing was identified on I2C bus 1") {
				t.Errorf("the problems are %q", s.found.Problems)
			}
			if len(first.Addresses) != 3 || first.Complete {
				t.Fatalf("on the bus that %s: %+v", name, first)
			}
			for _, a := range first.Addresses {
				if a.Identified || len(a.Could) == 0 || len(a.Refused) > 0 {
					t.Errorf("on the bus that %s: %+v", name, a)
				}
			}
			if len(second.Addresses) != 4 || second.Addresses[3].Could[0].Flag != "--sensor=bme280-2-76=bme280,bus=2,addr=0x76" ||
				!second.Addresses[3].Identified || !second.Complete {
				t.Errorf("on the other: %+v", second)
			}
		})
	}
}

// A strangerBus has at each address a chip of somebody else's.
type strangerBus struct{ i2c.BusCloser }

func (strangerBus) Tx(addr uint16, w, r []byte) error {
	for i := range r {
		r[i] = 0x5a
	}
	return nil
}

// Drivers that have something to know their chip by aren't satisfied by any
// other; those that have nothing aren't asked.
func TestTakesNoStrangerForAChip(t *testing.T) {
	b, s := newBench(t)
	b.open = func(n sensors.Bus) (i2c.BusCloser, error) {
		bus, err := b.Board.OpenBus(n)
		return strangerBus{bus}, err
	}
	refused := map[string]bool{}
	for addr := range uint16(0x80) {
		a, err := s.candidates(t.Context(), 1, addr, true)
		if err != nil {
			t.Fatal(err)
		}
		if a.Identified {
			t.Errorf("at 0x%02x a stranger is taken for %v", addr, a.Could)
		}
		for _, text := range a.Refused {
			driver, _, _ := strings.Cut(text, ":")
			refused[driver] = true
		}
	}
	for _, d := range sensors.Drivers() {
		if _, ok := models(d); ok && (d.Identity != nil) != refused[d.Name] {
			t.Errorf("%s was asked: %t", d.Name, refused[d.Name])
		}
	}
}

// Every flag that is printed is one that `run` and `check` take, alone and with
// one candidate of each address together.
func TestFlagsAreAccepted(t *testing.T) {
	b, s := newBench(t)
	s.Identify = false
	b.buses = nil
	var all []string
	for number := range sensors.Bus(3) {
		for addr := range uint16(0x80) {
			found, err := s.candidates(t.Context(), number, addr, false)
			if err != nil {
				t.Fatal(err)
			}
			could := found.Could
			for i, c := range could {
				if i == 0 {
					all = append(all, c.Flag)
				}
				if _, err := config.Load(config.Source{SensorFlags: []string{strings.TrimPrefix(c.Flag, "--sensor=")}}); err != nil {
					t.Errorf("%s: %v", c.Flag, err)
				}
			}
		}
	}
	s.scan(t.Context())
	for _, c := range slices.Concat(s.found.OneWire, s.found.Zones, s.found.Devices) {
		all = append(all, c.Flag)
	}
	if len(all) < 3*13+2+4 {
		t.Fatalf("only %d flags", len(all))
	}
	for i := range all {
		all[i] = strings.TrimPrefix(all[i], "--sensor=")
	}
	if cfg, err := config.Load(config.Source{SensorFlags: all}); err != nil || len(cfg.Sensors) != len(all) {
		t.Errorf("all together: %v", err)
	}
}

func TestWithRails(t *testing.T) {
	b, s := newBench(t)
	b.Power(sim.BME280, 17, false)
	cfg, err := config.Load(config.Source{SensorFlags: []string{"scan=thermal"}, RailFlags: []string{"probes=GPIO17"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Rails = cfg.Supplies()
	s.withRails(t.Context(), func() { s.scan(t.Context()) })
	if text := s.text(t); !strings.Contains(text, "0x76  looks like bme280") || !strings.Contains(text, "give each sensor behind a rail power=NAME") {
		t.Errorf("with the rail:\n%s", text)
	}
	if _, driven := b.Output(17); driven {
		t.Error("the rail is still driven")
	}
	b.Hold(17, "gpioset")
	s = newScanner(Options{Board: b, Clock: s.Clock, Identify: true})
	s.Rails = cfg.Supplies()
	s.withRails(t.Context(), func() { s.scan(t.Context()) })
	if text := s.text(t); strings.Contains(text, "bme280") || !strings.Contains(text, `is held by "gpioset"`) || len(s.found.Problems) != 1 {
		t.Errorf("with the rail's line held:\n%s", text)
	}
}

func TestBrokenOffLeavesNoRailOn(t *testing.T) {
	b, s := newBench(t)
	cfg, err := config.Load(config.Source{SensorFlags: []string{"scan=thermal"}, RailFlags: []string{"probes=GPIO17,settle=1h"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Rails = cfg.Supplies()
	ended := make(chan struct{})
	go func() {
		s.withRails(ctx, func() { s.scan(ctx) })
		close(ended)
	}()
	limit, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for high := false; !high; high, _ = b.Output(17) {
		if limit.Err() != nil {
			t.Fatal("the rail isn't up")
		}
		runtime.Gosched()
	}
	cancel()
	<-ended
	if _, driven := b.Output(17); driven || len(s.found.Problems) == 0 {
		t.Errorf("driven: %t, problems %q", driven, s.found.Problems)
	}
}

// A daemon's sensor is found by the wiring that it tells, and at no other bus.
func TestKnowsTheDaemonsChipByItsWiring(t *testing.T) {
	_, s := newBench(t)
	cfg, err := config.Load(config.Source{SensorFlags: []string{"a=bme280,power=GPIO17", "b=tmp102,bus=10,addr=0x49", "c=thermal"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cfg.Sensors {
		s.DaemonSensors = append(s.DaemonSensors, DaemonSensor{c.Name, c.Claims()})
	}
	s.scan(t.Context())
	read := map[string]string{}
	for _, a := range s.found.Buses[0].Addresses {
		if a.Daemon != "" {
			read[a.Address] = a.Daemon
		}
	}
	if diff := cmp.Diff(map[string]string{"0x76": "a"}, read); diff != "" {
		t.Error(diff)
	}
}

func TestOfAdapterWithoutQuickWrites(t *testing.T) {
	b, s := newBench(t)
	b.open = func(n sensors.Bus) (i2c.BusCloser, error) {
		bus, err := b.Board.OpenBus(n)
		return plainBus{bus}, err
	}
	s.scan(t.Context())
	text := s.text(t)
	if !strings.Contains(text, "can't do quick writes") || !strings.Contains(text, "0x76  looks like bme280") || strings.Contains(text, "0x44") {
		t.Error(text)
	}
}

// plainBus can only transfer bytes.
type plainBus struct{ i2c.BusCloser }

func TestToABrokenPipe(t *testing.T) {
	_, s := newBench(t)
	s.scan(context.Background())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	if err := s.found.WriteText(w); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestDevices lists what the kernel's drivers measure, by what stays.
func TestDevices(t *testing.T) {
	b, s := newBench(t)
	b.SetFile("/sys/class/hwmon/hwmon7/name", []byte("cpu_thermal\n")) // repeats the zone
	b.SetFile("/sys/class/hwmon/hwmon7/temp1_input", []byte("1\n"))
	b.SetFile("/sys/class/hwmon/hwmon6/name", []byte("w1_slave_temp\n")) // repeats a 1-Wire thermometer
	b.SetFile("/sys/class/hwmon/hwmon6/temp1_input", []byte("1\n"))
	b.SetFile("/sys/class/hwmon/hwmon8/name", []byte("acpi_fan\n"))
	b.SetFile("/sys/class/hwmon/hwmon8/fan1_input", []byte("1\n"))
	b.SetFile("/sys/class/hwmon/hwmon9/temp1_input", []byte("1\n")) // is nothing that is known
	s.scan(t.Context())
	want := []Find{
		{What: "bh1750 at 3-0023", Flag: "--sensor=bh1750-3-0023=iio,device=3-0023"},
		{What: "pwmfan at cooling_fan", Flag: "--sensor=pwmfan-cooling_fan=hwmon,device=cooling_fan"},
		{What: "acpi_fan at /sys/class/hwmon/hwmon8", Flag: "--sensor=acpi_fan-hwmon8=hwmon,device=acpi_fan"},
		{What: "battery at 3-0036", Flag: "--sensor=battery-3-0036=power_supply,device=3-0036"},
		{What: "the Pi's firmware", Flag: "--sensor=throttled=throttled"},
	}
	if diff := cmp.Diff(want, s.found.Devices); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(s.found.Problems, func(p string) bool { return strings.Contains(p, "hwmon9") }) {
		t.Errorf("problems: %q", s.found.Problems)
	}
	if text := s.text(t); !strings.Contains(text, "Read by the kernel\n  bh1750 at 3-0023\n          --sensor=bh1750-3-0023=iio,device=3-0023\n") {
		t.Errorf("got\n%s", text)
	}
}
