// Package scan finds out what is connected to a board: chips on its I2C buses,
// 1-Wire devices, what the kernel's own drivers measure, and who holds its GPIO
// lines. The result is a Document with a sensor's flag for each find. A scan
// changes nothing on the board: docs/scan.md tells what a chip gets to see.
package scan

import (
	"context"
	"fmt"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/rails"
	"example.org/dormouse/sensors/config"
)

// Options are what to scan and how.
type Options struct {
	Board board.Inspector
	Clock *alarm.Clock
	Buses []sensors.Bus // the I2C buses to scan; empty: all that there are
	// Rails are switched on for the scan.
	Rails []*sensors.Rail
	// Identify has drivers probe the chips that answer at one of their
	// addresses. Without it candidates are listed by the address alone.
	Identify bool
	// DaemonSensors are the sensors of a daemon that runs. Their addresses are not
	// probed: a probe during a measurement would replace its result. An SHT4x that
	// is asked for its serial number returns that, with a valid checksum, to the
	// daemon that waits for a temperature.
	DaemonSensors []DaemonSensor
	// DaemonError is why the sensors of a daemon that runs are not known. Nothing
	// is identified then, and it is one of the Document's problems.
	DaemonError error
}

// A DaemonSensor is a sensor that a running daemon reads.
type DaemonSensor struct {
	Name   string
	Claims []sensors.Claim
}

// PowerUp is how long a chip may take to answer after its supply was switched
// on.
const PowerUp = 100 * time.Millisecond

// Run scans the board. What couldn't be examined is among the Document's
// problems. Where ctx ends early the Document is incomplete; the rails are off
// in any case.
func Run(ctx context.Context, o Options) *Document {
	s := newScanner(o)
	if o.DaemonError != nil {
		s.problem("%v", o.DaemonError)
		s.Identify = false
	}
	s.withRails(ctx, func() { s.scan(ctx) })
	return s.found
}

// A scanner collects a Document.
type scanner struct {
	Options
	found *Document
}

func newScanner(o Options) *scanner {
	return &scanner{Options: o, found: &Document{Buses: []Bus{}, OneWire: []Find{}, Zones: []Find{}, Devices: []Find{},
		SPI: []string{}, Serial: []string{}, GPIO: []GPIOChip{}, Unfindable: []string{}, Problems: []string{}, Advice: []string{}}}
}

func (s *scanner) problem(format string, args ...any) {
	s.found.Problems = append(s.found.Problems, fmt.Sprintf(format, args...))
}

func (s *scanner) advise(format string, args ...any) {
	s.found.Advice = append(s.found.Advice, fmt.Sprintf(format, args...))
}

// withRails calls scan while the rails are on.
func (s *scanner) withRails(ctx context.Context, scan func()) {
	rails := rails.New(s.Rails, s.Board, s.Clock)
	defer func() {
		if err := rails.AllDown(); err != nil {
			s.problem("%v", err)
		}
	}()
	for _, r := range s.Rails {
		if err := rails.Up(ctx, r.Name, PowerUp); err != nil {
			s.problem("%v", err)
		}
	}
	scan()
	if len(s.Rails) > 0 {
		s.advise("give each sensor behind a rail power=NAME, and paste the --rail flag too")
	}
}

func (s *scanner) scan(ctx context.Context) {
	s.scanBuses(ctx)
	s.scanOneWire()
	s.scanZones(ctx)
	s.scanDevices(ctx)
	s.scanPorts()
	s.scanLines()
	for _, d := range sensors.Drivers() {
		if d.Uses(sensors.LineWire) {
			s.found.Unfindable = append(s.found.Unfindable, d.Name)
		}
	}
}

// flag is the flag of a sensor, or empty where the sensor isn't valid.
func flag(sensor string) string {
	if _, err := config.Load(config.Source{SensorFlags: []string{sensor}}); err != nil {
		return ""
	}
	return "--sensor=" + sensor
}
