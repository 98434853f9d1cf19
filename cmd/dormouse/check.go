package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/pinout"
	"example.org/dormouse/sensors/scan"
)

var checkCommand = &command{
	name:    "check",
	summary: "Report every mistake of the configuration at once, with file, line and key, and list the wiring.",
	details: `--hardware also reads each sensor once and reports what doesn't answer, and why. Programs aren't run: it is looked whether the daemon's user could start them, and what keeps it from that is a warning, with --hardware a failure.`,
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
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		return s.checkHardware(ctx, stdout, cfg, programs)
	}
}

// lineWarnings are about lines that peripherals of this machine have.
func (s *settings) lineWarnings(cfg *config.Config) ([]string, error) {
	clock, err := alarm.New()
	if err != nil {
		return nil, err
	}
	defer clock.Close()
	inspector, ok := openBoard(s.board, clock).(board.Inspector)
	if !ok {
		return nil, nil
	}
	var warnings []string
	warn := func(subject string, where config.Origin, c sensors.Claim) {
		if what := pinout.Peripheral(inspector, c); what != "" {
			p := &config.Problem{Origin: where, Subject: subject, Key: c.Option, Err: errors.New(what)}
			warnings = append(warnings, p.Error())
		}
	}
	for _, r := range cfg.Rails {
		c := r.Claim()
		if !r.Implicit {
			c.Option = "line"
		}
		warn("rail "+r.Name, r.Origin, c)
	}
	for _, sensor := range cfg.Sensors {
		for _, c := range sensor.Options.Claims() {
			warn("sensor "+sensor.Name, sensor.Origin, c)
		}
	}
	return warnings, nil
}

// checkHardware reads everything once and reports what fails, and of programs, by
// sensor, what would keep them from being started.
func (s *settings) checkHardware(ctx context.Context, stdout io.Writer, cfg *config.Config, programs map[string][]string) error {
	var names []string
	failed := 0
	for _, sensor := range cfg.Sensors {
		if sensor.Driver.Programs != nil {
			for _, problem := range programs[sensor.Name] {
				failed++
				if _, err := fmt.Fprintln(stdout, problem); err != nil {
					return err
				}
			}
			// It may be a backup, or worse.
			if _, err := fmt.Fprintf(stdout, "%s is a program: not run; `dormouse read %s` does\n", sensor.Name, sensor.Name); err != nil {
				return err
			}
			continue
		}
		names = append(names, sensor.Name)
	}
	if len(names) == 0 {
		if failed > 0 {
			return silent{exitFailed}
		}
		return nil
	}
	snapshot, clock, err := s.oneWake(ctx, cfg, names)
	if err != nil {
		return err
	}
	defer clock.Close()
	b := openBoard(s.board, clock)
	for _, result := range snapshot.Results {
		text := "answers"
		if !result.Up {
			failed++
			text = fmt.Sprintf("is down: %v", result.Err)
		} else if chip := recognised(ctx, cfg, result.Name, b, clock); chip != "" {
			text += ": " + chip
		}
		if _, err := fmt.Fprintf(stdout, "%s %s\n", result.Name, text); err != nil {
			return err
		}
		for _, f := range result.Failures {
			failed++
			if _, err := fmt.Fprintf(stdout, "%s %v: %v\n", result.Name, f.Labels, f.Err); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return silent{exitFailed}
	}
	return nil
}

// recognised is what the chip of a sensor that answers says of itself; empty:
// nothing.
func recognised(ctx context.Context, cfg *config.Config, name string, b board.Board, clock *alarm.Clock) string {
	i := slices.IndexFunc(cfg.Sensors, func(s *config.Sensor) bool { return s.Name == name })
	found, err := scan.Identify(ctx, cfg.Sensors[i], cfg.Rails, b, clock)
	if err != nil || found == (sensors.Found{}) {
		return ""
	}
	return found.String()
}
