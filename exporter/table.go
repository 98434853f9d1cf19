package exporter

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"example.org/dormouse/sensors"
)

// Table writes s as ReadingsTable does.
func Table(w io.Writer, s *sensors.Snapshot, clock Clock) error {
	return ReadingsTable(w, JSON(s, clock))
}

// ReadingsTable writes the readings as a table for the terminal: a line for
// each, and what is wrong with those that are missing.
func ReadingsTable(w io.Writer, r *Readings) error {
	var table bytes.Buffer
	tw := tabwriter.NewWriter(&table, 0, 8, 3, ' ', 0)
	fmt.Fprintln(tw, "SENSOR\tREADING\tVALUE\tSTATE")
	for i := range r.Sensors {
		for _, row := range r.Sensors[i].rows() {
			fmt.Fprintln(tw, strings.Join(row[:], "\t"))
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("lay out the table: %w", err)
	}
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	return nil
}

// rows are a sensor's lines: its name and state stand on the first.
func (s *SensorJSON) rows() [][4]string {
	var rows [][4]string
	for _, g := range s.Readings {
		rows = append(rows, [4]string{"", g.Name(), Printable(g.Text), ""})
	}
	if len(rows) == 0 {
		rows = append(rows, [4]string{"", "-", "-", ""})
	}
	rows[0][0], rows[0][3] = s.Name, s.state()
	for _, f := range s.Failures {
		rows = append(rows, [4]string{"", Printable(strings.Join(f.Labels, " ")), "-", "failed: " + Printable(f.Error)})
	}
	return rows
}

// state is what is to be said of a sensor, in words.
func (s *SensorJSON) state() string {
	switch {
	case s.Up == nil:
		return "not read yet"
	case *s.Up:
		return "ok"
	}
	state := "down"
	if s.Reason != "" {
		state += " (" + s.Reason + ")"
	}
	if s.Error != "" {
		state += ": " + Printable(s.Error)
	}
	return state
}

// Name names a reading within its sensor, for people: its quantity, and what
// tells it apart from the others.
func (g *ReadingJSON) Name() string {
	name := g.Quantity
	if name != g.Metric { // else a program's own name, kept as it is
		name = strings.TrimSuffix(strings.ReplaceAll(name, "_", " "), " timestamp")
	}
	for _, label := range slices.Sorted(maps.Keys(g.Labels)) {
		if v := g.Labels[label]; v != "" {
			name += " " + v
		}
	}
	return Printable(name)
}

// Printable is text that may come from a chip, the kernel or a program, as one
// line that can't control the terminal: control characters become spaces.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}
