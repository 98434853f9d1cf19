package main

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
)

//go:embed demo.yml
var demoConfig []byte

var demoCommand = &command{
	name:    "demo",
	summary: "Run the whole daemon on a simulated board: it needs no hardware and no root.",
	details: `A dozen sensors are read at short intervals; there is a page for Prometheus and a status page.`,
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
		s.Builtin = demoConfig
		s.firstWake = func(snapshot *sensors.Snapshot, clock exporter.Clock) error {
			return s.introduce(stdout, snapshot, clock)
		}
		return s.daemon(d, stdout)
	}
}

// demoAddress is this machine's own, by number: localhost can't be resolved
// everywhere.
const demoAddress = "127.0.0.1:9367"

// introduce says what is seen, and where to look.
func (s *settings) introduce(w io.Writer, snapshot *sensors.Snapshot, clock exporter.Clock) error {
	if _, err := fmt.Fprintf(w, demoIntroduction, len(snapshot.Results)); err != nil {
		return err
	}
	if err := exporter.Table(w, snapshot, clock); err != nil {
		return err
	}
	if s.serve {
		address := "http://" + web.Reachable(s.addresses[0])
		if _, err := fmt.Fprintf(w, demoLinks, address, address, s.telemetryPath, address); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, demoEnd)
	return err
}

const demoIntroduction = `
This is the whole daemon, in the foreground, on a simulated board of %d sensors:
modelled chips on I2C bus 1, a 1-Wire bus, GPIO lines, and two programs. Each is
read when its interval has passed; in between, the process sleeps on one timer.
The first wake brought:

`

const demoLinks = `
  a page for people      %s/
  the page for Prometheus %s%s
  the same as JSON       %s/readings.json
`

const demoEnd = `
  the wiring behind it   cmd/dormouse/demo.yml

Read again at once with SIGUSR1; end it with ^C.
`
