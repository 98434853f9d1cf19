package command

import (
	"bytes"
	"errors"
	"fmt"
	"math"
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

// A parser turns metrics in the text format into readings. It keeps the
// quantities of the last output for the next, so that one series has one
// quantity from wake to wake.
type parser struct {
	known, used map[string]*sensors.Quantity
}

// A sample is one line: a series of a raw name, which for the parts of a
// histogram or summary differs from the family's, and its value.
type sample struct {
	labels []label // sorted by name, none of them empty
	value  float64
}

type label struct{ name, value string }

// parse reads the whole output or nothing of it: half a page is an error, not
// half the readings. Only a value that is no number spoils its own series
// alone.
func (p *parser) parse(text []byte, r *sensors.Report) error {
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
		return sensors.Errorf(sensors.Command, "%s is no part of a histogram or summary (those are _bucket with le, _count, _sum, and quantile)", name)
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
func (p *parser) family(name string, families map[string]*dto.MetricFamily, samples map[string][]sample, reports []func(*sensors.Report)) ([]func(*sensors.Report), error) {
	family := families[name]
	kind, ok := kinds[family.GetType()]
	if !ok {
		return nil, fmt.Errorf("%s is of the type %v, which the text format doesn't have: use gauge, counter, histogram or summary", name, family.GetType())
	}
	own := ownQuantities()[name]
	if own != nil && kind != own.Kind && kind != sensors.Untyped {
		own = nil // sensors.Families refuses it
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
func (p *parser) quantity(family *dto.MetricFamily, kind sensors.Kind, own *sensors.Quantity, s sample) *sensors.Quantity {
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

// A distribution as it is put together.
type distribution struct {
	series      sample
	dist        sensors.Distribution
	count, sum  bool
	infinite    float64
	hasInfinite bool
	invalid     error // a value that no series may have: this one alone fails
}

func (p *parser) distributions(family *dto.MetricFamily, kind sensors.Kind, samples map[string][]sample, reports []func(*sensors.Report)) ([]func(*sensors.Report), error) {
	name := family.GetName()
	found := map[string]*distribution{}
	var order []*distribution
	of := func(s sample) *distribution {
		series := s.text()
		d := found[series]
		if d == nil {
			d = &distribution{series: s}
			found[series], order = d, append(order, d)
		}
		return d
	}
	part, by := name+"_bucket", "le"
	if kind == sensors.Summary {
		part, by = name, "quantile"
	}
	for _, s := range samples[part] {
		rest, text, ok := s.without(by)
		if !ok {
			return nil, fmt.Errorf("%s%s lacks the label %s", part, s.text(), by)
		}
		at, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %s is no number", part, s.text(), by)
		}
		add := of(rest).bucket
		if kind == sensors.Summary {
			add = of(rest).quantile
		}
		if err := add(at, s.value); err != nil {
			return nil, fmt.Errorf("%s%s: %w", part, s.text(), err)
		}
	}
	for _, s := range samples[name+"_count"] {
		d := of(s)
		n, err := wholeCount(s.value)
		if err != nil {
			return nil, fmt.Errorf("%s_count%s: %w", name, s.text(), err)
		}
		d.dist.Count, d.count = n, true
	}
	for _, s := range samples[name+"_sum"] {
		d := of(s)
		if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
			d.invalid = sensors.Errorf(sensors.OutOfRange, "%s_sum%s is %v, which is not a number", name, s.text(), s.value)
		}
		d.dist.Sum, d.sum = s.value, true
	}
	for _, part := range []string{part, name + "_count", name + "_sum"} {
		delete(samples, part)
	}
	for _, d := range order {
		if err := d.complete(kind); err != nil {
			return nil, fmt.Errorf("%s %s%s: %w", kind, name, d.series.text(), err)
		}
		q, dist := p.quantity(family, kind, nil, d.series), &d.dist
		reports = append(reports, func(r *sensors.Report) {
			if d.invalid != nil {
				r.Fail(d.invalid, d.series.values()...)
				return
			}
			r.SetDistribution(q, dist, d.series.values()...)
		})
	}
	return reports, nil
}

// bucket adds a histogram's bucket. The infinite one is the count again.
func (d *distribution) bucket(bound, v float64) error {
	n, err := wholeCount(v)
	switch {
	case err != nil:
		return err
	case math.IsNaN(bound):
		return errors.New("le is no number")
	case math.IsInf(bound, 1):
		d.infinite, d.hasInfinite = v, true
		return nil
	}
	if d.dist.Buckets == nil {
		d.dist.Buckets = map[float64]uint64{}
	}
	if _, twice := d.dist.Buckets[bound]; twice {
		return errors.New("there is another bucket of that bound")
	}
	d.dist.Buckets[bound] = n
	return nil
}

// quantile adds a summary's quantile. NaN is how the format says that there
// were no observations: then the quantile is absent.
func (d *distribution) quantile(at, v float64) error {
	if !(at >= 0 && at <= 1) {
		return errors.New("a quantile is a number from 0 to 1")
	}
	if math.IsInf(v, 0) {
		d.invalid = sensors.Errorf(sensors.OutOfRange, "the quantile %v of a summary is %v, which is not a number", at, v)
	}
	if d.dist.Quantiles == nil {
		d.dist.Quantiles = map[float64]float64{}
	}
	if _, twice := d.dist.Quantiles[at]; twice {
		return errors.New("that quantile is there twice")
	}
	if !math.IsNaN(v) {
		d.dist.Quantiles[at] = v
	}
	return nil
}

// complete tells whether all parts are there and agree.
func (d *distribution) complete(kind sensors.Kind) error {
	switch {
	case !d.count || !d.sum:
		return errors.New("its _count or _sum is missing")
	case kind == sensors.Summary:
		return nil
	case !d.hasInfinite:
		return errors.New(`its bucket le="+Inf" is missing`)
	case d.infinite != float64(d.dist.Count):
		return fmt.Errorf(`its bucket le="+Inf" is %v and its _count %d: they are the same thing`, d.infinite, d.dist.Count)
	}
	bounds := make([]float64, 0, len(d.dist.Buckets))
	for b := range d.dist.Buckets {
		bounds = append(bounds, b)
	}
	slices.Sort(bounds)
	last := uint64(0)
	for _, b := range bounds {
		if d.dist.Buckets[b] < last || d.dist.Buckets[b] > d.dist.Count {
			return fmt.Errorf("its bucket le=%q doesn't fit its neighbours: buckets are cumulative", strconv.FormatFloat(b, 'g', -1, 64))
		}
		last = d.dist.Buckets[b]
	}
	return nil
}

// wholeCount converts a count, which must be a whole number that a float64
// still holds exactly.
func wholeCount(v float64) (uint64, error) {
	if !(v >= 0 && v <= 1<<53) || v != math.Trunc(v) {
		return 0, fmt.Errorf("%v is no count", v)
	}
	return uint64(v), nil
}
