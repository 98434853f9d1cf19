package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/pinout"
)

var checkCommand = &command{
	name:    "check",
	summary: "Report every mistake of the configuration at once, with file, line and key, and list the wiring.",
	details: `--hardware also reads each sensor once and reports what doesn't answer, and why. Programs aren't run: check finds out whether the daemon's user could start them. What prevents that is a warning, and with --hardware a failure.`,
	examples: `
dormouse check --config.file=dormouse.yml
dormouse check --sensor greenhouse=bme280,addr=0x76 --hardware`,
	define: defineCheck,
}

func defineCheck(c *kingpin.CmdClause) action {
	s := &settings{}
	s.wiringFlags(c)
	s.logLevelFlags(c, "error") // the report has the failures
	s.daemonFlags(c, defaultAddress, "syslog", service.DefaultPIDFile())
	hardware := c.Flag("hardware", "Also read each sensor once, and report what doesn't answer.").Bool()
	return func(stdout, stderr io.Writer) error {
		if err := s.fromHere(); err != nil {
			return err
		}
		usageErr := s.validate()
		cfg, err := s.Check()
		if err := errors.Join(usageErr, err); err != nil {
			return err
		}
		if err := cfg.WriteWiring(stdout); err != nil {
			return err
		}
		in, err := s.Read()
		if err != nil {
			return err
		}
		d := daemon.New("dormouse")
		s.describe(d)
		warnings := s.warnings(d, in)
		for _, w := range cfg.Warnings {
			warnings = append(warnings, w.Error())
		}
		lines, err := s.lineWarnings(cfg)
		if err != nil {
			return err
		}
		programs, err := service.VerifyPrograms(d, cfg)
		if err != nil {
			return namingFlag(err)
		}
		if !*hardware { // whose report has them
			for _, sensor := range cfg.Sensors {
				warnings = append(warnings, programs[sensor.Name]...)
			}
		}
		for _, w := range append(warnings, lines...) {
			if _, err := fmt.Fprintln(stderr, "warning:", w); err != nil {
				return err
			}
		}
		if !*hardware {
			return nil
		}
		ctx, stop := untilSignal()
		defer stop()
		return s.checkHardware(ctx, stdout, cfg, programs)
	}
}

// lineWarnings are about lines that peripherals of this machine have.
func (s *settings) lineWarnings(cfg *config.Config) ([]string, error) {
	inspector, clock, err := s.inspector()
	if err != nil {
		return nil, err
	}
	defer clock.Close()
	if inspector == nil {
		return nil, nil
	}
	return pinout.PeripheralWarnings(inspector, cfg), nil
}

// checkHardware reads everything once and reports what fails, and of programs, by
// sensor, what would keep them from being started.
func (s *settings) checkHardware(ctx context.Context, stdout io.Writer, cfg *config.Config, programs map[string][]string) error {
	names, failed, err := service.ReportPrograms(stdout, cfg, programs)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		snapshot, clock, err := s.oneWake(ctx, cfg, names)
		if err != nil {
			return err
		}
		defer clock.Close()
		down, err := service.ReportHardware(ctx, stdout, cfg, snapshot, openBoard(s.board, clock), clock)
		if err != nil {
			return err
		}
		failed += down
	}
	if failed > 0 {
		return silent{exitFailed}
	}
	return nil
}
