package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/cmd/dormouse/internal/selftest"
	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

var selftestCommand = &command{
	name:    "selftest",
	summary: "Print a report about this machine, its wires and the daemon's wake-ups, to paste into a bug report.",
	details: `It takes a minute, and is safe with whatever is wired: it requests no line, and asks chips only what a scan does. With --sensor or --config.file these sensors are read twice; programs aren't run. Names, serial numbers, network addresses and home directories are left out. The exit status is 1 if something failed.`,
	examples: `
dormouse selftest
dormouse selftest --config.file=/etc/dormouse/dormouse.yml`,
	define: defineSelftest,
}

func defineSelftest(c *kingpin.CmdClause) action {
	s := &settings{}
	s.wiringFlags(c)
	s.logLevelFlags(c, "error")
	s.pidFileFlag(c, service.DefaultPIDFile())
	asleep := cli.Duration(c.Flag("asleep", "How long wake-ups are counted while nothing is done.").Default("1m"))
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		fmt.Fprintf(stderr, "This takes %s.\n", duration.Format(*asleep+5*time.Second))
		report, err := s.selftest(*asleep)
		if err != nil {
			return err
		}
		if err = report.WriteText(stdout); err == nil && report.Wrong {
			err = silent{exitFailed}
		}
		return err
	}
}

func (s *settings) selftest(asleep time.Duration) (*selftest.Report, error) {
	scanned := *s
	scanned.Rails = nil // no supply is switched for the scan
	found, err := scanned.scan(nil, true)
	if err != nil {
		return nil, err
	}
	ctx, stop := untilSignal()
	defer stop()
	clock, err := alarm.New()
	if err != nil {
		return nil, err
	}
	defer clock.Close()
	o := selftest.Options{Version: version.Info(), Clock: clock, Scan: found, Asleep: asleep}
	if err := s.selftestRead(ctx, clock, &o); err != nil {
		return nil, err
	}
	report, err := selftest.Run(ctx, o)
	if err != nil {
		return nil, interrupted(ctx, "the self-test")
	}
	return report, nil
}

// selftestRead says how the configured sensors are read, or why not.
func (s *settings) selftestRead(ctx context.Context, clock *alarm.Clock, o *selftest.Options) error {
	if len(s.Sensors) == 0 && s.ConfigFile == "" {
		o.NotRead = "no sensor was given: --config.file or --sensor"
		return nil
	}
	cfg, err := s.Load()
	if err != nil {
		return err
	}
	if s.board != "sim" {
		pidFiles := []string{s.pidFile, service.SystemPIDFile}
		if reads, err := service.DaemonSensors(ctx, clock, pidFiles); err != nil || len(reads) > 0 {
			o.NotRead = "a daemon runs, and the wires are its: stop it first"
			return nil
		}
	}
	var names []string
	for _, sensor := range cfg.Sensors {
		if !sensor.Driver.Uses(sensors.ProgramWire) {
			names = append(names, sensor.Name)
		}
	}
	if len(names) == 0 {
		o.NotRead = "only programs are configured, and none is run"
		return nil
	}
	o.Read = func(ctx context.Context) (*sensors.Snapshot, error) {
		snapshot, clock, err := s.oneWake(ctx, cfg, names)
		if err != nil {
			return nil, err
		}
		return snapshot, clock.Close()
	}
	return nil
}
