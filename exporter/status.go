package exporter

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"sync"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

type statusPage struct {
	Host, Version, Telemetry, Summary string
	Sensors                           []statusSensor
	Wires                             []sensors.Wire
}

type statusSensor struct {
	SensorJSON
	State, Last, Next string
	Down              bool
	Rows              []statusRow
}

type statusRow struct{ Name, Value string }

// serveStatus renders the page for people each time: they look rarely.
func (e *Exporter) serveStatus(w http.ResponseWriter, _ *http.Request) {
	page := e.status()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// A client that is gone wants no answer.
	_, _ = w.Write(page.html())
}

//go:embed status.html status.css
var statusFiles embed.FS

var statusTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(statusFiles, "*"))
})

// html is the page as a document.
func (p *statusPage) html() []byte {
	var b bytes.Buffer
	if err := statusTemplate().ExecuteTemplate(&b, "status.html", p); err != nil {
		panic(fmt.Sprintf("exporter: status page: %v", err)) // it can't fail on a statusPage
	}
	return b.Bytes()
}

func (e *Exporter) status() statusPage {
	host, err := os.Hostname()
	if err != nil {
		host = "" // the title does without
	}
	p := statusPage{Host: host, Version: e.build.Version, Telemetry: e.telemetry}
	v := e.view(e.current.Load().facts)
	if v.snapshot == nil {
		p.Summary = "The sensors have not been read yet."
		return p
	}
	down := 0
	for i := range v.snapshot.Results {
		row := v.statusSensor(&v.snapshot.Results[i])
		if row.Down {
			down++
		}
		p.Sensors = append(p.Sensors, row)
	}
	p.Wires = v.snapshot.Wires
	p.Summary = v.summary(down)
	return p
}

func (v *view) statusSensor(r *sensors.Result) statusSensor {
	j := v.sensorJSON(r)
	s := statusSensor{SensorJSON: j, State: j.state(), Down: j.Up != nil && !*j.Up, Next: v.ahead(r.NextRead)}
	if !r.LastRead.IsZero() {
		s.Last = v.ago(r.LastRead)
	}
	for _, row := range j.rows() {
		s.Rows = append(s.Rows, statusRow{Name: row[1], Value: row[2]})
	}
	return s
}

// summary is the state of all in one sentence.
func (v *view) summary(down int) string {
	if len(v.snapshot.Results) == 0 {
		return "No sensor is configured yet. `dormouse scan --format yaml` prints a configuration with what is connected: " +
			"write it to the daemon's file (/etc/dormouse/dormouse.yml) and reload the daemon. `man dormouse.yml` explains each key."
	}
	s := fmt.Sprintf("%d sensors", len(v.snapshot.Results))
	if len(v.snapshot.Results) == 1 {
		s = "1 sensor"
	}
	if down > 0 {
		s += fmt.Sprintf(", %d of them down", down)
	}
	s += "; last wake " + v.ago(v.snapshot.At)
	if next := v.ahead(v.snapshot.NextWake); next != "" {
		s += ", next " + next
	}
	return s + "."
}

// ago is how far away a past moment is.
func (v *view) ago(at sensors.Instant) string {
	d := v.now.Sub(at).Round(time.Second)
	if d < time.Second {
		return "just now"
	}
	return duration.Format(d) + " ago"
}

// ahead is how far away a planned moment is; empty where none is planned.
func (v *view) ahead(at sensors.Instant) string {
	if at.IsZero() {
		return ""
	}
	d := at.Sub(v.now).Round(time.Second)
	if d < 0 {
		return "overdue since " + duration.Format(-d)
	}
	return "in " + duration.Format(d)
}
