package main

import (
	"errors"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
)

var startCommand = &command{
	name:    "start",
	summary: "Detach, and return when the daemon is ready, with its address.",
	details: `If the daemon can't start, this command prints the error and has its exit status. A process that init, systemd or a superserver has already detached isn't detached again.`,
	examples: `
dormouse start --config.file=/etc/dormouse.yml --user=dormouse
dormouse start --config.file=dormouse.yml --explain`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.wiringFlags(c)
		s.logLevelFlags(c, "info")
		s.daemonFlags(c, defaultAddress, "syslog", service.DefaultPIDFile())
		explain := c.Flag("explain", "Print each step as it is taken: what is done, why, and the choice that was made.").Bool()
		return func(stdout, stderr io.Writer) error {
			d := daemon.New("dormouse")
			if *explain {
				if daemon.Detect() == daemon.Superserver {
					return usageError{errors.New("--explain: standard output is the superserver's socket: leave the flag out")}
				}
				d.Explain = stdout
			}
			return s.daemon(d, stdout)
		}
	},
}
