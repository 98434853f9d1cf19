package main

import (
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
)

var restartCommand = &command{
	name:    "restart",
	summary: "Stop the daemon if it runs, then start it as `start` does.",
	details: `The configuration and the flags are checked first: if one is invalid, the running daemon is not stopped.`,
	define: func(c *kingpin.CmdClause) action {
		limit := endTimeoutFlag(c)
		s := &settings{}
		s.wiringFlags(c)
		s.logLevelFlags(c, "info")
		s.daemonFlags(c, defaultAddress, "syslog", service.DefaultPIDFile())
		return func(stdout, stderr io.Writer) error {
			d := daemon.New("dormouse")
			if _, arrived := daemon.Handover(); !arrived {
				if err := s.checkStart(d); err != nil {
					return err
				}
				ctx, cancel := within(limit(s.pidFile))
				defer cancel()
				if err := stop(ctx, s.pidFile, stdout); err != nil {
					return err
				}
			}
			return s.daemon(d, stdout)
		}
	},
}

// checkStart finds what would keep the daemon from being started in the place of
// the one that runs.
func (s *settings) checkStart(d *daemon.Context) error {
	if err := s.fromHere(); err != nil {
		return err
	}
	if err := s.validate(); err != nil {
		return err
	}
	in, err := s.Read()
	if err != nil {
		return err
	}
	if _, err := s.Parse(in); err != nil {
		return err
	}
	s.describe(d)
	if err := d.Check(); err != nil {
		return namingFlag(err)
	}
	output, _, err := s.chooseLog(d)
	if err != nil {
		return err
	}
	if isFile(output) {
		if err := d.CheckLog(output); err != nil {
			return namingFlag(err)
		}
	}
	if s.wakeSuspended {
		clock, err := service.OpenClock(s.wakeSuspended)
		if err != nil {
			return err
		}
		clock.Close()
	}
	if !s.serve {
		return nil
	}
	ctx, cancel := within(10 * time.Second)
	defer cancel()
	return service.CheckListen(ctx, s.pidFile, s.addresses, s.systemdSocket, s.user)
}
