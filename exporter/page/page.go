package page

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
)

// Options are what a Page is made with.
type Options struct {
	Version   string
	Clock     exporter.Clock
	Telemetry string // the path of the metrics
	// Header draws the 40-pin header with the configuration in force, linking
	// each sensor by its reference; empty where nothing is wired to it.
	Header func(link func(sensor string) string) template.HTML
	// CanRead offers the button that posts to /-/read.
	CanRead bool
}

// A Page serves the latest Snapshot to people. Its methods may be called from
// any goroutine.
type Page struct {
	Options
	History *History
	started sensors.Instant
	current atomic.Pointer[sensors.Snapshot]
}

// New makes a Page without a Snapshot.
func New(o Options) *Page {
	return &Page{Options: o, History: newHistory(), started: o.Clock.Now()}
}

// Publish makes s the Snapshot that is shown, and takes its readings into the
// curves. It renders nothing.
func (p *Page) Publish(s *sensors.Snapshot) {
	p.History.Add(s)
	p.current.Store(s)
}

// policy lets the page load nothing, run nothing and post to its own server
// only.
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (p *Page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m := p.model()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if m.refresh > 0 {
		h.Set("Refresh", strconv.Itoa(int(m.refresh/time.Second)))
	}
	// A client that is gone wants no answer.
	_, _ = w.Write(m.html())
}

//go:embed page.html page.css
var files embed.FS

var parsed = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(files, "*"))
})

// html is the page as a document.
func (m *model) html() []byte {
	var b bytes.Buffer
	if err := parsed().ExecuteTemplate(&b, "page.html", m); err != nil {
		panic(fmt.Sprintf("page: render: %v", err)) // it can't fail on a model
	}
	return b.Bytes()
}

// A model is what the page shows.
type model struct {
	Host, Version, Telemetry string
	Summary, Advice          string
	Sensors                  []sensor // those that are down first
	Header                   template.HTML
	Wires                    []sensors.Wire
	Self                     []fact
	CanRead                  bool

	refresh time.Duration // zero: nothing is planned
}

type sensor struct {
	Name, Driver, Wiring string
	State                string // "ok", "down", "not read yet"
	Down                 bool
	Failures             []failure // why it is down, and channels that failed
	Rows                 []row
	Last, Success, Next  string
}

type row struct {
	Name, Value string
	Curve       template.HTML
}

// A failure is for a person first: what is wrong, what a program that failed
// printed about it, and what to do. The technical part is the error as the log
// has it.
type failure struct{ Channel, What, Printed, Do, Technical string }

type fact struct{ Name, Value string }

func (p *Page) model() *model {
	host, err := os.Hostname()
	if err != nil {
		host = "" // the title does without
	}
	m := &model{Host: host, Version: p.Version, Telemetry: p.Telemetry, CanRead: p.CanRead}
	v := view{Page: p, now: p.Clock.Now(), snapshot: p.current.Load()}
	if v.snapshot == nil {
		m.Summary, m.refresh = "The sensors have not been read yet.", 5*time.Second
		return m
	}
	v.document = exporter.JSON(v.snapshot, p.Clock)
	down := 0
	for i := range v.document.Sensors {
		s := v.sensor(i)
		if s.Down {
			down++
		}
		m.Sensors = append(m.Sensors, s)
	}
	slices.SortStableFunc(m.Sensors, func(a, b sensor) int { return rank(a) - rank(b) })
	if p.Options.Header != nil {
		m.Header = p.Options.Header(func(sensor string) string { return "#" + Anchor(sensor) })
	}
	m.Wires = v.snapshot.Wires
	m.Self = v.self()
	m.Summary, m.Advice = v.summary(down)
	m.refresh = v.refresh()
	return m
}

func rank(s sensor) int {
	switch {
	case s.Down:
		return 0
	case len(s.Failures) > 0:
		return 1
	}
	return 2
}

// Anchor is the fragment of a sensor's place on the page.
func Anchor(sensor string) string { return "sensor-" + sensor }

