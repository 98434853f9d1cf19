package exporter

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.org/dormouse/sensors"
)

// Table writes s as a table for the terminal: a line per reading, and what is
// wrong with the sensors that gave none.
func Table(w io.Writer, s *sensors.Snapshot, clock Clock) error {
	v := view{facts: facts{snapshot: s}, now: clock.Now(), clock: clock}
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(tw, "SENSOR\tREADING\tVALUE\tSTATE")
	for i := range s.Results {
		for _, line := range v.rows(&s.Results[i]) {
			fmt.Fprintln(tw, strings.TrimRight(strings.Join(line[:], "\t"), "\t "))
		}
	}
	return tw.Flush()
}

// rows are a sensor's lines: its name and state stand on the first.
func (v *view) rows(r *sensors.Result) [][4]string {
	var rows [][4]string
	for _, g := range v.readings(r) {
		rows = append(rows, [4]string{"", readingName(g), v.text(g), ""})
	}
	for _, f := range r.Failures {
		rows = append(rows, [4]string{"", printable(strings.Join(f.Labels, " ")), "-", "failed: " + printable(f.Err.Error())})
	}
	if len(rows) == 0 || rows[0][3] != "" {
		rows = append([][4]string{{"", "-", "-", ""}}, rows...)
	}
	rows[0][0], rows[0][3] = r.Name, v.state(r)
	return rows
}

// state is what is to be said of a sensor, in words.
func (v *view) state(r *sensors.Result) string {
	if !r.Tried {
		return "not read yet"
	}
	up, reason, err := v.up(r)
	if up {
		return "ok, read " + v.ago(r.LastRead)
	}
	state := "down"
	if reason != "" {
		state += " (" + string(reason) + ")"
	}
	if err != nil {
		state += ": " + printable(err.Error())
	}
	return state
}

func (v *view) ago(at sensors.Instant) string {
	d := v.now.Sub(at).Round(time.Second)
	if d < time.Second {
		return "just now"
	}
	return d.String() + " ago"
}

// readingName names a reading within its sensor: its quantity, and what tells
// it apart from the others.
func readingName(g sensors.Reading) string {
	name := strings.ReplaceAll(g.Quantity.Name, "_", " ")
	if g.Quantity.Metric != "" {
		name = g.Quantity.Metric
	}
	for _, l := range g.Labels {
		if l != "" {
			name += " " + l
		}
	}
	return printable(name)
}

// printable keeps what came from outside from steering the terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}
