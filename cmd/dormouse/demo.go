package main

import (
	"io"
	"os"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/demo"
	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
)

var demoCommand = &command{
	name:    "demo",
	summary: "Run the whole daemon on a simulated board: it needs no hardware and no root.",
	details: `Sensors of every kind are read at short intervals; there are metrics for Prometheus and a status page. One has a loose contact, and another can be pulled out and put back with the Enter key.`,
	define:  defineDemo,
}

func defineDemo(c *kingpin.CmdClause) action {
	s := &settings{board: "sim"}
	s.Every = "10s"
	s.logLevelFlags(c, "info")
	s.daemonFlags(c, demoAddress, "stderr", "")
	return func(stdout, stderr io.Writer) error {
		d := daemon.New("dormouse")
		d.DetachProcess = daemon.DetachNever
		if len(s.addresses) == 1 && s.addresses[0] == demoAddress && web.HaveIPv6() {
			s.addresses = append(s.addresses, "[::1]:9367")
		}
		// The demonstration has its configuration built in.
		s.ConfigFile = "demo.yml"
		s.Builtin = demo.Config
		var simulated *sim.Board
		s.prepare = func(b board.Board) {
			simulated = b.(*sim.Board)
			demo.AddAttic(simulated)
		}
		s.firstWake = func(snapshot *sensors.Snapshot, clock exporter.Clock, urls []string) error {
			if demo.InForeground(os.Stdin) {
				go demo.PullAndPlug(os.Stdin, stdout, simulated)
			}
			address := ""
			if s.serve {
				address = urls[0]
			}
			return demo.Introduce(stdout, snapshot, clock, address, s.telemetryPath)
		}
		return s.daemon(d, stdout)
	}
}

// demoAddress is this machine's own, by number: localhost can't be resolved
// everywhere.
const demoAddress = "127.0.0.1:9367"
