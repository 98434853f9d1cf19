package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"example.org/dormouse/sensors"
)

// w1Temperature has the range of all chips of the family but the DS28EA00,
// which begins at -40: DS18B20 data sheet, "Absolute maximum ratings".
var w1Temperature = sensors.Temperature.Within(-55, 125)

// w1Conversion is the longest, of 12 bits: DS18B20 data sheet, table 2.
const w1Conversion = 750 * time.Millisecond

const w1Devices = "/sys/bus/w1/devices"

// w1Address is a chip of a family that w1_therm drives, as sysfs writes it.
var w1Address = regexp.MustCompile(`^(10|22|28|3b|42)-[0-9a-f]{12}$`)

func init() {
	sensors.Register(&sensors.Driver{
		Name: "w1", Reasons: []sensors.Reason{sensors.Checksum, sensors.NotReady, sensors.Identity},
		Summary:   "1-Wire thermometers DS18B20, DS18S20, DS1822, DS1825, DS28EA00 by the kernel; ±0.5 °C from -10 to 85 °C",
		Datasheet: "Maxim DS18B20 data sheet 19-7487; Linux, Documentation/w1/slaves/w1_therm.rst",
		Wiring: "dtoverlay=w1-gpio in config.txt (data on GPIO4, pin 7, unless gpiopin= sets another), 4.7 kΩ from data to 3.3 V. " +
			"Bulk conversion needs therm_bulk_read to be writable: by root, or by a udev rule",
		Timing: "one conversion of 750 ms for all sensors of a bus; where therm_bulk_read can't be written one for each, " +
			"side by side, or one after another on parasite power",
		Aliases: map[string]string{"dallas": "", "ds18b20": "", "ds18s20": "", "ds1822": "", "ds1825": "", "ds28ea00": "", "max31820": ""},
		Options: []sensors.Option{
			{Name: "id", Type: sensors.TextOption, Help: "the chip: 28-0316a2793aff, a directory of " + w1Devices + "; needed where there are several"},
			{Name: "master", Type: sensors.IntegerOption, Range: &sensors.Range{Min: 1, Max: 1000}, Help: "the 1-Wire bus: 1 is w1_bus_master1; by default all are searched"},
		},
		Measures: []*sensors.Quantity{w1Temperature},
		Notes: []string{
			"an absent chip, or a wrong checksum, makes the kernel's file empty, without an error (seen with the adapter ds2490): that is a failed read. The kernel removes an absent chip only after ten searches (drivers/w1/w1.c, slave_ttl)",
			"85 °C may be the value after power-up and 0 °C a shorted wire, whose nine zeros have a good checksum: both are checked in the chip's memory. 85.000 °C is accepted only where byte 6 shows that it was converted, 0x10: of a DS18S20, whose byte 6 is a part of the temperature, and of chips that keep another value there (DS28EA00, copies of the DS18B20), a true 85.000 °C is refused as well",
			"a conversion that is lost without a reset (a dip of the supply, too little current on parasite power) leaves the previous temperature in the chip's memory, with a good checksum: it can't be distinguished from a new one",
			"a bulk result that was not fetched is returned later as if it were new: it is fetched and discarded when the sensor is created",
		},
		Check: func(o *sensors.Options) error {
			if id := o.Text("id"); id != "" && !w1Address.MatchString(strings.ToLower(id)) {
				return &sensors.OptionError{Key: "id", Err: fmt.Errorf("%q is not a chip of this kind: write its id as in 28-0316a2793aff; it begins with 10, 22, 28, 3b or 42", id)}
			}
			return nil
		},
		New: newW1,
	})
}

// w1 is one chip on a bus.
type w1 struct {
	env    sensors.Env
	master string // the bus's directory
	dir    string // the chip's
}

