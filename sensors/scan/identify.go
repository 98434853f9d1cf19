package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// probeTime is the time limit of a probe. Tests have more of it.
var probeTime = 2 * time.Second

// Identify recognises the chip of a configured sensor by its driver's Probe,
// which changes nothing in it. The rails are those of the configuration. Found is
// empty where the driver has no Identification.
func Identify(ctx context.Context, s *config.Sensor, rails []*config.Rail, b board.Board, c *alarm.Clock) (sensors.Found, error) {
	if s.Driver.Identity == nil {
		return sensors.Found{}, nil
	}
	var found sensors.Found
	only, driver := *s, *s.Driver
	driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
		var err error
		found, err = driver.Identity.Probe(ctx, e)
		return recognised{}, err
	}
	only.Driver, only.Timeout, only.Retries = &driver, probeTime, 0
	poller, err := poll.New(poll.Options{Config: &config.Config{Sensors: []*config.Sensor{&only}, Rails: rails},
		Board: b, Clock: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return found, err
	}
	snapshot, err := poller.ReadNow(ctx)
	if err = errors.Join(err, poller.Close()); err == nil {
		err = snapshot.Results[0].Err
	}
	if errors.Is(err, errRecognised) {
		return found, nil
	}
	return sensors.Found{}, err
}

// candidates lists the chips that can be at the address, one for each model of
// each driver. With identify, each driver with an Identification probes the
// address; once one has recognised the chip, probes that write a command are left
// out, and so are the chips of drivers without an Identification, which never
// probe. The error is that of a bus that fails.
func (s *scanner) candidates(ctx context.Context, number sensors.Bus, addr uint16, identify bool) (Address, error) {
	a := Address{Could: []Find{}, Refused: []string{}}
	var unprobed []Find
	for _, d := range inProbeOrder() {
		models := s.modelsAt(d, number, addr)
		switch {
		case len(models) == 0 || identify && d.Identity != nil && d.Identity.Command && a.Identified:
			continue
		case !identify || d.Identity == nil:
			for _, m := range models {
				unprobed = append(unprobed, m.find)
			}
			continue
		}
		found, err := Identify(ctx, models[0].config.Sensors[0], nil, s.Board, s.Clock)
		switch {
		case err == nil:
			a.Identified = true
			a.Could = append(a.Could, matching(models, found)...)
		case !slices.Contains(refusals, sensors.ReasonOf(err)):
			return a, fmt.Errorf("%s: %w", d.Name, err)
		default:
			a.Refused = append(a.Refused, fmt.Sprintf("%s: %v", d.Name, err))
			a.mayBeStuck = a.mayBeStuck || errors.Is(err, sensors.ErrStuck)
		}
	}
	if !a.Identified {
		a.Could = append(a.Could, unprobed...)
	}
	return a, nil
}

// matching lists the models that the recognised chip can be: the one that the probe
// has named, or all of them where it can't distinguish them.
func matching(models []modelAt, found sensors.Found) []Find {
	named := slices.IndexFunc(models, func(m modelAt) bool { return strings.EqualFold(m.find.What, found.Model) })
	if named >= 0 {
		models = models[named : named+1]
	}
	var list []Find
	for _, m := range models {
		if named < 0 && found.Model != "" {
			m.find.What = found.Model // no model of the option, as a BMP280
		}
		m.find.Serial = found.Serial
		list = append(list, m.find)
	}
	return list
}

// inProbeOrder lists the drivers: first those whose probe writes no command, last
// those whose command is long; by name where that is equal.
func inProbeOrder() []*sensors.Driver {
	drivers := slices.Clone(sensors.Drivers())
	slices.SortStableFunc(drivers, func(a, b *sensors.Driver) int {
		command := func(d *sensors.Driver) int {
			switch {
			case d.Identity == nil || !d.Identity.Command:
				return 0
			case d.Identity.Long:
				return 2
			}
			return 1
		}
		return command(a) - command(b)
	})
	return drivers
}

// A modelAt is one model of a driver's family as a sensor at an address.
type modelAt struct {
	find   Find
	config *config.Config
}

// modelsAt are the models of a driver that can be at the address.
func (s *scanner) modelsAt(d *sensors.Driver, number sensors.Bus, addr uint16) []modelAt {
	models, ok := models(d)
	if !ok {
		return nil
	}
	name := fmt.Sprintf("%s-%02x", d.Name, addr)
	if number != 1 {
		name = fmt.Sprintf("%s-%d-%02x", d.Name, int(number), addr)
	}
	var list []modelAt
	for _, model := range models {
		what, flag := d.Name, fmt.Sprintf("%s=%s,bus=%d,addr=%s", name, d.Name, int(number), sensors.Address(addr))
		if model != "" {
			what, flag = model, flag+",model="+model
			if _, ok := sensors.DriverByName(model); !ok { // not a chip's name
				what = d.Name + " " + model
			}
		}
		cfg, err := config.Load(config.Source{SensorFlags: []string{flag}})
		if err != nil {
			continue // it can't be at this address
		}
		list = append(list, modelAt{Find{What: what, Flag: "--sensor=" + flag}, cfg})
	}
	return list
}

// refusals are the reasons with which a driver refuses a chip of another kind.
// Any other error says nothing of the chip.
var refusals = []sensors.Reason{sensors.Identity, sensors.Checksum, sensors.NoAnswer, sensors.NotReady, sensors.OutOfRange}

// models are the values of a driver's option model, one empty string where it has
// none; ok tells whether its chip has an I2C address.
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

// errRecognised ends a probe that has recognised its chip.
var errRecognised = errors.New("the chip is recognised")

type recognised struct{}

func (recognised) Sense(context.Context, *sensors.Report) error { return errRecognised }
