package all

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/scan"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// A mounted chip is one on a board of two buses, and what a scan must find out.
type mounted struct {
	bus   sensors.Bus
	addr  uint16
	model string // of package chips
	is    string // what it is recognised as; empty: by nothing
	// could is what is offered for a chip that isn't recognised, besides others;
	// gets are the bytes that are written to it, each alone: numbers of ID
	// registers of other chips at this address. What a driver that is added asks
	// at such an address must be looked at before it is listed here.
	could, gets string
}

const secondBus = sensors.Bus(4)

// thirtyChips has twelve pairs of chips that share an address.
var thirtyChips = []mounted{
	{bus: 1, addr: 0x10, model: "veml7700", could: "veml7700"},
	{bus: 1, addr: 0x18, model: "mcp9808", is: "mcp9808"},
	// 0x86 is none of its instructions (data sheet, page 5), nor is 0x0f.
	{bus: 1, addr: 0x23, model: "bh1750", could: "bh1750", gets: "86"},
	{bus: 4, addr: 0x23, model: "ltr559", is: "LTR-559"},
	{bus: 1, addr: 0x29, model: "tsl2591", is: "tsl2591"},
	{bus: 4, addr: 0x29, model: "tsl2561", is: "tsl2561 t|tsl2561 cs"}, // two packages, one ID
	{bus: 1, addr: 0x38, model: "aht20", could: "aht20 aht10"},
	// 0xf3 makes an HTU21D measure; to an INA219 it is the number of a register.
	{bus: 1, addr: 0x40, model: "ina219", could: "ina219", gets: "f3 fe"},
	{bus: 4, addr: 0x40, model: "htu21d", is: "htu21d|sht2x|si7021"},
	{bus: 1, addr: 0x41, model: "ina226", is: "ina226"},
	{bus: 4, addr: 0x41, model: "ina3221", is: "ina3221"},
	{bus: 1, addr: 0x44, model: "sht3x", is: "sht3x"},
	{bus: 4, addr: 0x44, model: "sht4x", is: "sht4x"},
	{bus: 1, addr: 0x48, model: "ads1115", could: "ads1115 ads1015 tmp102 tmp75 lm75 lm75b ds1621", gets: "0b 0f fe"},
	{bus: 4, addr: 0x48, model: "tmp117", is: "tmp117"},
	{bus: 1, addr: 0x49, model: "adt7410", is: "adt7410"},
	{bus: 4, addr: 0x49, model: "tmp102", could: "tmp102 tmp75 lm75 lm75b ads1115 ads1015 ds1621", gets: "0b 0f 8a fe"},
	{bus: 1, addr: 0x4a, model: "sts3x", is: "sts3x"},
	{bus: 4, addr: 0x4a, model: "lm75b", could: "tmp102 tmp75 lm75 lm75b ads1115 ads1015 ds1621", gets: "0b 0f fe"},
	// 0xfe is no command of a DS1621 (data sheet, command set).
	{bus: 1, addr: 0x4f, model: "ds1621", could: "ds1621 tmp75 lm75 lm75b ina219", gets: "fe"},
	{bus: 4, addr: 0x4f, model: "ina219", could: "ds1621 tmp75 lm75 lm75b ina219", gets: "fe"},
	{bus: 1, addr: 0x5c, model: "bh1750", could: "bh1750", gets: "0f"},
	{bus: 4, addr: 0x5c, model: "lps25h", is: "lps25h"},
	{bus: 4, addr: 0x5f, model: "hts221", is: "hts221"},
	{bus: 4, addr: 0x62, model: "scd41", is: "scd41|scd40"},
	{bus: 4, addr: 0x70, model: "shtc3", is: "shtc3"},
	{bus: 1, addr: 0x76, model: "bmp280", is: "BMP280"},
	{bus: 4, addr: 0x76, model: "bme280", is: "bme280"},
	{bus: 1, addr: 0x77, model: "bmp180", is: "bmp180"},
	{bus: 4, addr: 0x77, model: "bmp388", is: "bmp388"},
}

// twoBuses is a simulated board with a second bus, which is that of another
// board.
type twoBuses struct {
	*sim.Board
	second *sim.Board
}

func (b *twoBuses) Buses() ([]sensors.Bus, error) {
	return []sensors.Bus{sim.BusNumber, secondBus}, nil
}

func (b *twoBuses) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	if number == secondBus {
		return b.second.OpenBus(sim.BusNumber)
	}
	return b.Board.OpenBus(number)
}

// mount puts the chip on its bus, and returns its log.
func (b *twoBuses) mount(c mounted) *loggedChip {
	board := b.Board
	if c.bus == secondBus {
		board = b.second
	}
	world := func(sensors.Instant, string) float64 { return 21 }
	logged := &loggedChip{Chip: chips.New(c.model, world)}
	board.Connect(c.addr, logged)
	return logged
}

// A loggedChip remembers what was written to it.
type loggedChip struct {
	chips.Chip
	log [][]byte
}

func (c *loggedChip) Write(now sensors.Instant, w []byte) error {
	c.log = append(c.log, slices.Clone(w))
	return c.Chip.Write(now, w)
}

func (c *loggedChip) Busy(at sensors.Instant) bool {
	b, ok := c.Chip.(interface{ Busy(at sensors.Instant) bool })
	return ok && b.Busy(at)
}

