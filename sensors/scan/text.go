package scan

import (
	"fmt"
	"io"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// WriteText writes the Document for people.
func (d *Document) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", d.Model)
	for i := range d.Buses {
		d.Buses[i].write(&b)
	}
	writeFinds(&b, "1-Wire", d.OneWire)
	writeFinds(&b, "Thermal zones", d.Zones)
	writeFinds(&b, "Read by the kernel", d.Devices)
	writeNodes(&b, "SPI", d.SPI)
	writeNodes(&b, "Serial ports", d.Serial)
	for _, chip := range d.GPIO {
		fmt.Fprintf(&b, "%s, %d lines, %d of them held\n", chip.Chip, chip.Lines, len(chip.Held))
		for _, l := range chip.Held {
			name := l.Name
			if name == "" {
				name = fmt.Sprintf("line %d", l.Offset)
			}
			fmt.Fprintf(&b, "  %-6s  by %s\n", name, board.LineInfo{Consumer: l.Consumer}.Holder())
		}
	}
	fmt.Fprintf(&b, "\nWhat is wired to a GPIO line can't be detected: %s. `dormouse drivers NAME` explains how to configure it.\n", strings.Join(d.Unfindable, ", "))
	writeList(&b, "Problems:", d.Problems)
	writeList(&b, "Notes:", d.Advice)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeNodes(b *strings.Builder, title string, nodes []string) {
	if len(nodes) > 0 {
		fmt.Fprintln(b, title)
		writeIndented(b, "  ", nodes)
	}
}

func (bus *Bus) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", sensors.Bus(bus.Bus))
	for i := range bus.Addresses {
		a := &bus.Addresses[i]
		fmt.Fprintf(b, "  %s  %s\n", a.Address, a.describe())
		for _, c := range a.Could {
			fmt.Fprintf(b, "          %s\n", c.Flag)
		}
		if len(a.Could) == 0 {
			writeIndented(b, "          ", a.Refused)
		}
	}
	switch {
	case !bus.Complete:
		b.WriteString("  the scan of this bus is incomplete: see Problems\n")
	case len(bus.Addresses) == 0:
		b.WriteString("  no chip answers\n")
	}
}

func writeList(b *strings.Builder, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n%s\n", title)
		writeIndented(b, "  ", lines)
	}
}

func writeIndented(b *strings.Builder, indent string, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(b, "%s%s\n", indent, strings.ReplaceAll(l, "\n", "\n"+indent))
	}
}

func writeFinds(b *strings.Builder, title string, list []Find) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(b, title)
	for _, s := range list {
		if s.Flag == "" {
			fmt.Fprintf(b, "  %s: no driver reads it\n", s.What)
			continue
		}
		fmt.Fprintf(b, "  %s\n          %s\n", s.What, s.Flag)
	}
}

func (a *Address) describe() string {
	var names []string
	for _, c := range a.Could {
		name := c.What
		if c.Serial != "" {
			name += " (serial number " + c.Serial + ")"
		}
		names = append(names, name)
	}
	switch {
	case a.Kernel != "":
		return fmt.Sprintf("is used by the kernel's driver %s (to unbind it: %s)", a.Kernel, a.unbind)
	case a.Daemon != "":
		return "is read by the running daemon, as " + a.Daemon
	case len(names) == 1 && a.Identified:
		return "looks like " + names[0]
	case len(names) == 1:
		return "answers; by its address it could be " + names[0]
	case len(names) > 1 && a.Identified:
		return "could be " + strings.Join(names, ", ") + ": they can't be distinguished, so read the marking on the chip"
	case len(names) > 1:
		return "answers; by its address it could be " + strings.Join(names, ", ")
	case len(a.Refused) > 0:
		return "answers, and is no chip that a driver knows:"
	}
	return "answers; no driver's chip has this address"
}