func newW1(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	chips, err := w1Chips(e)
	if err != nil {
		return nil, err
	}
	want := strings.ToLower(e.Options().Text("id"))
	i := slices.IndexFunc(chips, func(dir string) bool { return path.Base(dir) == want })
	switch {
	case want != "" && i < 0:
		return nil, w1Missing(want, chips)
	case want == "" && len(chips) == 0:
		return nil, w1Missing("", nil)
	case want == "" && len(chips) > 1:
		return nil, sensors.Errorf(sensors.NoAnswer, "there are %d thermometers: choose one with id (%s)", len(chips), w1Names(chips))
	case want == "":
		i = 0
	}
	s := &w1{env: e, master: path.Dir(chips[i]), dir: chips[i]}
	if err := s.forget(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// w1Chips lists the chips' directories.
func w1Chips(e sensors.Env) ([]string, error) {
	bus := "w1_bus_master*"
	if n := e.Options().Integer("master"); n > 0 {
		bus = fmt.Sprintf("w1_bus_master%d", n)
	}
	buses, err := e.Files().Glob(w1Devices + "/" + bus)
	if err != nil {
		return nil, fmt.Errorf("look for 1-Wire buses: %w", err)
	}
	if len(buses) == 0 {
		return nil, sensors.Errorf(sensors.NoAnswer, "there is no 1-Wire bus %s/%s: put dtoverlay=w1-gpio into config.txt and restart, or load the module of your adapter", w1Devices, bus)
	}
	slaves, err := e.Files().Glob(w1Devices + "/" + bus + "/*-*")
	if err != nil {
		return nil, fmt.Errorf("look for 1-Wire chips: %w", err)
	}
	return slices.DeleteFunc(slaves, func(dir string) bool { return !w1Address.MatchString(path.Base(dir)) }), nil
}

func w1Names(chips []string) string {
	names := make([]string, len(chips))
	for i, dir := range chips {
		names[i] = path.Base(dir)
	}
	return strings.Join(names, ", ")
}

// w1Missing says what is there instead. The kernel searches its buses every
// few seconds (module wire, parameter timeout) and drops a chip after it was
// missed some times.
func w1Missing(id string, chips []string) error {
	what := "no thermometer answers on the 1-Wire bus"
	if id != "" {
		what = id + " isn't on the 1-Wire bus"
	}
	if len(chips) == 0 {
		return sensors.Errorf(sensors.NoAnswer, "%s, and no other is: check the wiring and the pull-up of 4.7 kΩ", what)
	}
	return sensors.Errorf(sensors.NoAnswer, "%s: there is %s", what, w1Names(chips))
}

// forget fetches what a bulk conversion may have left behind for this chip:
// the kernel would give it out as the next reading, however old it is. That is
// so where an earlier read was cut short, after which the sensor is built
// anew. Where it was another chip's result this costs a conversion.
func (s *w1) forget(ctx context.Context) error {
	state, err := readText(ctx, s.env.Files(), s.master+"/therm_bulk_read")
	if err == nil && state == "1" {
		_, err = s.env.Files().ReadFile(ctx, s.dir+"/temperature")
	}
	if err != nil && ctx.Err() != nil {
		return err
	}
	// Without the file there are no bulk conversions (Linux before 5.10), and
	// a chip that fails now fails in Sense, which says so.
	return nil
}

func (s *w1) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.env.Once("w1 "+s.master, s.convertAll); err != nil {
		return err
	}
	v, err := s.read(ctx)
	if err != nil {
		return err
	}
	r.Set(w1Temperature, float64(v)/1000)
	return nil
}

// oneByOne remembers the buses of which it was said that they can't convert
// all at once: the sensors are built again too often to remember it.
var oneByOne sync.Map

// convertAll has all chips of the bus convert at the same time. The kernel
// then gives each one's result at the next read of its file; of a chip that it
// didn't make convert, that read does. So only the end of ctx is an error.
func (s *w1) convertAll(ctx context.Context) error {
	file := s.master + "/therm_bulk_read"
	began := s.env.Now()
	// The newline belongs to the word: without it, as after any other error,
	// the kernel does nothing and reports success (w1_therm.c,
	// therm_bulk_read_store).
	if err := s.env.Files().WriteFile(ctx, file, []byte("trigger\n")); err != nil {
		if ctx.Err() != nil {
			return err
		}
		if _, said := oneByOne.LoadOrStore(s.master, true); !said {
			s.env.Log().Info("the thermometers of this 1-Wire bus convert each on its own, which takes longer: therm_bulk_read can't be written; a udev rule helps", "bus", path.Base(s.master), "err", err)
		}
		return nil
	}
	// The write lasts as long as the conversion, unless a signal cuts it
	// short, which isn't reported either.
	if rest := w1Conversion - s.env.Now().Sub(began); rest > 0 {
		if err := s.env.Sleep(ctx, rest); err != nil {
			return err
		}
	}
	const more, step = time.Second, 50 * time.Millisecond
	err := s.env.Poll(ctx, more, step, func() (bool, error) {
		state, err := readText(ctx, s.env.Files(), file)
		return state != "-1", err
	})
	if err != nil && ctx.Err() != nil {
		return err
	}
	return nil // a conversion that still goes on gives empty files
}

// read returns the temperature in m°C.
func (s *w1) read(ctx context.Context) (int, error) {
	file := s.dir + "/temperature"
	text, err := readText(ctx, s.env.Files(), file)
	if errors.Is(err, fs.ErrNotExist) {
		return s.readScratchpad(ctx) // Linux before 5.10, or a chip that is gone
	}
	if err != nil {
		return 0, err
	}
	if text == "" {
		return 0, w1Empty(file)
	}
	v, err := milli(file, text)
	if err != nil {
		return 0, err
	}
	if v == powerOn || v == 0 {
		return s.readScratchpad(ctx)
	}
	return v, nil
}
