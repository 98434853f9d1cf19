package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
)

//go:embed demo.yml
var demoConfig []byte

var demoCommand = &command{
	name:    "demo",
	summary: "Run the whole daemon on a simulated board: it needs no hardware and no root.",
	details: `A dozen sensors are read at short intervals; there are metrics for Prometheus and a status page. One has a loose contact, and another can be pulled out and put back with the Enter key.`,
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
		var simulated *sim.Board
		s.prepare = func(b board.Board) {
			simulated = b.(*sim.Board)
			addAttic(simulated)
		}
		s.firstWake = func(snapshot *sensors.Snapshot, clock exporter.Clock) error {
			if inForeground(os.Stdin) {
				go pullAndPlug(os.Stdin, stdout, simulated)
			}
			return s.introduce(stdout, snapshot, clock)
		}
		return s.daemon(d, stdout)
	}
}

// addAttic adds a chip with a loose contact, under a roof in the sun.
func addAttic(b *sim.Board) {
	const attic = 0x77
	b.Attach(attic, "bme280", func(at sensors.Instant, what string) float64 {
		warmth := math.Sin(2 * math.Pi * time.Duration(at).Hours() / 24)
		return map[string]float64{"temperature": 24 + 9*warmth, "humidity": 0.45 - 0.15*warmth, "pressure": 100_900}[what]
	})
	b.Loosen(attic, 2*time.Minute, 30*time.Second)
}

// inForeground tells whether reading from f stops nobody: of a terminal only the
// foreground may read.
func inForeground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// pullAndPlug pulls the office's sensor out at a line of in, and puts it back at
// the next, until in ends.
func pullAndPlug(in io.Reader, out io.Writer, b *sim.Board) {
	said := demoPulled
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if said == demoPulled {
			b.Remove(sim.SHT4x)
		} else {
			b.Insert(sim.SHT4x)
		}
		if _, err := fmt.Fprint(out, said); err != nil {
			return // nobody is there any more
		}
		if said == demoPulled {
			said = demoPlugged
		} else {
			said = demoPulled
		}
	}
}

const (
	demoPulled = `
The office's SHT4x is pulled out. At its next read, within 10 s, it has no
value: its series end, dormouse_sensor_up{sensor="office"} is 0, and the log and
the page say what to check. Press Enter to put it back.
`
	demoPlugged = `
The office's SHT4x is back. Its next good read ends the failure by itself.
`
)

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
  metrics for Prometheus %s%s
  the same as JSON       %s/readings.json
`

const demoEnd = `
  the wiring behind it   cmd/dormouse/demo.yml

The attic's sensor has a loose contact: after a minute and a half it fails for
half a minute, and again every two minutes. Press Enter to pull out the office's.
Read again at once with SIGUSR1; end it with ^C.
`
