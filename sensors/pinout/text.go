package pinout

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The states as text shows them: a mark, its meaning in the legend, and a
// colour, which is an SGR sequence of ECMA-48, section 8.3.117. The order is
// the legend's.
var styles = []struct {
	state               State
	mark, means, colour string
}{
	{Used, "●", "used", "32"},
	{Conflict, "!", "conflict, see below", "1;31"},
	{Taken, "x", "taken by something else", "36"},
	{Free, "·", "free", "2"},
	{Supply, "+", "supply", "31"},
	{Ground, "-", "ground", "2"},
}

// widest is how much of a pin's text is shown: two of them and the header fit
// into a terminal of 100 columns.
const widest = 34

// WriteText draws the header as one sees it with the header at the upper right
// of the Pi, pin 1 at the top left; below it what isn't on the header, and the
// notes.
func (p *Pinout) WriteText(w io.Writer, colour bool) error {
	width := 0
	for i := 0; i < len(p.Pins); i += 2 {
		width = max(width, utf8.RuneCountInString(clip(p.Pins[i].Text())))
	}
	var b strings.Builder
	for i := 0; i < len(p.Pins); i += 2 {
		writeRow(&b, &p.Pins[i], &p.Pins[i+1], width, colour)
	}
	p.writeLegend(&b, colour)
	writeList(&b, "Not on the header:", p.Elsewhere)
	writeList(&b, "Notes:", p.Notes)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, left, right *Pin, width int, colour bool) {
	l, r := left.State(), right.State()
	text := clip(left.Text())
	fmt.Fprintf(b, "%s%s  %s %s %2d  %-2d %s %s", strings.Repeat(" ", width-utf8.RuneCountInString(text)),
		paint(text, l, colour), paint(fmt.Sprintf("%6s", left.Name), l, colour), paint(mark(l), l, colour), left.Pin,
		right.Pin, paint(mark(r), r, colour), paint(right.Name, r, colour))
	if text := clip(right.Text()); text != "" {
		b.WriteString(strings.Repeat(" ", 6-len(right.Name)) + "  " + paint(text, r, colour))
	}
	b.WriteByte('\n')
}

// writeLegend explains the marks that occur.
func (p *Pinout) writeLegend(b *strings.Builder, colour bool) {
	var parts []string
	for _, s := range styles {
		if slices.ContainsFunc(p.Pins[:], func(pin Pin) bool { return pin.State() == s.state }) {
			parts = append(parts, paint(s.mark, s.state, colour)+" "+s.means)
		}
	}
	fmt.Fprintf(b, "\n%s\n", strings.Join(parts, "   "))
}

func writeList(b *strings.Builder, title string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n%s\n  %s\n", title, strings.Join(lines, "\n  "))
	}
}

func mark(state State) string {
	for _, s := range styles {
		if s.state == state {
			return s.mark
		}
	}
	return " "
}

func paint(text string, state State, colour bool) string {
	for _, s := range styles {
		if s.state == state && colour && strings.TrimSpace(text) != "" {
			return "\x1b[" + s.colour + "m" + text + "\x1b[0m"
		}
	}
	return text
}

func clip(text string) string { return clipTo(text, widest) }

func clipTo(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
