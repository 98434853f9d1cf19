package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/scan"
)

var scanCommand = &command{
	name:    "scan",
	summary: "Find out what is connected, and print --sensor flags to paste or a configuration.",
	details: `Chips on the I2C buses, 1-Wire thermometers, thermal zones, and which program holds each GPIO line.

Each address is tried as i2cdetect does it. If a chip answers, each driver for that address whose chips have an ID or a checksummed answer reads it; for that it writes a register's number or one command. Other chips are listed by their address. A few chips misinterpret such a byte: see docs/scan.md, or give --no-identify. Chips that the kernel or the running daemon uses are left alone.`,
	examples: `
dormouse scan
dormouse scan --format=yaml >found.yml
dormouse scan --bus=1 --rail=probes=GPIO17,settle=100ms`,
	define: defineScan,
}

func defineScan(c *kingpin.CmdClause) action {
	s := &settings{}
	s.boardFlag(c)
	only := c.Flag("bus", "Scan only this I2C bus. Repeatable; without it, all that there are.").PlaceHolder("N").Strings()
	s.railFlag(c, "A supply to be switched on during the scan, as for run: probes=GPIO17,settle=100ms. Repeatable.")
	identify := c.Flag("identify", "Probe what answers; --no-identify guesses by the address alone.").Default("true").Bool()
	s.pidFileFlag(c, service.DefaultPIDFile())
	format := c.Flag("format", "text for people, yaml for a configuration with what was found, json for programs.").Default("text").Enum("text", "yaml", "json")
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		found, err := s.scan(*only, *identify)
		if err != nil {
			return err
		}
		switch *format {
		case "json":
			err = printJSON(stdout, found)
		case "yaml":
			err = found.WriteYAML(stdout)
		default:
			err = found.WriteText(stdout)
		}
		if err == nil && len(found.Problems) > 0 {
			err = silent{exitFailed}
		}
		return err
	}
}

func (s *settings) scan(only []string, identify bool) (*scan.Document, error) {
	o := scan.Options{Identify: identify}
	for _, text := range only {
		bus, err := sensors.BusOpt().Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--bus: %w", err)}
		}
		if number := bus.(sensors.Bus); !slices.Contains(o.Buses, number) {
			o.Buses = append(o.Buses, number)
		}
	}
	cfg, err := config.Load(config.Source{SensorFlags: []string{"scan=thermal"}, RailFlags: s.Rails})
	if err != nil {
		return nil, usageError{err}
	}
	o.Rails = cfg.Supplies()
	// Whatever ends the scan, its rails go off.
	ctx, stop := untilSignal()
	defer stop()
	if o.Clock, err = alarm.New(); err != nil {
		return nil, err
	}
	defer o.Clock.Close()
	var ok bool
	if o.Board, ok = openBoard(s.board, o.Clock).(board.Inspector); !ok {
		return nil, errors.New("this board can't be inspected")
	}
	pidFiles := []string{s.pidFile}
	if s.board == "sim" { // its chips have power since now
		err = o.Clock.Sleep(ctx, scan.PowerUp)
	} else if s.pidFile != service.SystemPIDFile {
		pidFiles = append(pidFiles, service.SystemPIDFile)
	}
	if err == nil {
		o.DaemonSensors, o.DaemonError = service.DaemonSensors(ctx, o.Clock, pidFiles)
		found := scan.Run(ctx, o)
		if err = ctx.Err(); err == nil {
			return found, nil
		}
	}
	if ctx.Err() == nil {
		return nil, err
	}
	return nil, interrupted(ctx, "the scan")
}
