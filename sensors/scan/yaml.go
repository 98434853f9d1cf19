package scan

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// WriteYAML writes the Document as a configuration: an entry for everything
// that was found, with a comment that says what it is. What a chip may be
// besides, and what can't be read, are comments alone. What is wrong is told at
// the top.
func (d *Document) WriteYAML(w io.Writer) error {
	y := &yamlWriter{names: map[string]bool{}}
	for i := range d.Buses {
		y.bus(&d.Buses[i])
	}
	y.finds("1-Wire", d.OneWire)
	y.finds("Thermal zone", d.Zones)
	y.finds("Read by the kernel:", d.Devices)

	var b strings.Builder
	b.WriteString("# What `dormouse scan` found. Give the sensors names of your own: they are the label `sensor` of every reading.\n" +
		"# `dormouse check --config.file=FILE` checks this file, `dormouse drivers NAME` lists what can be set.\n")
	for _, text := range slices.Concat(d.Problems, d.Advice) {
		comment(&b, "", text)
	}
	b.WriteString("defaults: {every: 5m}\nsensors:\n")
	b.WriteString(y.b.String())
	if len(d.Unfindable) > 0 {
		comment(&b, "", "What is wired to a GPIO line can't be detected: "+strings.Join(d.Unfindable, ", ")+".")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type yamlWriter struct {
	b     strings.Builder
	names map[string]bool
}

func (y *yamlWriter) bus(bus *Bus) {
	for i := range bus.Addresses {
		a := &bus.Addresses[i]
		comment(&y.b, "  ", fmt.Sprintf("%s, %s: %s", sensors.Bus(bus.Bus), a.Address, a.describe()))
		if len(a.Could) == 0 {
			for _, text := range a.Refused {
				comment(&y.b, "  ", "  "+text)
			}
			continue
		}
		// Models of one driver are a choice that a reading shows to be wrong at
		// once; of several drivers none is better than the others.
		certain := a.Identified || len(a.Could) == 1
		for _, c := range a.Could {
			certain = certain && driver(c) == driver(a.Could[0])
		}
		for j, c := range a.Could {
			y.entry(c, certain && j == 0)
		}
	}
}

func (y *yamlWriter) finds(what string, list []Find) {
	for _, f := range list {
		if f.Flag == "" {
			comment(&y.b, "  ", fmt.Sprintf("%s %s: no driver reads it", what, f.What))
			continue
		}
		comment(&y.b, "  ", what+" "+f.What)
		y.entry(f, true)
	}
}

// driver is that of the find's flag.
func driver(f Find) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(f.Flag, flagPrefix), "=")
	name, _, _ := strings.Cut(rest, ",")
	return name
}

const flagPrefix = "--sensor="

// entry writes the find's flag as an entry of the list, or as a comment. No
// value in a flag of this package has a comma in it.
func (y *yamlWriter) entry(f Find, active bool) {
	if f.Flag == "" {
		return
	}
	fields := strings.Split(strings.TrimPrefix(f.Flag, flagPrefix), ",")
	name, driver, _ := strings.Cut(fields[0], "=")
	pairs := []string{"driver: " + scalar(driver)}
	for _, field := range fields[1:] {
		key, value, _ := strings.Cut(field, "=")
		pairs = append(pairs, key+": "+scalar(value))
	}
	mark := "- "
	if active {
		name = y.unique(name)
	} else {
		mark = "# - "
	}
	fmt.Fprintf(&y.b, "  %s{name: %s, %s}\n", mark, scalar(name), strings.Join(pairs, ", "))
}

// unique is a name that no entry has yet.
func (y *yamlWriter) unique(name string) string {
	for n, first := 2, name; y.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", first, n)
	}
	y.names[name] = true
	return name
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./:-]*$`)

// scalar is a value in a flow mapping of YAML.
func scalar(text string) string {
	if plainScalar.MatchString(text) && !strings.HasSuffix(text, ":") {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// comment writes text, of one line or more, as comments.
func comment(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(b, "%s# %s\n", indent, strings.TrimRight(line, "\n"))
	}
}