// ID is the sensor's anchor.
func (s sensor) ID() string { return Anchor(s.Name) }

// A view is a Snapshot at one moment.
type view struct {
	*Page
	now      sensors.Instant
	snapshot *sensors.Snapshot
	document *exporter.Readings
}

func (v *view) sensor(i int) sensor {
	r, j := &v.snapshot.Results[i], &v.document.Sensors[i]
	s := sensor{Name: j.Name, Driver: j.Driver, Wiring: j.Wiring, State: "ok"}
	switch {
	case j.Up == nil:
		s.State = "not read yet"
	case !*j.Up:
		s.State, s.Down = "down", true
		f := failure{What: upperFirst(j.Error)} // the daemon is late, and not the sensor down
		if r.Err != nil && j.Error == r.Err.Error() {
			f = explain(r.Err)
		}
		if run := r.FailedRun; f.Do == "" && run != nil && run.Output != "" {
			f.Do = fmt.Sprintf("`sudo dormouse status %s` shows all that the run printed", r.Name)
		}
		s.Failures = append(s.Failures, f)
	}
	for _, f := range r.Failures {
		one := explain(f.Err)
		one.Channel = strings.Join(f.Labels, " ")
		s.Failures = append(s.Failures, one)
	}
	s.Rows = v.rows(r, j)
	s.Next = v.ahead(r.NextRead)
	if !r.LastRead.IsZero() {
		s.Last = v.past(r.LastRead)
	}
	if r.LastSuccess != r.LastRead {
		s.Success = v.past(r.LastSuccess)
	}
	return s
}

func (v *view) rows(r *sensors.Result, j *exporter.SensorJSON) []row {
	var rows []row
	wall, _ := v.Clock.Wall(v.now)
	for k := range j.Readings {
		g := &r.Readings[k]
		one := row{Name: j.Readings[k].Name(), Value: j.Readings[k].Text}
		if drawable(g) {
			one.Curve = sparkline(v.History.Points(r.Name, g, v.now, wall), interval(r), func(low, high float64) string {
				return fmt.Sprintf("%s, last day: %s to %s", one.Name, g.Quantity.Format(low), g.Quantity.Format(high))
			})
		}
		rows = append(rows, one)
	}
	return rows
}

// interval is how many slots may be empty between two of a sensor's reads.
func interval(r *sensors.Result) int {
	if r.NextRead.IsZero() || r.LastRead.IsZero() {
		return 0
	}
	return int(r.NextRead.Sub(r.LastRead) / slotTime)
}

// explain takes an error apart. A program's words stay in one piece: whatever
// colons they have, no advice is after them.
func explain(err error) failure {
	whole := err.Error()
	var run *sensors.RunError
	if !errors.As(err, &run) {
		return split(plain(err), whole)
	}
	f := split(plain(run.Err), strings.TrimSuffix(whole, ": "+run.Words))
	f.Printed = run.Words
	return f
}

