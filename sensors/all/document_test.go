package all

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

var update = flag.Bool("update", false, "write docs/sensors.md")

const document = "../../docs/sensors.md"

// compareDocument holds docs/sensors.md against the registry and the faults.
func compareDocument(t *testing.T, tallies map[string]sensortest.Tally) {
	t.Helper()
	want := describeSensors(tallies)
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	theirs, ours := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for i := range min(len(theirs), len(ours)) {
		if theirs[i] != ours[i] {
			t.Fatalf("docs/sensors.md:%d is not what the drivers say: write it by `make generate`\n%s\nshould be\n%s", i+1, theirs[i], ours[i])
		}
	}
	t.Fatalf("docs/sensors.md has %d lines and should have %d: write it by `make generate`", len(theirs), len(ours))
}

const documentHead = `# Sensors

What each driver reads, how it knows its chip, and what faults do to it. This file is written from the drivers' own tables by
` + "`make generate`" + `, and a test holds it to them. ` + "`dormouse drivers NAME`" + ` tells all of one driver, with its options.

`

func describeSensors(tallies map[string]sensortest.Tally) string {
	var s strings.Builder
	s.WriteString(documentHead)
	s.WriteString("| driver | also called | measures | address | recognised by | checksum |\n|---|---|---|---|---|---|\n")
	for _, d := range sensors.Drivers() {
		row(&s, link(d), strings.Join(slices.Sorted(maps.Keys(d.Aliases)), ", "), measures(d), addresses(d), recognisedBy(d), d.Checksum)
	}
	s.WriteString("\n")
	for _, d := range sensors.Drivers() {
		fmt.Fprintf(&s, "## %s\n%s.\n\n", d.Name, d.Summary)
		for _, line := range [][2]string{{"wiring", d.Wiring}, {"timing", d.Timing}, {"data sheet", d.Datasheet}, {"the kernel's own", d.Kernel}, {"can't be detected", d.Unverifiable}} {
			if line[1] != "" {
				fmt.Fprintf(&s, "- %s: %s\n", line[0], line[1])
			}
		}
		for _, note := range d.Notes {
			fmt.Fprintf(&s, "- %s\n", note)
		}
		if d.NoRail != "" {
			fmt.Fprintf(&s, "- power: %s\n", d.NoRail)
		}
		s.WriteString("\n")
	}
	describeFaults(&s, tallies)
	return s.String()
}

func row(s *strings.Builder, cells ...string) {
	fmt.Fprintf(s, "| %s |\n", strings.ReplaceAll(strings.Join(cells, " | "), "\n", " "))
}

func link(d *sensors.Driver) string { return fmt.Sprintf("[%s](#%s)", d.Name, d.Name) }

func measures(d *sensors.Driver) string {
	var names []string
	for _, q := range d.Measures {
		names = append(names, strings.ReplaceAll(q.Name, "_", " "))
	}
	if names == nil {
		return "what there is"
	}
	return strings.Join(names, ", ")
}

// addresses are those of an I2C chip: a range where they follow each other.
func addresses(d *sensors.Driver) string {
	for _, o := range d.Options {
		if o.Type != sensors.I2CAddrOption {
			continue
		}
		if n := len(o.Choices); n > 4 {
			return o.Choices[0] + " to " + o.Choices[n-1]
		}
		return strings.Join(o.Choices, ", ")
	}
	return ""
}

func recognisedBy(d *sensors.Driver) string {
	switch {
	case d.Identity != nil:
		return d.Identity.By
	case addresses(d) != "":
		return "nothing"
	}
	return ""
}

const faultsHead = `## What faults do
A driver is put through each fault that its wiring can have, one at a time, at each point of its first read and of the next one, an hour
later, when the chip measures something else. For a chip on an I2C bus these are: an address that doesn't answer, once and from then on;
a bus that reads only 0x00 or 0xFF; each bit of each answer flipped, and pairs of them; an answer that is shifted by a byte, or ends
early with 0x00 or 0xFF; an answer of random bytes; a write that is lost; each bit of each write flipped; the chip reset between any two transactions; another
program's commands between them; and the end of the time that the read may take. The chips are models, which take as long as their data
sheets allow. Afterwards the sensor is read again, and must be right.

*Refused* is an error instead of a value. *Right* is the value that the chip measured. *Wrong* is any other: there must be none, but
where the chip gives nothing to tell by. A checksum detects every flipped bit, and every two in answers as short as these. Of random
bytes a checksum of 8 bits lets 1 of 256 pass: where it guards the whole answer, the share is measured below. Two of them, of two words,
and a sum of 16 bits let 1 of 65,536 pass, which a test of this size doesn't meet.

| driver | tries | refused | right | wrong |
|---|---|---|---|---|
`

func describeFaults(s *strings.Builder, tallies map[string]sensortest.Tally) {
	s.WriteString(faultsHead)
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		var sum sensortest.Count
		for _, kind := range sensortest.Kinds {
			count := tallies[name][kind]
			sum.Add(count)
			if kind == sensortest.Guessed && count.Tries > 0 {
				reasons = append(reasons, guessed(name, count))
				continue
			}
			if count.Wrong == 0 {
				continue
			}
			for _, c := range cases[name] {
				if reason := c.Excused[kind]; reason != "" {
					reasons = append(reasons, fmt.Sprintf("- %s, %s: %d of %d: %s\n", name, kind, count.Wrong, count.Tries, reason))
					break
				}
			}
		}
		row(s, name, fmt.Sprint(sum.Tries), fmt.Sprint(sum.Refused), fmt.Sprint(sum.Right), fmt.Sprint(sum.Wrong))
	}
	if len(reasons) > 0 {
		s.WriteString("\nThe wrong ones:\n\n" + strings.Join(reasons, ""))
	}
	s.WriteString(othersTail)
}

// guessed tells the share of random answers that became values, and what it can
// be.
func guessed(name string, count sensortest.Count) string {
	share := 0.
	for _, c := range cases[name] {
		share = max(share, c.Undetected)
	}
	return fmt.Sprintf("- %s, %s: %d of %d, %.2f %%; in theory %.2f %% have a good checksum, less the answers that hold no value, and impossible values\n",
		name, sensortest.Guessed, count.Wrong, count.Tries, 100*float64(count.Wrong)/float64(count.Tries), 100*share)
}

const othersTail = `
## Other programs on the bus
Whatever of this program measures with a chip (the daemon, ` + "`read`, `check --hardware`, `scan`" + `, under whatever user) locks the chip first, for its
whole measurement: a byte of ` + "`/dev/i2c-N`" + `, the chip's address, by an open file description lock. Whoever comes second waits, never longer than
the sensor's ` + "`timeout`" + `, and then says ` + "`busy`" + `. The lock ends with its process, leaves no file behind and needs no right but that to
use the bus. Two containers share it only where they share the device node. Bursts of ultrasound are locked in the same way, all of a machine
with one lock, on its first GPIO chip.

Other programs don't ask for that lock, and the kernel can't keep them out: it holds the bus for one transaction, and a command whose
result takes some milliseconds is two. What such a program sends to the chip in between can do three things. Where it asks for what
the chip answers with other bytes, such as its serial number, the answer is known from the probe and refused as ` + "`busy`" + `. Where it changes
a setting, the setting is read back after the measurement and refused. Where it begins the very same measurement anew, the value is that
of some milliseconds later, and right. What is left is in the table above, under *another program*: let one program read each chip.
`
