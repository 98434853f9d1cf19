package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
)

var statusCommand = &command{
	name:    "status",
	summary: "Tell whether the daemon runs, the state of its sensors, and the next wake.",
	details: `The exit status is LSB's: 0 running, 1 dead with its pidfile left, 3 not running, 4 unknown.`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.pidFileFlag(c, defaultPIDFile())
		timeout, format := timeoutFlag(c), formatFlag(c)
		return func(stdout, stderr io.Writer) error {
			if err := s.fromHere(); err != nil {
				return err
			}
			return status(s.pidFile, *timeout, *format, stdout)
		}
	},
}

func formatFlag(c *kingpin.CmdClause) *string {
	return c.Flag("format", "text for people, json for programs.").Default("text").Enum("text", "json")
}

func status(pidFile string, timeout time.Duration, format string, stdout io.Writer) error {
	state := daemon.Status(pidFile)
	if format == "json" {
		if err := json.NewEncoder(stdout).Encode(state); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(stdout, "dormouse: %s\n", state.Text); err != nil {
		return err
	}
	if state.Code != daemon.StatusRunning {
		return silent{state.Code}
	}
	if format == "text" && !state.Starting {
		ctx, cancel := within(timeout)
		defer cancel()
		// Only root and the daemon's own user may ask it; that it runs is
		// public.
		if readings, err := control.Readings(ctx, pidFile); err == nil {
			return printState(stdout, readings)
		}
	}
	return nil
}

// printState prints how many sensors are up, the next wake, and why sensors are
// down.
func printState(w io.Writer, readings *exporter.Readings) error {
	up := 0
	for _, s := range readings.Sensors {
		if s.Up != nil && *s.Up {
			up++
		}
	}
	if _, err := fmt.Fprintf(w, "%d of %d sensors up", up, len(readings.Sensors)); err != nil {
		return err
	}
	if readings.NextWake != nil {
		if _, err := fmt.Fprintf(w, "; next wake at %s", readings.NextWake.Local().Format(time.DateTime)); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	for _, s := range readings.Sensors {
		if s.Up != nil && !*s.Up {
			if _, err := fmt.Fprintf(w, "  %s is down: %s\n", s.Name, s.Error); err != nil {
				return err
			}
		}
	}
	return nil
}
