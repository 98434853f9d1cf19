package exporter

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

//go:embed status.css
var statusCSS string

// A markup is HTML in the making. It is written by hand because html/template
// would keep a megabyte in the executable: see docs/dependencies.md.
type markup struct{ bytes.Buffer }

// add writes HTML with values in it. Each is escaped, so that it stays text, in
// an element or in an attribute between double quotes, whatever it holds.
func (m *markup) add(format string, values ...any) {
	escaped := make([]any, len(values))
	for i, v := range values {
		escaped[i] = html.EscapeString(fmt.Sprint(v))
	}
	fmt.Fprintf(m, format, escaped...) // a Buffer's error is always nil
}

// html is the page as a document.
func (p *statusPage) html() []byte {
	title := "Dormouse"
	if p.Host != "" {
		title += " on " + p.Host
	}
	m := &markup{}
	m.add(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
`, title)
	m.WriteString(statusCSS)
	m.add(`</style>
</head>
<body>
<h1>%s</h1>
<p>%s</p>
`, title, p.Summary)
	if len(p.Sensors) > 0 {
		m.tableOf("Sensor", "Reading", "Value", "State")
		for i := range p.Sensors {
			m.sensor(&p.Sensors[i])
		}
		m.add("</table></div>")
	}
	m.add("\n")
	if len(p.Wires) > 0 {
		m.add("<h2>Held wires and rails</h2>\n")
		m.tableOf("Name", "Kind", "Line", "State")
		for _, w := range p.Wires {
			m.wire(w)
		}
		m.add("</table></div>")
	}
	m.add(`
<nav><a href="%s">Metrics</a><a href="/readings.json">Readings as JSON</a><a href="/-/healthy">Health</a><a href="/-/ready">Readiness</a></nav>
<p>dormouse %s. The page shows the last wake; looking at it reads no sensor.</p>
</body>
</html>
`, (&url.URL{Path: p.Telemetry}).EscapedPath(), p.Version)
	return m.Bytes()
}

// tableOf begins a table that can be scrolled sideways.
func (m *markup) tableOf(columns ...string) {
	m.add("<div class=\"scroll\"><table>\n<thead><tr>")
	for _, c := range columns {
		m.add("<th>%s</th>", c)
	}
	m.add("</tr></thead>\n")
}

// sensor is a group of rows, one for each reading; its name and its state stand
// beside all of them.
func (m *markup) sensor(s *statusSensor) {
	if s.Down {
		m.add("<tbody class=\"down\">\n")
	} else {
		m.add("<tbody>\n")
	}
	for i, row := range s.Rows {
		m.add("<tr>")
		if i == 0 {
			m.add(`<td rowspan="%s"><b>%s</b><small>%s, %s</small></td>`, len(s.Rows), s.Name, s.Driver, s.Wiring)
		}
		m.add(`<td>%s</td><td class="value">%s</td>`, row.Name, row.Value)
		if i == 0 {
			m.add(`<td rowspan="%s">`, len(s.Rows))
			m.state(s)
			m.add("</td>")
		}
		m.add("</tr>\n")
	}
	m.add("</tbody>\n")
}

func (m *markup) state(s *statusSensor) {
	class := "" // not read yet
	switch {
	case s.Down:
		class = "is-down"
	case s.Up != nil:
		class = "up"
	}
	m.add(`<span class="%s">%s</span>`, class, s.State)
	if s.Last != "" {
		m.add("<small>read %s</small>", s.Last)
	}
	if s.Next != "" {
		m.add("<small>next read %s</small>", s.Next)
	}
	for _, f := range s.Failures {
		m.add(`<small class="is-down">%s: %s</small>`, strings.Join(slices.Concat(f.Labels, []string{"failed"}), " "), f.Error)
	}
}

func (m *markup) wire(w sensors.Wire) {
	state := "inactive"
	if w.Active {
		state = "active"
	}
	m.add("<tbody><tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr></tbody>\n", w.Name, w.Kind, w.Where, state)
}
