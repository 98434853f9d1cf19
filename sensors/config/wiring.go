package config

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"example.org/dormouse/daemon/duration"
)

// WriteWiring writes what is connected to what, with both numbers of a line.
func (c *Config) WriteWiring(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, rail := range c.Rails {
		level := "high"
		if rail.ActiveLow {
			level = "low"
		}
		more := ""
		if rail.MaxOn > 0 {
			more += fmt.Sprintf(", on for %s at most", duration.Format(rail.MaxOn))
		}
		if len(rail.After) > 0 {
			more += ", after " + strings.Join(rail.After, ", ")
		}
		fmt.Fprintf(tw, "%s\trail\t%s, on when %s, settles in %s%s\n", rail.Name, rail.Line, level, duration.Format(rail.Settle), more)
	}
	for _, sensor := range c.Sensors {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", sensor.Name, sensor.Driver.Name, sensor.Wiring(), sensor.Schedule)
	}
	return tw.Flush()
}
