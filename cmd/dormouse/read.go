package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/logging"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/runs"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/timetable"
)

var readCommand = &command{
	name:    "read",
	summary: "Read the sensors once, now, and print their readings.",
	details: `Without a name all sensors are read, and no task is run; with the name of a task or of another program also its exit status and what it printed are shown. Where a daemon has the same sensors it is asked for fresh readings. The exit status is 1 if one of them failed, or a channel of one.

--plan lists the next wakes instead, up to --until: when, and which sensors are read.`,
	examples: `
dormouse read --sensor greenhouse=bme280,addr=0x76
dormouse read --config.file=dormouse.yml greenhouse --format=json
dormouse read --config.file=dormouse.yml --plan --until=30d`,
	define: defineRead,
}

func defineRead(c *kingpin.CmdClause) action {
	s := &settings{}
	s.wiringFlags(c)
	s.logLevelFlags(c, "error") // the table reports failures
	s.pidFileFlag(c, service.DefaultPIDFile())
	format := c.Flag("format", "How to print the readings: a table with units, the JSON of /readings.json, or Prometheus' text format.").
		Default("table").Enum("table", "json", "prometheus")
	c.Flag("textfile", "Write a file for node_exporter's textfile collector instead of printing.").PlaceHolder("FILE").StringVar(&s.textfile)
	plan := c.Flag("plan", "Print the next wakes instead: when, and which sensors are read.").Bool()
	until := timetable.Horizon{}
	c.Flag("until", "How far --plan reaches: a duration such as 12h or 30d, or a date such as 2027-03-28. Default: 7d.").
		PlaceHolder("7d").Default("7d").SetValue(&until)
	names := c.Arg("name", "Only these sensors.").Strings()
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		ctx, stop := untilSignal()
		defer stop()
		if *plan {
			if len(*names) > 0 || *format != "table" || s.textfile != "" {
				return usageError{errors.New("--plan prints a table of all wakes: leave out the names, --format and --textfile")}
			}
			return s.printPlan(ctx, stdout, until)
		}
		return s.read(ctx, stdout, stderr, *format, *names)
	}
}

func (s *settings) read(ctx context.Context, stdout, stderr io.Writer, format string, names []string) error {
	if format != "prometheus" && s.textfile == "" {
		load := s.Load
		if s.unconfigured() {
			load = nil
		}
		readings, err := service.AskDaemon(ctx, s.pidFile, load, names)
		switch {
		case err == nil:
			var programs []control.Program
			if len(names) > 0 && format == "table" {
				if programs, err = control.Programs(ctx, s.pidFile, names...); err != nil {
					return err
				}
			}
			return printReadings(stdout, readings, programs, format)
		case !errors.Is(err, control.ErrNoDaemon):
			return err
		case s.unconfigured():
			return usageError{errors.New("no sensor is configured and no daemon runs: give --sensor or --config.file, or start the daemon" +
				service.Elsewhere(s.pidFile, service.SystemPIDFile))}
		}
	}
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	snapshot, clock, err := s.oneWake(ctx, cfg, names)
	if err != nil {
		return err
	}
	defer clock.Close()
	options := exporter.Options{Build: buildLabels(), Clock: clock}
	switch {
	case s.textfile != "":
		var kept error
		kept, err = runs.Write(ctx, s.stateDirectory, snapshot, clock, func() error { return exporter.WriteTextfile(s.textfile, snapshot, options) })
		if kept != nil {
			fmt.Fprintln(stderr, "dormouse:", kept) // the readings are valid all the same
		}
	case format == "prometheus":
		err = exporter.Text(stdout, snapshot, options)
	default:
		var programs []control.Program
		if len(names) > 0 {
			programs = control.ProgramsOf(snapshot, clock, names...)
		}
		return printReadings(stdout, exporter.JSON(snapshot, clock), programs, format)
	}
	if err != nil {
		return err
	}
	if service.ReportDown(stderr, snapshot) {
		return silent{exitFailed}
	}
	return nil
}

func (s *settings) unconfigured() bool {
	return s.ConfigFile == "" && len(s.Sensors) == 0 && len(s.Tasks) == 0
}

// printReadings prints the readings and, in the table for people, what the
// programs printed that were asked for by name.
func printReadings(w io.Writer, readings *exporter.Readings, programs []control.Program, format string) error {
	var err error
	if format == "json" {
		err = exporter.WriteReadings(w, readings)
	} else {
		err = exporter.ReadingsTable(w, readings)
		for _, p := range programs {
			err = errors.Join(err, p.WriteLast(w))
		}
	}
	if err != nil {
		return err
	}
	for _, sensor := range readings.Sensors {
		if sensor.Up != nil && !*sensor.Up || len(sensor.Failures) > 0 {
			return silent{exitFailed}
		}
	}
	return nil
}

// oneWake reads the named sensors, all without a name, without becoming a
// daemon. Closing the clock is the caller's.
func (s *settings) oneWake(ctx context.Context, cfg *config.Config, names []string) (*sensors.Snapshot, *alarm.Clock, error) {
	log, err := s.openLog(logging.Stderr)
	if err != nil {
		return nil, nil, err
	}
	clock, err := alarm.New()
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := service.ReadOnce(ctx, cfg, openBoard(s.board, clock), clock, log.Logger, names)
	if ctx.Err() != nil { // the log has what else failed
		err = interrupted(ctx, "the reading of the sensors")
	}
	if err != nil {
		return nil, nil, errors.Join(err, clock.Close())
	}
	return snapshot, clock, nil
}
