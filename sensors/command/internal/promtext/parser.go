// Package promtext turns metrics that a program prints in Prometheus' text
// format into readings. It refuses what the format's own parser accepts and
// silently drops or overwrites.
package promtext

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxLines bounds the memory that parsing takes: a line becomes some hundred
// bytes, whatever its length.
const maxLines = 10_000

// reserved are the families that the daemon exports of itself.
var reserved = []string{"dormouse_", "process_", "go_"}

// ownQuantities are the families of the daemon's own readings, by metric name.
var ownQuantities = sync.OnceValue(func() map[string]*sensors.Quantity {
	m := map[string]*sensors.Quantity{}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		m[q.MetricName()] = q
	}
	return m
})

var kinds = map[dto.MetricType]sensors.Kind{
	dto.MetricType_GAUGE:     sensors.Gauge,
	dto.MetricType_COUNTER:   sensors.Counter,
	dto.MetricType_UNTYPED:   sensors.Untyped,
	dto.MetricType_HISTOGRAM: sensors.Histogram,
	dto.MetricType_SUMMARY:   sensors.Summary,
}

// A Parser turns metrics in the text format into readings. It keeps the
// quantities of the last output for the next, so that one series has one
// quantity from wake to wake.
type Parser struct {
	known, used map[string]*sensors.Quantity
}

// A sample is one line: a series of a raw name, which for the parts of a
// histogram or summary differs from the family's, and its value.
type sample struct {
	labels []label // sorted by name, none of them empty
	value  float64
}

type label struct{ name, value string }

// Parse reads the whole output or nothing of it: half a page is an error, not
// half the readings. Only a value that is no number spoils its own series
// alone.
func (p *Parser) Parse(text []byte, r *sensors.Report) error {
	families, samples, err := read(text)
	if err != nil {
		return sensors.Errorf(sensors.Command, "%w", err)
	}
	var reports []func(*sensors.Report) // run only when all of it is read
	p.used = make(map[string]*sensors.Quantity, len(p.known))
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		reports, err = p.family(name, families, samples, reports)
		if err != nil {
			return sensors.Errorf(sensors.Command, "%w", err)
		}
	}
	for name := range samples {
		return sensors.Errorf(sensors.Command, "%s is not a part of a histogram or summary (those are _bucket with le, _count, _sum, and quantile)", name)
	}
	if len(reports) == 0 {
		return sensors.Errorf(sensors.Command, "no metrics in it: print some, or use output=none")
	}
	for _, report := range reports {
		report(r)
	}
	p.known = p.used
	return nil
}

// read parses text twice. The first time the library puts the parts of
// histograms and summaries together, and silently drops or overwrites what
// doesn't fit; it is asked for names, types and help only. The second time,
// without comments, every line is a sample of its own, which can be checked.
func read(text []byte) (map[string]*dto.MetricFamily, map[string][]sample, error) {
	switch {
	case len(text) == 0:
		return nil, nil, errors.New("it is empty: print metrics, or use output=none")
	case !utf8.Valid(text):
		return nil, nil, errors.New("it is not UTF-8")
	case bytes.Count(text, []byte("\n")) > maxLines:
		return nil, nil, fmt.Errorf("it has more than %d lines: print less", maxLines)
	case text[len(text)-1] != '\n':
		return nil, nil, errors.New("its last line has no end: was it cut off? print a newline after each sample")
	}
	families, err := parseText(text)
	if err != nil {
		return nil, nil, err
	}
	raw, err := parseText(withoutComments(text))
	if err != nil {
		return nil, nil, err
	}
	samples := make(map[string][]sample, len(raw))
	for name, family := range raw {
		list, err := samplesOf(name, family)
		if err != nil {
			return nil, nil, err
		}
		samples[name] = list
	}
	return families, samples, nil
}

func parseText(text []byte) (map[string]*dto.MetricFamily, error) {
	// Names beyond ASCII, which Prometheus 3 allows in quotes, are refused: not
	// everything that reads the page can.
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	var where expfmt.ParseError
	if errors.As(err, &where) {
		return nil, fmt.Errorf("not Prometheus' text format, line %d: %s", where.Line, where.Msg)
	}
	return families, err
}

// withoutComments empties the comment lines and keeps the number of lines.
func withoutComments(text []byte) []byte {
	samples := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")) {
			line = []byte("\n")
		}
		samples = append(samples, line...)
	}
	return samples
}

