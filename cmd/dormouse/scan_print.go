package main

import (
	"fmt"
	"io"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

func (f *found) print(w io.Writer) error {
	var b strings.Builder
	for _, bus := range f.Buses {
		fmt.Fprintf(&b, "%s\n", sensors.Bus(bus.Bus))
		for _, a := range bus.Addresses {
			fmt.Fprintf(&b, "  %s  %s\n", a.Address, a.describe())
			for _, c := range a.Could {
				fmt.Fprintf(&b, "          %s\n", c.Flag)
			}
			if len(a.Could) == 0 {
				printIndented(&b, "          ", a.Refused)
			}
		}
		switch {
		case !bus.Complete:
			b.WriteString("  not all of it could be looked at: see below\n")
		case len(bus.Addresses) == 0:
			b.WriteString("  nothing answers\n")
		}
	}
	printSensors(&b, "1-Wire", f.OneWire)
	printSensors(&b, "Thermal zones", f.Zones)
	for _, chip := range f.GPIO {
		fmt.Fprintf(&b, "%s, %d lines, %d of them held\n", chip.Chip, chip.Lines, len(chip.Held))
		for _, l := range chip.Held {
			name := l.Name
			if name == "" {
				name = fmt.Sprintf("line %d", l.Offset)
			}
			fmt.Fprintf(&b, "  %-6s  by %s\n", name, heldBy(board.LineInfo{Consumer: l.Consumer}))
		}
	}
	fmt.Fprintf(&b, "\nWhat is on a GPIO line can't be found by asking: %s. `dormouse drivers NAME` tells how to say where it is.\n", strings.Join(f.Unfindable, ", "))
	for _, list := range []struct {
		title string
		lines []string
	}{{"Couldn't be looked at:", f.Problems}, {"To be known:", f.Advice}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n", list.title)
			printIndented(&b, "  ", list.lines)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printIndented(b *strings.Builder, indent string, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(b, "%s%s\n", indent, strings.ReplaceAll(l, "\n", "\n"+indent))
	}
}

func printSensors(b *strings.Builder, title string, list []foundSensor) {
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

func (a *foundAddress) describe() string {
	var names []string
	for _, c := range a.Could {
		names = append(names, c.What)
	}
	switch {
	case a.Kernel != "":
		return fmt.Sprintf("is driven by the kernel's %s (to take it away: %s)", a.Kernel, a.unbind)
	case a.Daemon != "":
		return "is read by the running daemon, as " + a.Daemon
	case len(names) == 1 && a.Identified:
		return "looks like " + names[0]
	case len(names) == 1:
		return "answers; by its address it could be " + names[0]
	case len(names) > 1 && a.Identified:
		return "could be " + strings.Join(names, ", ") + ": they can't be told apart, so take what is printed on the chip"
	case len(names) > 1:
		return "answers; by its address it could be " + strings.Join(names, ", ")
	case len(a.Refused) > 0:
		return "answers, and is no chip that a driver knows:"
	}
	return "answers; no driver's chip has this address"
}