// gets are the different writes, in order.
func (c *loggedChip) gets() string {
	var all []string
	for _, w := range c.log {
		all = append(all, hex.EncodeToString(w))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// TestScanOfThirtyChips scans two buses with thirty chips. Each is named, or is
// among those that it could be; and nothing is written to one that nothing
// recognises, but numbers of registers where it shares its address with a chip
// that has an ID.
func TestScanOfThirtyChips(t *testing.T) {
	synctest.Test(t, scanThirtyChips)
}

func scanThirtyChips(t *testing.T) {
	clock := alarm.NewFake(alarm.Instant(time.Hour), time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC))
	defer clock.Close()
	b := &twoBuses{sim.New(clock.Clock, 1), sim.New(clock.Clock, 1)}
	for _, board := range []*sim.Board{b.Board, b.second} {
		for _, addr := range []uint16{sim.BME280, sim.SHT4x, sim.TMP102, sim.ADS1115} {
			board.Remove(addr)
		}
	}
	logs := map[mounted]*loggedChip{}
	for _, c := range thirtyChips {
		logs[c] = b.mount(c)
	}
	doc := scanned(t, clock, b)
	if len(logs) != 30 || len(doc.Buses) != 2 || len(doc.Problems) > 0 {
		t.Fatalf("%d chips on %d buses; problems: %q", len(logs), len(doc.Buses), doc.Problems)
	}
	var found []scan.Address
	for _, c := range thirtyChips {
		at := doc.Buses[slices.IndexFunc(doc.Buses, func(bus scan.Bus) bool { return bus.Bus == int(c.bus) })].Addresses
		i := slices.IndexFunc(at, func(a scan.Address) bool { return a.Address == sensors.Address(c.addr).String() })
		if i < 0 {
			t.Errorf("%s, %#x: the %s isn't found", c.bus, c.addr, c.model)
			continue
		}
		t.Logf("%s, %s, a %s: identified %v, could be %q; was written %s", c.bus, at[i].Address, c.model, at[i].Identified, names(at[i].Could), logs[c].gets())
		if wrong := c.finding(t, at[i], logs[c].gets()); wrong != "" {
			t.Errorf("%s, %s, a %s: %s", c.bus, at[i].Address, c.model, wrong)
		}
		found = append(found, at[i])
	}
	if n := len(doc.Buses[0].Addresses) + len(doc.Buses[1].Addresses); n != len(thirtyChips) {
		t.Errorf("%d addresses answer", n)
	}
	offersAll(t, doc, found)
}

func names(list []scan.Find) []string {
	var all []string
	for _, f := range list {
		all = append(all, f.What)
	}
	return all
}

// finding says what is wrong with what was found out about a chip, and with
// what it gets for that.
func (c mounted) finding(t *testing.T, a scan.Address, gets string) string {
	t.Helper()
	got := names(a.Could)
	if c.is != "" {
		if !a.Identified || strings.Join(got, "|") != c.is {
			return fmt.Sprintf("identified %v, as %q, want %s", a.Identified, got, c.is)
		}
		return ""
	}
	for _, name := range strings.Fields(c.could) {
		if !slices.Contains(got, name) {
			return fmt.Sprintf("%s isn't among the candidates, %q", name, got)
		}
	}
	for _, f := range a.Could {
		if name := driverOf(f); sensortest.Driver(t, name).Identity != nil {
			return fmt.Sprintf("%s is a candidate, whose driver could have asked", name)
		}
	}
	if a.Identified || gets != c.gets {
		return fmt.Sprintf("identified %v, and was written %q, want %q", a.Identified, gets, c.gets)
	}
	return ""
}

// driverOf is the driver of the find's flag, --sensor=NAME=DRIVER,….
func driverOf(f scan.Find) string {
	words := strings.FieldsFunc(f.Flag, func(r rune) bool { return r == '=' || r == ',' })
	return words[2]
}

// offersAll compares the configuration of a scan with its findings: it is valid,
// a chip of which the driver is known is a sensor, and each other candidate is a
// comment, which is a valid sensor without its mark.
func offersAll(t *testing.T, doc *scan.Document, found []scan.Address) {
	t.Helper()
	var text strings.Builder
	if err := doc.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	load := func(text string) *config.Config {
		t.Helper()
		cfg, err := config.Load(config.Source{File: "found.yml", Data: []byte(text)})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := cfg.WriteWiring(io.Discard); err != nil || len(cfg.Warnings) > 0 {
			t.Errorf("%v, %v", err, cfg.Warnings)
		}
		return cfg
	}
	onBuses := 0
	for _, s := range load(text.String()).Sensors {
		if _, ok := s.Options.Claim(sensors.I2CWire); ok {
			onBuses++
		}
	}
	for _, a := range found {
		oneDriver := !slices.ContainsFunc(a.Could, func(f scan.Find) bool { return driverOf(f) != driverOf(a.Could[0]) })
		for i, f := range a.Could {
			entry := yamlOf(f)
			mark := "# "
			if i == 0 && (a.Identified && oneDriver || len(a.Could) == 1) {
				mark = ""
				onBuses--
			}
			if !strings.Contains(text.String(), "\n  "+mark+"- "+entry) {
				t.Errorf("no %s- %s in\n%s", mark, entry, text.String())
			}
			load("sensors:\n  - " + entry)
		}
	}
	if onBuses != 0 {
		t.Errorf("%d sensors too many in\n%s", onBuses, text.String())
	}
}

// yamlOf is the find's entry of a configuration.
func yamlOf(f scan.Find) string {
	words := strings.Split(strings.TrimPrefix(f.Flag, "--sensor="), ",")
	name, driver, _ := strings.Cut(words[0], "=")
	entry := "{name: " + name + ", driver: " + driver
	for _, w := range words[1:] {
		entry += ", " + strings.Replace(w, "=", ": ", 1)
	}
	return entry + "}\n"
}