func samplesOf(name string, family *dto.MetricFamily) ([]sample, error) {
	for _, prefix := range reserved {
		if strings.HasPrefix(name, prefix) {
			return nil, fmt.Errorf("%s: names beginning with %s are the daemon's own: choose another", name, prefix)
		}
	}
	list := make([]sample, 0, len(family.Metric))
	seen := make(map[string]bool, len(family.Metric))
	for _, m := range family.Metric {
		s := sample{value: m.GetUntyped().GetValue()}
		for _, l := range m.Label {
			switch n := l.GetName(); {
			case n == "sensor" || n == "instance" || n == "job" || strings.HasPrefix(n, "__"):
				return nil, fmt.Errorf("%s: the label %s isn't yours to set: sensor is added by the daemon, instance and job by Prometheus", name, n)
			case l.GetValue() != "": // an empty one is the same as none
				s.labels = append(s.labels, label{n, l.GetValue()})
			}
		}
		slices.SortFunc(s.labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
		series := name + s.text()
		if seen[series] {
			return nil, fmt.Errorf("%s is there twice", series)
		}
		seen[series] = true
		if m.TimestampMs != nil {
			return nil, fmt.Errorf("%s has a time stamp: print the value alone, Prometheus takes the time of its scrape", series)
		}
		list = append(list, s)
	}
	return list, nil
}

func (s sample) text() string {
	if len(s.labels) == 0 {
		return ""
	}
	parts := make([]string, len(s.labels))
	for i, l := range s.labels {
		parts[i] = l.name + "=" + strconv.Quote(l.value)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// without returns the sample without one label, and that label's value.
func (s sample) without(name string) (sample, string, bool) {
	for i, l := range s.labels {
		if l.name == name {
			rest := append(append([]label(nil), s.labels[:i]...), s.labels[i+1:]...)
			return sample{rest, s.value}, l.value, true
		}
	}
	return s, "", false
}

// family adds what one family reports, and takes its samples out of the map.
func (p *Parser) family(name string, families map[string]*dto.MetricFamily, samples map[string][]sample, reports []func(*sensors.Report)) ([]func(*sensors.Report), error) {
	family := families[name]
	kind, ok := kinds[family.GetType()]
	if !ok {
		return nil, fmt.Errorf("%s is of the type %v, which the text format doesn't have: use gauge, counter, histogram or summary", name, family.GetType())
	}
	own := ownQuantities()[name]
	if own != nil && kind != own.Kind && kind != sensors.Untyped {
		own = nil // package families refuses it
	}
	if kind == sensors.Histogram || kind == sensors.Summary {
		for _, part := range []string{name + "_bucket", name + "_count", name + "_sum"} {
			if families[part] != nil {
				return nil, fmt.Errorf("%s is both a metric and a part of the %s %s: rename one", part, kind, name)
			}
		}
		return p.distributions(family, kind, samples, reports)
	}
	for _, s := range samples[name] {
		q := p.quantity(family, kind, own, s)
		reports = append(reports, func(r *sensors.Report) {
			if q.Kind == sensors.Counter && s.value < 0 {
				r.Fail(sensors.Errorf(sensors.OutOfRange, "%s%s is a counter and below zero: %v", name, s.text(), s.value), s.values()...)
				return
			}
			r.Set(q, s.value, s.values()...)
		})
	}
	delete(samples, name)
	return reports, nil
}

func (s sample) values() []string {
	values := make([]string, len(s.labels))
	for i, l := range s.labels {
		values[i] = l.value
	}
	return values
}

// quantity is that of a series: one for each family and set of label names.
func (p *Parser) quantity(family *dto.MetricFamily, kind sensors.Kind, own *sensors.Quantity, s sample) *sensors.Quantity {
	names := make([]string, len(s.labels))
	for i, l := range s.labels {
		names[i] = l.name
	}
	key := strings.Join(append([]string{family.GetName(), kind.String(), family.GetHelp()}, names...), "\x00")
	q := p.used[key]
	if q == nil {
		q = p.known[key]
	}
	if q == nil {
		if own != nil {
			copied := *own
			q = &copied
		} else {
			q = &sensors.Quantity{Name: family.GetName(), Unit: units.None, Kind: kind, Metric: family.GetName(), Help: family.GetHelp()}
			if q.Help == "" {
				q.Help = "Printed by a program."
			}
		}
		q.Labels = names
	}
	p.used[key] = q
	return q
}
