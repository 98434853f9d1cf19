package main

import (
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon"
)

var runCommand = &command{
	name:    "run",
	summary: "Run in the foreground: under systemd, in a container, for debugging.",
	details: `The process never detaches, and writes no pidfile unless --pid-file is given.`,
	examples: `
dormouse run --sensor greenhouse=bme280,bus=1,addr=0x76
dormouse run --config.file=dormouse.yml --log.level=debug
dormouse run --sensor door=switch,pin=GPIO27 --no-web --textfile=door.prom`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.wiringFlags(c)
		s.logLevelFlags(c, "info")
		s.daemonFlags(c, defaultAddress, "stderr", "")
		return func(stdout, stderr io.Writer) error {
			d := daemon.New("dormouse")
			d.DetachProcess = daemon.DetachNever
			return s.daemon(d, stdout)
		}
	},
}