// split takes a text apart: what is wrong and, after the last colon, what to do.
// The whole of it is the technical part, where that says more.
func split(text, whole string) failure {
	depth, colon := 0, -1 // within parentheses a colon is none of these
	for i := range len(text) {
		switch {
		case text[i] == '(':
			depth++
		case text[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(text[i:], ": "):
			colon = i
		}
	}
	f := failure{What: upperFirst(text)}
	if colon >= 0 {
		f.What, f.Do = upperFirst(text[:colon]), upperFirst(text[colon+2:])
	}
	if whole != text {
		f.Technical = whole
	}
	return f
}

// plain is what of err is for a person: what is wrong and what to do, without
// the steps that led there and without the system's own words. The log has the
// whole of it.
func plain(err error) string {
	whole := err.Error()
	var knows *sensors.Error // the innermost
	for inner, e := err, (*sensors.Error)(nil); errors.As(inner, &e); inner = e.Err {
		knows = e
	}
	if knows == nil {
		return whole
	}
	text := knows.Error()
	before, after, found := strings.Cut(whole, text)
	if !found {
		return whole
	}
	if cause := errors.Unwrap(knows.Err); cause != nil {
		text = strings.TrimSuffix(text, ": "+cause.Error())
	}
	return subject(before, text) + text + after
}

// subject is what of before, the steps that led to a text, the text is about:
// "/bin/date printed …", "register 0x02: it reads …".
func subject(before, text string) string {
	end := strings.LastIndex(before, ": ")
	if end >= 0 && strings.HasPrefix(text, "it ") {
		end = strings.LastIndex(before[:end], ": ")
	}
	if end < 0 {
		return before
	}
	return before[end+len(": "):]
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// summary is the state of all in one sentence, and what to do first.
func (v *view) summary(down int) (summary, advice string) {
	switch n := len(v.snapshot.Results); n {
	case 0:
		return "No sensor is configured yet.", "`dormouse scan --format yaml` prints a configuration with what is connected: " +
			"write it to the daemon's file (/etc/dormouse/dormouse.yml) and reload the daemon. `man dormouse.yml` explains each key."
	case 1:
		summary = "1 sensor"
	default:
		summary = fmt.Sprintf("%d sensors", n)
	}
	if down > 0 {
		return fmt.Sprintf("%s, %d of them down.", summary, down), ""
	}
	return summary + ", none down.", ""
}

// self is the daemon's own state.
func (v *view) self() []fact {
	stats := &v.snapshot.Stats
	facts := []fact{{"Asleep since", v.past(v.snapshot.At)}}
	if next := v.ahead(v.snapshot.NextWake); next != "" {
		facts = append(facts, fact{"Next wake", next})
	}
	var wakes uint64
	for _, n := range stats.Wakes {
		wakes += n
	}
	facts = append(facts, fact{"Wakes", fmt.Sprintf("%d, awake for %s of %s", wakes, length(stats.Awake), length(v.now.Sub(v.started)))})
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err == nil {
		facts = append(facts, fact{"Processor time", length(time.Duration(u.Utime.Nano() + u.Stime.Nano()))})
	}
	held := "no bus, no line, no supply"
	if n := len(v.snapshot.Wires); n > 0 {
		held = "the lines and supplies below"
	}
	return append(facts, fact{"Holds between wakes", held})
}

// refresh is when the page will have something new: when the next read has
// ended, by what the reads took so far.
func (v *view) refresh() time.Duration {
	if v.snapshot.NextWake.IsZero() {
		return 0
	}
	var took time.Duration
	for i := range v.snapshot.Results {
		took = max(took, v.snapshot.Results[i].Took)
	}
	const least = 5 * time.Second // where the daemon is late
	return max(least, (v.snapshot.NextWake.Sub(v.now) + took + 2*time.Second).Truncate(time.Second))
}

// past is a past moment: the time of day, because a page that is open doesn't
// follow, and how long ago it is.
func (v *view) past(at sensors.Instant) string {
	if at.IsZero() {
		return "never"
	}
	d := v.now.Sub(at)
	ago := length(d) + " ago"
	if d < time.Second {
		ago = "just now"
	}
	return v.clockTime(at, ago)
}

// ahead is a planned moment; empty where none is planned.
func (v *view) ahead(at sensors.Instant) string {
	if at.IsZero() {
		return ""
	}
	d := at.Sub(v.now)
	if d < -time.Second {
		return v.clockTime(at, "overdue for "+length(-d))
	}
	return v.clockTime(at, "in "+length(d))
}

// clockTime puts the time of day before words; while the wall clock can't be
// true it is left out.
func (v *view) clockTime(at sensors.Instant, words string) string {
	t, ok := v.Clock.Wall(at)
	now, nowOK := v.Clock.Wall(v.now)
	if !ok || !nowOK {
		return words
	}
	t, now = t.Local(), now.Local()
	layout := time.TimeOnly
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = time.DateTime
	}
	return t.Round(time.Second).Format(layout) + ", " + words
}

// length is a duration to a second, from a minute on; below to a millisecond.
func length(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return duration.Format(d.Round(time.Second))
}
