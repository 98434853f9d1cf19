package main

import (
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
)

var restartCommand = &command{
	name:    "restart",
	summary: "Stop the daemon if it runs, then start it as `start` does.",
	details: `A daemon whose configuration is invalid is left running.`,
	define: func(c *kingpin.CmdClause) action {
		timeout := timeoutFlag(c)
		s := &settings{}
		s.wiringFlags(c)
		s.logLevelFlags(c, "info")
		s.daemonFlags(c, defaultAddress, "syslog", service.DefaultPIDFile())
		return func(stdout, stderr io.Writer) error {
			d := daemon.New("dormouse")
			if _, arrived := daemon.Handover(); !arrived {
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
				if _, _, err := s.chooseLog(d); err != nil {
					return err
				}
				ctx, cancel := within(*timeout)
				defer cancel()
				if err := stop(ctx, s.pidFile, stdout); err != nil {
					return err
				}
			}
			return s.daemon(d, stdout)
		}
	},
}
