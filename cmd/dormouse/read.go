package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/logging"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/runs"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

var readCommand = &command{
	name:    "read",
	summary: "Read the sensors once, now, and print their readings.",
	details: `Where a daemon has the same sensors it is asked for fresh readings. The exit status is 1 if any failed.`,
	examples: `
dormouse read --sensor greenhouse=bme280,addr=0x76
dormouse read --config.file=dormouse.yml greenhouse --format=json
dormouse read --config.file=dormouse.yml --plan`,
	define: defineRead,
}

func defineRead(c *kingpin.CmdClause) action {
	s := &settings{}
	s.wiringFlags(c)
	s.logLevelFlags(c, "error") // what fails is told by the table
	s.pidFileFlag(c, defaultPIDFile())
	s.logOutput = "stderr"
	format := c.Flag("format", "How to print the readings: a table with units, the JSON of /readings.json, or Prometheus' text format.").
		Default("table").Enum("table", "json", "prometheus")
	c.Flag("textfile", "Write a file for node_exporter's textfile collector instead of printing.").PlaceHolder("FILE").StringVar(&s.textfile)
	plan := c.Flag("plan", "Print the next wakes instead: when, and which sensors are read.").Bool()
	names := c.Arg("name", "Only these sensors.").Strings()
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if *plan {
			return s.printPlan(stdout)
		}
		return s.read(ctx, stdout, stderr, *format, *names)
	}
}

func (s *settings) read(ctx context.Context, stdout, stderr io.Writer, format string, names []string) error {
	unconfigured := s.ConfigFile == "" && len(s.Sensors) == 0
	if format != "prometheus" && s.textfile == "" {
		readings, err := s.askFor(ctx, names, unconfigured)
		switch {
		case err == nil:
			return printReadings(stdout, readings, format)
		case !errors.Is(err, control.ErrNoDaemon):
			return err
		case unconfigured:
			return usageError{errors.New("no sensor is configured and no daemon runs: give --sensor or --config.file, or start the daemon")}
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
		if s.stateDirectory != "" {
			if err := runs.Add(s.stateDirectory, snapshot, clock); err != nil {
				fmt.Fprintln(stderr, "dormouse:", err) // the readings count more
			}
		}
		err = exporter.WriteTextfile(s.textfile, snapshot, options)
	case format == "prometheus":
		err = exporter.Text(stdout, snapshot, options)
	default:
		return printReadings(stdout, exporter.JSON(snapshot, clock), format)
	}
	if err != nil {
		return err
	}
	for _, result := range snapshot.Results {
		if result.Tried && !result.Up {
			return silent{exitFailed}
		}
	}
	return nil
}

// askFor asks a running daemon for fresh readings: of all its sensors where
// nothing else was configured here, else of ours, if it has them all with the
// same wiring.
func (s *settings) askFor(ctx context.Context, names []string, unconfigured bool) (*exporter.Readings, error) {
	theirs, err := control.Readings(ctx, s.pidFile)
	if errors.Is(err, control.ErrNotYet) {
		theirs, err = control.Read(ctx, s.pidFile, nil) // waits for the first wake
	}
	if err != nil {
		return nil, err
	}
	if !unconfigured {
		cfg, err := s.Load()
		if err != nil {
			return nil, err
		}
		for _, ours := range cfg.Sensors {
			same := func(t exporter.SensorJSON) bool {
				return t.Name == ours.Name && t.Driver == ours.Driver.Name && t.Wiring == ours.Wiring()
			}
			if !slices.ContainsFunc(theirs.Sensors, same) {
				return nil, fmt.Errorf("%w that has sensor %s as it is configured here", control.ErrNoDaemon, ours.Name)
			}
		}
		if len(names) == 0 {
			for _, ours := range cfg.Sensors {
				names = append(names, ours.Name)
			}
		}
	}
	return control.Read(ctx, s.pidFile, names)
}

func printReadings(w io.Writer, readings *exporter.Readings, format string) error {
	var err error
	if format == "json" {
		err = exporter.WriteReadings(w, readings)
	} else {
		err = exporter.ReadingsTable(w, readings)
	}
	if err != nil {
		return err
	}
	for _, sensor := range readings.Sensors {
		if sensor.Up != nil && !*sensor.Up {
			return silent{exitFailed}
		}
	}
	return nil
}

// oneWake reads without becoming a daemon. Closing the clock is the caller's.
func (s *settings) oneWake(ctx context.Context, cfg *config.Config, names []string) (*sensors.Snapshot, *alarm.Clock, error) {
	log, err := s.openLog(logging.Stderr)
	if err != nil {
		return nil, nil, err
	}
	clock, err := alarm.New()
	if err != nil {
		return nil, nil, err
	}
	b := openBoard(s.board, clock)
	poller, err := poll.New(poll.Options{Config: cfg, Board: b, Clock: clock, Log: log.Logger, StateDirectory: s.stateDirectory, Start: daemon.StartChild, Wait: daemon.WaitChild})
	if err != nil {
		return nil, nil, errors.Join(err, clock.Close())
	}
	snapshot, err := poller.ReadNow(ctx, names...)
	err = errors.Join(err, poller.Close())
	if err != nil {
		return nil, nil, errors.Join(err, clock.Close())
	}
	return snapshot, clock, nil
}

// printPlan prints the next wakes of the configuration, as if it started now.
func (s *settings) printPlan(w io.Writer) error {
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	clock, err := alarm.New()
	if err != nil {
		return err
	}
	defer clock.Close()
	b := openBoard(s.board, clock)
	poller, err := poll.New(poll.Options{Config: cfg, Board: b, Clock: clock})
	if err != nil {
		return err
	}
	const shown, most = 20, 100_000 // a day of wakes each second
	now := clock.Now()
	plan := poller.Plan(now, most)
	day := 0
	for day < len(plan) && !plan[day].At.After(now.Add(24*time.Hour)) {
		day++
	}
	if _, err := fmt.Fprintf(w, "%d wakes in the next 24 hours; the next ones:\n", day); err != nil {
		return err
	}
	for _, wake := range plan[:min(shown, len(plan))] {
		when := "in " + sensors.FormatDuration(wake.At.Sub(now).Round(time.Second))
		if at, ok := clock.Wall(wake.At); ok {
			when = at.Format(time.DateTime)
		}
		if _, err := fmt.Fprintf(w, "%s  %v\n", when, wake.Sensors); err != nil {
			return err
		}
	}
	return nil
}
