package pinout

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Measures of the picture, in its own units: a row of two pins, the middle of
// each column, and where wires end and labels begin.
const (
	svgWidth  = 420
	svgRow    = 18
	svgLeft   = 198
	svgRight  = 222
	svgRadius = 6
	svgName   = 11 // from a pin's middle to its name
	svgWire   = 60 // to the beginning of its wire
	svgText   = 82 // to the label at the wire's end
	svgLabel  = 17 // characters of a label that fit
)

// wireColours tell the wires of neighbours apart, on a light and on a dark
// ground: the contrast of each is at least 3 with white and with black.
var wireColours = []string{"#2f78c4", "#c2591a", "#2c8a4b", "#a04fc0", "#8a7412", "#c43f6b"}

// Used tells whether the configuration wires anything to the header.
func (p *Pinout) Used() bool {
	for i := range p.Pins {
		if len(p.Pins[i].Users) > 0 {
			return true
		}
	}
	return false
}

// WriteSVG draws the header as WriteText does, with a coloured wire to each pin
// that is used. Each pin has a title; a label leads to where link says that its
// sensor is.
func (p *Pinout) WriteSVG(w io.Writer, link func(sensor string) string) error {
	var b strings.Builder
	rows := len(p.Pins) / 2
	fmt.Fprintf(&b, `<svg class="pinout" role="img" viewBox="0 0 %d %d"><title>The 40-pin header, pin 1 at the top left</title>`, svgWidth, rows*svgRow+4)
	fmt.Fprintf(&b, `<rect x="%d" y="1" width="%d" height="%d" rx="4" fill="none" stroke="currentColor" stroke-opacity=".4"/>`,
		svgLeft-svgRadius-4, svgRight-svgLeft+2*svgRadius+8, rows*svgRow+2)
	colours := map[string]string{} // of what a wire is for
	for i := range p.Pins {
		p.Pins[i].writeSVG(&b, i, colours, link)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (pin *Pin) writeSVG(b *strings.Builder, i int, colours map[string]string, link func(string) string) {
	x, side, anchor := svgLeft, -1, "end"
	if i%2 == 1 {
		x, side, anchor = svgRight, 1, "start"
	}
	y := i/2*svgRow + svgRow/2 + 2
	text := pin.Text()
	title := fmt.Sprintf("pin %d, %s", pin.Pin, pin.Name)
	if text != "" {
		title += ": " + text
	}
	fmt.Fprintf(b, `<g id="pin-%d"><title>%s</title>`, pin.Pin, html.EscapeString(title))
	state := pin.State()
	colour := map[State]string{Supply: "#c43f3f", Ground: "#666", Taken: "#777", Free: "#999"}[state]
	if state == Used || state == Conflict {
		colour = pin.wireColour(colours)
		if state == Conflict {
			colour = "#c43f3f"
		}
		fmt.Fprintf(b, `<path d="M%d %dh%d" stroke="%s" stroke-width="3"/>`, x+side*svgWire, y, side*(svgText-svgWire-4), colour)
	}
	class := ""
	if len(pin.Users) == 0 {
		class = ` class="pin"`
	}
	fmt.Fprintf(b, `<circle%s cx="%d" cy="%d" r="%d" fill="%s" stroke="%s" stroke-width="2"/>`, class, x, y, svgRadius, colour, colour)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s">%s</text>`, x+side*svgName, y+4, anchor, html.EscapeString(pin.Name))
	if text != "" {
		label := fmt.Sprintf(`<text x="%d" y="%d" text-anchor="%s">%s</text>`, x+side*svgText, y+4, anchor, html.EscapeString(clipTo(pin.short(), svgLabel)))
		if len(pin.Users) > 0 && len(pin.Users[0].Sensors) > 0 {
			label = fmt.Sprintf(`<a href="%s">%s</a>`, html.EscapeString(link(pin.Users[0].Sensors[0])), label)
		}
		b.WriteString(label)
	}
	b.WriteString("</g>")
}

// short is Text for a narrow place: the sensors of a bus without its name.
func (pin *Pin) short() string {
	if len(pin.Users) == 0 || pin.Users[0].Signal == "" {
		return pin.Text()
	}
	return pin.Users[0].Signal + " " + strings.Join(pin.Users[0].Sensors, ", ")
}

// wireColour is one for each use: the wires of one chip have the same.
func (pin *Pin) wireColour(colours map[string]string) string {
	use := pin.Users[0].group
	if use == "" {
		use = pin.Users[0].Label
	}
	if colours[use] == "" {
		colours[use] = wireColours[len(colours)%len(wireColours)]
	}
	return colours[use]
}
