package exporter

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// Readings is a Snapshot as JSON: the document of /readings.json and of
// "dormouse read --format json". Fields are added to it, never changed or
// taken away. Times are RFC 3339 in UTC, and null where there is none or the
// clock can't be true.
type Readings struct {
	Time     *time.Time   `json:"time"`      // the end of the wake
	NextWake *time.Time   `json:"next_wake"` // null: none is planned
	Sensors  []SensorJSON `json:"sensors"`   // in the order of the configuration
	Wires    []WireJSON   `json:"wires"`
}

// SensorJSON is one sensor's state.
type SensorJSON struct {
	Name   string            `json:"name"`
	Driver string            `json:"driver"`
	Wiring string            `json:"wiring"` // in words, for people
	Claims []sensors.Claim   `json:"claims"` // the same for programs
	Labels map[string]string `json:"labels"`

	Up     *bool  `json:"up"`               // null before the first read
	Reason string `json:"reason,omitempty"` // why it is down, as the label of dormouse_sensor_read_errors_total
	Error  string `json:"error,omitempty"`  // the same, for people

	// Channels tells of each channel whether it is up; absent of a sensor without.
	Channels map[string]bool `json:"channels,omitempty"`

	LastRead     *time.Time        `json:"last_read"`
	LastSuccess  *time.Time        `json:"last_success"`
	NextRead     *time.Time        `json:"next_read"`
	ReadDuration *float64          `json:"read_duration_seconds"` // null before the first read
	Reads        uint64            `json:"reads"`
	ExtraTries   uint64            `json:"extra_tries"`            // between the due reads, while it was down
	ReadErrors   map[string]uint64 `json:"read_errors"`            // by reason; those that happened
	SkippedRuns  map[string]uint64 `json:"skipped_runs,omitempty"` // of a program, by cause

	Readings []ReadingJSON `json:"readings"`
	Failures []FailureJSON `json:"failures"` // of single channels, at the last read
}

// ReadingJSON is one value in its base unit.
type ReadingJSON struct {
	Quantity string            `json:"quantity"`
	Metric   string            `json:"metric"`
	Type     string            `json:"type"`
	Unit     string            `json:"unit"`   // as in the metric's name; empty: a pure number
	Labels   map[string]string `json:"labels"` // those that tell several readings of a sensor apart
	Value    *float64          `json:"value"`  // null of a histogram or summary, and of a time that isn't known
	Text     string            `json:"text"`   // as people like to see it

	Distribution *DistributionJSON `json:"distribution,omitempty"`
}

// DistributionJSON is a program's histogram or summary.
type DistributionJSON struct {
	Count     uint64              `json:"count"`
	Sum       *float64            `json:"sum"`
	Buckets   map[string]uint64   `json:"buckets,omitempty"`   // cumulative, by upper bound
	Quantiles map[string]*float64 `json:"quantiles,omitempty"` // null: nothing was observed
}

// FailureJSON is a channel that could not be read while others could.
type FailureJSON struct {
	Labels []string `json:"labels"` // values, as the reading would have had
	Reason string   `json:"reason"`
	Error  string   `json:"error"`
}

// WireJSON is a rail, or a line that is held between polls.
type WireJSON struct {
	Kind      string   `json:"kind"` // "rail" or "line"
	Name      string   `json:"name"`
	Where     string   `json:"where"`
	Active    bool     `json:"active"`
	OnSeconds *float64 `json:"on_seconds,omitempty"` // of a rail
}

// JSON is what s says at the clock's present moment: readings that have
// expired are left out, and their sensor is down.
func JSON(s *sensors.Snapshot, clock Clock) *Readings {
	v := view{facts: facts{snapshot: s}, now: clock.Now(), clock: clock}
	doc := &Readings{
		Time:     v.stamp(s.At),
		NextWake: v.stamp(s.NextWake),
		Sensors:  make([]SensorJSON, 0, len(s.Results)),
		Wires:    make([]WireJSON, 0, len(s.Wires)),
	}
	for i := range s.Results {
		doc.Sensors = append(doc.Sensors, v.sensorJSON(&s.Results[i]))
	}
	for _, w := range s.Wires {
		wire := WireJSON{Kind: w.Kind, Name: w.Name, Where: w.Where, Active: w.Active}
		if w.Kind == "rail" {
			on := w.OnTime.Seconds()
			wire.OnSeconds = &on
		}
		doc.Wires = append(doc.Wires, wire)
	}
	return doc
}

