package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/catalog"
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

func listDrivers(w io.Writer, name, format string) error {
	docs := catalog.All()
	if name != "" {
		d, ok := sensors.DriverByName(name)
		if !ok {
			return usageError{sensors.UnknownDriver(name)}
		}
		docs = []catalog.Driver{catalog.Describe(d)}
	}
	switch {
	case format == "json":
		return printJSON(w, docs)
	case name != "":
		return docs[0].WriteText(w)
	}
	if err := catalog.WriteList(w, docs); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\n`dormouse drivers NAME` describes one: options, wiring, timing, data sheet.")
	return err
}
