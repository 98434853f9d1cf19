// Package demo is the world of the demonstration: its configuration, its faults
// and what it says.
package demo

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
)

// Config is the configuration that is built in.
//
//go:embed demo.yml
var Config []byte

// AddAttic adds a chip with a loose contact, under a roof in the sun.
func AddAttic(b *sim.Board) {
	const attic = 0x77
	b.Attach(attic, "bme280", func(at sensors.Instant, what string) float64 {
		warmth := math.Sin(2 * math.Pi * time.Duration(at).Hours() / 24)
		return map[string]float64{"temperature": 24 + 9*warmth, "humidity": 0.45 - 0.15*warmth, "pressure": 100_900}[what]
	})
	b.Loosen(attic, 2*time.Minute, 30*time.Second)
}

// InForeground tells whether this process may read from f: a terminal stops a
// process in the background that reads from it.
func InForeground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// PullAndPlug pulls the office's sensor out at a line of in, and puts it back at
// the next, until in ends.
func PullAndPlug(in io.Reader, out io.Writer, b *sim.Board) {
	said := pulled
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if said == pulled {
			b.Remove(sim.SHT4x)
		} else {
			b.Insert(sim.SHT4x)
		}
		if _, err := fmt.Fprint(out, said); err != nil {
			return // nobody is there any more
		}
		if said == pulled {
			said = plugged
		} else {
			said = pulled
		}
	}
}

const (
	pulled = `
The office's SHT4x is pulled out. At its next read, within 10 s, it has no
value: its series end, dormouse_sensor_up{sensor="office"} is 0, and the log and
the page say what to check. Press Enter to put it back.
`
	plugged = `
The office's SHT4x is back. Its next good read ends the failure by itself.
`
)

// Introduce says what is seen and, where pages are served below an address,
// where to look.
func Introduce(w io.Writer, snapshot *sensors.Snapshot, clock exporter.Clock, address, telemetry string) error {
	if _, err := fmt.Fprintf(w, introduction, len(snapshot.Results)); err != nil {
		return err
	}
	if err := exporter.Table(w, snapshot, clock); err != nil {
		return err
	}
	if address != "" {
		if _, err := fmt.Fprintf(w, links, address, address, telemetry, address); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, end)
	return err
}

const introduction = `
This is the whole daemon, in the foreground, on a simulated board of %d sensors:
modelled chips on I2C bus 1, a 1-Wire bus, GPIO lines, and two programs. Each is
read when its interval has passed; in between, the process sleeps on one timer.
The first wake brought:

`

const links = `
  a page for people      %s/
  metrics for Prometheus %s%s
  the same as JSON       %s/readings.json
`

const end = `
  the wiring behind it   cmd/dormouse/internal/demo/demo.yml in the sources

The attic's sensor has a loose contact: after a minute and a half it fails for
half a minute, and again every two minutes. Press Enter to pull out the office's.
Read again at once with SIGUSR1; end it with ^C.
`