func (v *view) sensorJSON(r *sensors.Result) SensorJSON {
	j := SensorJSON{
		Name: r.Name, Driver: r.Driver, Wiring: r.Wiring, Claims: append([]sensors.Claim{}, r.Claims...),
		Labels:   make(map[string]string, len(r.Labels)),
		LastRead: v.stamp(r.LastRead), LastSuccess: v.stamp(r.LastSuccess), NextRead: v.stamp(r.NextRead),
		Reads: r.Reads, ExtraTries: r.ExtraTries, SkippedRuns: r.Skipped,
		ReadErrors: make(map[string]uint64, len(r.Errors)),
		Readings:   make([]ReadingJSON, 0, len(r.Readings)),
		Failures:   make([]FailureJSON, 0, len(r.Failures)),
	}
	for _, l := range r.Labels {
		j.Labels[l.Name] = l.Value
	}
	if r.Tried {
		up, reason, err := v.up(r)
		took := r.Took.Seconds()
		j.Up, j.Reason, j.ReadDuration = &up, string(reason), &took
		if err != nil {
			j.Error = err.Error()
		}
		for _, ch := range r.Channels {
			if j.Channels == nil {
				j.Channels = make(map[string]bool, len(r.Channels))
			}
			j.Channels[ch.Name] = up && ch.Up
		}
	}
	for reason, n := range r.Errors {
		if n > 0 {
			j.ReadErrors[string(reason)] = n
		}
	}
	for _, g := range v.readings(r) {
		j.Readings = append(j.Readings, v.readingJSON(g))
	}
	for _, f := range r.Failures {
		j.Failures = append(j.Failures, FailureJSON{append([]string{}, f.Labels...), string(sensors.ReasonOf(f.Err)), f.Err.Error()})
	}
	return j
}

func (v *view) readingJSON(g sensors.Reading) ReadingJSON {
	q := g.Quantity
	j := ReadingJSON{
		Quantity: q.Name, Metric: q.MetricName(), Type: q.Kind.String(),
		Labels: make(map[string]string, len(q.Labels)),
		Text:   v.text(g),
	}
	if q.Unit != nil {
		j.Unit = q.Unit.Suffix
	}
	for i, name := range q.Labels {
		if i < len(g.Labels) {
			j.Labels[name] = g.Labels[i]
		}
	}
	if !g.At.IsZero() {
		if t, ok := v.clock.Wall(g.At); ok {
			j.Value = number(unixTime(t))
		}
		return j
	}
	if g.Dist == nil {
		j.Value = number(g.Value)
		return j
	}
	j.Distribution = &DistributionJSON{Count: g.Dist.Count, Sum: number(g.Dist.Sum)}
	if q.Kind == sensors.Histogram {
		j.Distribution.Buckets = map[string]uint64{formatFloat(math.Inf(1)): g.Dist.Count}
	}
	for bound, n := range g.Dist.Buckets {
		j.Distribution.Buckets[formatFloat(bound)] = n
	}
	for quantile, value := range g.Dist.Quantiles {
		if j.Distribution.Quantiles == nil {
			j.Distribution.Quantiles = make(map[string]*float64)
		}
		j.Distribution.Quantiles[formatFloat(quantile)] = number(value)
	}
	return j
}

// number is v, or null where JSON has no such number.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// stamp is the wall-clock time of at to the nearest millisecond, or nil.
func (v *view) stamp(at sensors.Instant) *time.Time {
	t, ok := v.clock.Wall(at)
	if !ok {
		return nil
	}
	t = t.UTC().Round(time.Millisecond)
	return &t
}

// mostUnixTime begins the year 10000, in seconds: a larger number is no time.
const mostUnixTime = 253402300800

// text renders a reading as people like to see it.
func (v *view) text(g sensors.Reading) string {
	q := g.Quantity
	switch {
	case !g.At.IsZero():
		t, ok := v.clock.Wall(g.At)
		if !ok {
			return "unknown until the clock is set"
		}
		return t.Local().Format(time.DateTime)
	case g.Dist != nil:
		return fmt.Sprintf("%d observations, sum %s", g.Dist.Count, q.Format(g.Dist.Sum))
	case q.Unit == units.Seconds && strings.HasSuffix(q.Name, "timestamp") && math.Abs(g.Value) < mostUnixTime:
		return time.UnixMilli(int64(math.Round(g.Value * 1000))).Local().Format(time.DateTime)
	case (q.Unit == nil || q.Unit == units.None) && g.Value == math.Trunc(g.Value):
		return strconv.FormatFloat(g.Value, 'f', 0, 64)
	}
	return q.Format(g.Value)
}

// serveReadings answers with the document of /readings.json.
func (e *Exporter) serveReadings(w http.ResponseWriter, _ *http.Request) {
	s := e.current.Load().facts.snapshot
	if s == nil {
		plain(w, http.StatusServiceUnavailable, "dormouse has not read its sensors yet")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := WriteJSON(w, s, e.clock); err != nil {
		e.log.Debug("answer with the readings", "err", err)
	}
}

// WriteJSON writes s as WriteReadings does.
func WriteJSON(w io.Writer, s *sensors.Snapshot, clock Clock) error {
	return WriteReadings(w, JSON(s, clock))
}

// WriteReadings writes the document, indented, and a line end.
func WriteReadings(w io.Writer, r *Readings) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
