package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/sensors"
)

var driversCommand = &command{
	name:    "drivers",
	summary: "List the drivers, or describe one: quantities, options, wiring, timing, data sheet.",
	examples: `
dormouse drivers
dormouse drivers bme280`,
	define: defineDrivers,
}

func defineDrivers(c *kingpin.CmdClause) action {
	name := c.Arg("name", "One driver, in detail.").HintAction(driverNames).String()
	format := formatFlag(c)
	return func(stdout, stderr io.Writer) error {
		return listDrivers(stdout, *name, *format)
	}
}

func driverNames() []string {
	var names []string
	for _, d := range sensors.Drivers() {
		names = append(names, d.Name)
	}
	return names
}

// listDrivers prints all drivers, or one in detail: all of it comes from the
// driver's own table, as does the validation.
func listDrivers(w io.Writer, name, format string) error {
	all := sensors.Drivers()
	if name != "" {
		d, ok := sensors.DriverByName(name)
		if !ok {
			return usageError{sensors.UnknownDriver(name)}
		}
		all = []*sensors.Driver{d}
	}
	if format == "json" {
		return driversJSON(w, all)
	}
	if name == "" {
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		for _, d := range all {
			fmt.Fprintf(tw, "%s\t%s\n", d.Name, d.Summary)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, "\n`dormouse drivers NAME` tells all about one: options, wiring, timing, data sheet.")
		return err
	}
	return describeDriver(w, all[0])
}

func describeDriver(w io.Writer, d *sensors.Driver) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s: %s\n\n", d.Name, d.Summary)
	for _, row := range [][2]string{{"data sheet", d.Datasheet}, {"wiring", d.Wiring}, {"timing", d.Timing}, {"can't be told apart", d.Unverifiable}} {
		if row[1] != "" {
			fmt.Fprintf(tw, "%s:\t%s\n", row[0], row[1])
		}
	}
	if len(d.Channels) > 0 {
		fmt.Fprintf(tw, "channels:\t%s\n", strings.Join(d.Channels, ", "))
	}
	fmt.Fprint(tw, "\nmeasures:\n")
	if d.Measures == nil {
		fmt.Fprint(tw, "  what the hardware or the program offers\n")
	}
	for _, q := range d.Measures {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", q.Name, series(q), q.Help)
	}
	fmt.Fprint(tw, "\noptions:\n")
	for _, o := range d.Options {
		fmt.Fprintf(tw, "  %s\t%s\n", o.Name, describeOption(o))
	}
	fmt.Fprint(tw, "\nand those of every sensor: every or at, phase, jitter, timeout, retries, keep-failed, power, warmup, label.NAME, quantity, calibrate.*, filter.*\n")
	return tw.Flush()
}

// series is the metric as it will be written, with its labels.
func series(q *sensors.Quantity) string {
	return q.MetricName() + "{" + strings.Join(append([]string{"sensor"}, q.Labels...), ",") + "}"
}

func describeOption(o sensors.Option) string {
	text := o.Help
	if len(o.Choices) > 0 {
		text += "; one of " + strings.Join(o.Choices, ", ")
	}
	switch {
	case o.Required:
		text += "; must be given"
	case o.Default != "":
		text += "; default " + o.Default
	}
	if o.Channel {
		text += "; also for one channel"
	}
	return text
}

type driverJSON struct {
	Name         string         `json:"name"`
	Summary      string         `json:"summary"`
	Datasheet    string         `json:"datasheet"`
	Wiring       string         `json:"wiring,omitempty"`
	Timing       string         `json:"timing,omitempty"`
	Unverifiable string         `json:"unverifiable,omitempty"`
	Channels     []string       `json:"channels,omitempty"`
	Measures     []quantityJSON `json:"measures"`
	Options      []optionJSON   `json:"options"`
}

type quantityJSON struct {
	Name   string   `json:"name"`
	Metric string   `json:"metric"`
	Kind   string   `json:"kind"`
	Labels []string `json:"labels"`
	Help   string   `json:"help"`
}

type optionJSON struct {
	Name     string   `json:"name"`
	Help     string   `json:"help"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Channel  bool     `json:"channel,omitempty"`
}

func driversJSON(w io.Writer, all []*sensors.Driver) error {
	out := make([]driverJSON, 0, len(all))
	for _, d := range all {
		j := driverJSON{Name: d.Name, Summary: d.Summary, Datasheet: d.Datasheet, Wiring: d.Wiring, Timing: d.Timing,
			Unverifiable: d.Unverifiable, Channels: d.Channels, Measures: []quantityJSON{}, Options: []optionJSON{}}
		for _, q := range d.Measures {
			j.Measures = append(j.Measures, quantityJSON{q.Name, q.MetricName(), q.Kind.String(), append([]string{"sensor"}, q.Labels...), q.Help})
		}
		for _, o := range d.Options {
			j.Options = append(j.Options, optionJSON{o.Name, o.Help, o.Default, o.Required, o.Choices, o.Channel})
		}
		out = append(out, j)
	}
	return printJSON(w, out)
}
