// Package catalog describes the registered drivers, for people and as a JSON
// document. All of it comes from the drivers' own declarations, as validation
// does.
package catalog

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"example.org/dormouse/sensors"
)

// A Driver is the description of a driver; its JSON is an element of the
// document of `drivers --format=json`. Fields are added to it, never changed or
// removed.
type Driver struct {
	Name         string     `json:"name"`
	Aliases      []string   `json:"aliases,omitempty"` // other names by which a configuration may call it
	Summary      string     `json:"summary"`
	Datasheet    string     `json:"datasheet"`
	Wiring       string     `json:"wiring,omitempty"`
	Timing       string     `json:"timing,omitempty"`
	Unverifiable string     `json:"unverifiable,omitempty"` // why a stuck wire can look like a value
	Identity     string     `json:"identity,omitempty"`     // how the chip is recognised
	Checksum     string     `json:"checksum,omitempty"`     // what protects its answers
	Kernel       string     `json:"kernel,omitempty"`       // the kernel's drivers that read the same
	Channels     []string   `json:"channels,omitempty"`
	Notes        []string   `json:"notes,omitempty"`   // known defects and peculiarities
	NoRail       string     `json:"no_rail,omitempty"` // why no rail may switch its supply
	Measures     []Quantity `json:"measures"`          // empty: what the hardware or the program offers
	Options      []Option   `json:"options"`
}

// A Quantity is what a driver can measure.
type Quantity struct {
	Name   string   `json:"name"`
	Metric string   `json:"metric"`
	Kind   string   `json:"kind"`
	Labels []string `json:"labels"`
	Help   string   `json:"help"`
}

// An Option is a driver's own key.
type Option struct {
	Name     string   `json:"name"`
	Help     string   `json:"help"`
	Default  string   `json:"default,omitempty"`
	Required bool     `json:"required,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Channel  bool     `json:"channel,omitempty"` // may be given for one channel
}

// Describe describes a driver.
func Describe(d *sensors.Driver) Driver {
	doc := Driver{Name: d.Name, Summary: d.Summary, Datasheet: d.Datasheet, Wiring: d.Wiring, Timing: d.Timing,
		Aliases: slices.Sorted(maps.Keys(d.Aliases)), Checksum: d.Checksum, Kernel: d.Kernel,
		Unverifiable: d.Unverifiable, Channels: d.Channels, Notes: d.Notes, NoRail: d.NoRail, Measures: []Quantity{}, Options: []Option{}}
	if d.Identity != nil {
		doc.Identity = d.Identity.By
	}
	for _, q := range d.Measures {
		doc.Measures = append(doc.Measures, Quantity{q.Name, q.MetricName(), q.Kind.String(), append([]string{"sensor"}, q.Labels...), q.Help})
	}
	for _, o := range d.Options {
		doc.Options = append(doc.Options, Option{o.Name, o.Help, o.Default, o.Required, o.Choices, o.Channel})
	}
	return doc
}

// All describes all drivers, by name.
func All() []Driver {
	docs := []Driver{}
	for _, d := range sensors.Drivers() {
		docs = append(docs, Describe(d))
	}
	return docs
}

// WriteList writes one line for each driver.
func WriteList(w io.Writer, docs []Driver) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, d := range docs {
		text := d.Summary
		if len(d.Aliases) > 0 {
			text += "; also called " + strings.Join(d.Aliases, ", ")
		}
		fmt.Fprintf(tw, "%s\t%s\n", d.Name, text)
	}
	return tw.Flush()
}

// WriteText writes the whole description.
func (d *Driver) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s: %s\n\n", d.Name, d.Summary)
	for _, row := range [][2]string{{"also called", strings.Join(d.Aliases, ", ")}, {"data sheet", d.Datasheet}, {"wiring", d.Wiring}, {"timing", d.Timing}, {"recognised by", d.Identity},
		{"checksum", d.Checksum}, {"the kernel's own", d.Kernel}, {"not verifiable", d.Unverifiable}, {"channels", strings.Join(d.Channels, ", ")}} {
		if row[1] != "" {
			fmt.Fprintf(tw, "%s:\t%s\n", row[0], row[1])
		}
	}
	fmt.Fprint(tw, "\nmeasures:\n")
	if len(d.Measures) == 0 {
		fmt.Fprint(tw, "  what the hardware or the program offers\n")
	}
	for _, q := range d.Measures {
		fmt.Fprintf(tw, "  %s\t%s{%s}\t%s\n", q.Name, q.Metric, strings.Join(q.Labels, ","), q.Help)
	}
	fmt.Fprint(tw, "\noptions:\n")
	for _, o := range d.Options {
		fmt.Fprintf(tw, "  %s\t%s\n", o.Name, o.Text())
	}
	power := "power, warmup, "
	if d.NoRail != "" {
		power = ""
	}
	fmt.Fprintf(tw, "\nand those of every sensor: every or at, phase, jitter, timeout, retries, keep-failed, %slabel.NAME, quantity, calibrate.*, filter.*\n", power)
	if err := tw.Flush(); err != nil {
		return err
	}
	return d.writeNotes(w)
}

// writeNotes writes each note in a line of its own.
func (d *Driver) writeNotes(w io.Writer) error {
	notes := d.Notes
	if d.NoRail != "" {
		notes = append(slices.Clone(notes), "power: "+d.NoRail)
	}
	if len(notes) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nnotes:\n  %s\n", strings.Join(notes, "\n  "))
	return err
}

// Text is the option's help with its choices and default.
func (o *Option) Text() string {
	text := o.Help
	if len(o.Choices) > 0 {
		text += "; one of " + strings.Join(o.Choices, ", ")
	}
	switch {
	case o.Required:
		text += "; required"
	case o.Default != "":
		text += "; default " + o.Default
	}
	if o.Channel {
		text += "; also for one channel"
	}
	return text
}
