package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"periph.io/x/conn/v3/i2c"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// probeTime is the time limit of a probe.
const probeTime = 2 * time.Second

// candidates are the drivers' chips that can be at the address, one for each
// model, and where they are identified those that the drivers accept. The error
// is that of a bus that fails.
func (s *scanner) candidates(ctx context.Context, number sensors.Bus, addr uint16, identify bool) (Address, error) {
	a := Address{Identified: identify, Could: []Find{}, Refused: []string{}}
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
			cfg, err := config.Load(config.Source{SensorFlags: []string{flag}})
			if err != nil {
				continue // it can't be at this address
			}
			if identify {
				err = s.probe(ctx, cfg)
			}
			text := fmt.Sprintf("%s: %v", d.Name, err)
			switch {
			case err == nil:
				a.Could = append(a.Could, Find{what, "--sensor=" + flag})
			case !slices.Contains(refusals, sensors.ReasonOf(err)):
				return a, fmt.Errorf("%s: %w", d.Name, err)
			case !slices.Contains(a.Refused, text):
				a.Refused = append(a.Refused, text)
			}
		}
	}
	return a, nil
}

// refusals are the reasons with which a driver refuses a chip of another kind.
// Any other error says nothing of the chip.
var refusals = []sensors.Reason{sensors.Identity, sensors.Checksum, sensors.NoAnswer, sensors.NotReady, sensors.OutOfRange}

// models are the members of a chip's family, one empty string where the driver
// knows one only; ok tells whether it is a chip with an I2C address.
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
// does to a chip of its own only.
var errRecognised = errors.New("the chip is recognised")

type recognised struct{}

func (recognised) Sense(context.Context, *sensors.Report) error { return errRecognised }

// probe has the sensor's driver check the chip's identity, without a
// measurement.
func (s *scanner) probe(ctx context.Context, cfg *config.Config) error {
	only, driver := *cfg.Sensors[0], *cfg.Sensors[0].Driver
	build := driver.New
	driver.New = func(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
		_, err := build(ctx, e)
		return recognised{}, err
	}
	only.Driver, only.Timeout, only.Retries = &driver, probeTime, 0
	poller, err := poll.New(poll.Options{Config: &config.Config{Sensors: []*config.Sensor{&only}},
		Board: probeBoard{s.Board}, Clock: s.Clock, Log: slog.New(slog.DiscardHandler)})
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

// probeBoard writes no more than one byte to a chip.
type probeBoard struct{ board.Board }

func (b probeBoard) OpenBus(number sensors.Bus) (i2c.BusCloser, error) {
	bus, err := b.Board.OpenBus(number)
	if err != nil {
		return nil, err
	}
	return probeBus{bus}, nil
}

type probeBus struct{ i2c.BusCloser }

func (b probeBus) Tx(addr uint16, w, r []byte) error {
	if len(w) > 1 {
		return errRecognised
	}
	return b.BusCloser.Tx(addr, w, r)
}
