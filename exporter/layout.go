package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"

	"example.org/dormouse/sensors"
)

// A layout holds the series of a page and sets them, family by family, into the
// form that Prometheus' encoders write. It checks and orders them as the
// registry of client_golang does, beside which the tests hold it; but the
// registry makes all families of a page anew, which is 175 kB of garbage for a
// page of 10 sensors. A layout is used again for the next page, and holds one
// family at a time in that form: a page leaves 8 kB, of which 5 are its bytes.
type layout struct {
	samples []sample
	labels  []label // of all samples, one after the other
	seen    map[uint64]struct{}
	seed    maphash.Seed
	press   press
}

// A sample is one series on the page: its value, or its distribution.
type sample struct {
	family      *claim
	value       float64
	dist        *sensors.Distribution
	first, last int // its labels: layout.labels[first:last], by name
}

type label struct{ name, value string }

// errTwice is that a series is on the page already.
var errTwice = errors.New("a series with the same labels is on the page already")

// reset makes the page empty.
func (l *layout) reset() {
	if l.seen == nil {
		l.seen, l.seed = make(map[uint64]struct{}), maphash.MakeSeed()
	}
	clear(l.seen)
	clear(l.samples) // what they point to may be forgotten
	clear(l.labels)
	l.samples, l.labels = l.samples[:0], l.labels[:0]
}

// begin begins a series; label says its labels, and end ends it.
func (l *layout) begin(f *claim, v float64, d *sensors.Distribution) {
	l.samples = append(l.samples, sample{f, v, d, len(l.labels), 0})
}

func (l *layout) label(name, value string) {
	l.labels = append(l.labels, label{name, value})
}

// end puts the series on the page, unless it can't be one.
func (l *layout) end() error {
	s := &l.samples[len(l.samples)-1]
	s.last = len(l.labels)
	labels := l.labels[s.first:]
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	err := check(s.family, labels)
	if err == nil {
		hash := l.hash(s.family.family, labels)
		if _, there := l.seen[hash]; there {
			err = errTwice
		}
		l.seen[hash] = struct{}{}
	}
	if err != nil {
		l.labels, l.samples = l.labels[:s.first], l.samples[:len(l.samples)-1]
	}
	return err
}

// hash stands for a series: of two that differ it is the same with a
// probability of 2^-64.
func (l *layout) hash(name string, labels []label) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	write := func(s string) {
		_, _ = h.WriteString(s) // it can't fail
		_ = h.WriteByte(0xff)   // no valid text has it
	}
	write(name)
	for _, l := range labels {
		write(l.name)
		write(l.value)
	}
	return h.Sum64()
}

// check tells whether such a series can be: its labels are sorted.
func check(f *claim, labels []label) error {
	if !model.UTF8Validation.IsValidMetricName(f.family) {
		return fmt.Errorf("%q is not a valid metric name", f.family)
	}
	for i, l := range labels {
		switch {
		case !model.UTF8Validation.IsValidLabelName(l.name), strings.HasPrefix(l.name, model.ReservedLabelPrefix):
			return fmt.Errorf("%q is not a valid label name", l.name)
		case f.kind == sensors.Histogram && l.name == model.BucketLabel, f.kind == sensors.Summary && l.name == model.QuantileLabel:
			return fmt.Errorf("a %s has labels %q of its own", f.kind, l.name)
		case i > 0 && labels[i-1].name == l.name:
			return fmt.Errorf("duplicate label names: %q", l.name)
		case !utf8.ValidString(l.value):
			return fmt.Errorf("label %s: value %q is not valid UTF-8", l.name, l.value)
		}
	}
	return nil
}

// sort puts the series in the order of the page: families by name, and within
// them by the number of labels and their values.
func (l *layout) sort() {
	slices.SortStableFunc(l.samples, func(a, b sample) int {
		if a.family != b.family {
			return strings.Compare(a.family.family, b.family.family)
		}
		if n := cmp.Compare(a.last-a.first, b.last-b.first); n != 0 {
			return n
		}
		for i := range a.last - a.first {
			if n := strings.Compare(l.labels[a.first+i].value, l.labels[b.first+i].value); n != 0 {
				return n
			}
		}
		return 0
	})
}

// each calls do with one family after the other. A family is good until do
// returns.
func (l *layout) each(do func(*dto.MetricFamily)) {
	for rest := l.samples; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].family == rest[0].family {
			n++
		}
		do(l.press.set(rest[:n], l.labels))
		rest = rest[n:]
	}
}

// A press sets a family. What it sets it with is used again for the next one.
type press struct {
	family   dto.MetricFamily
	metrics  []dto.Metric
	pairs    []dto.LabelPair
	gauges   []dto.Gauge
	counters []dto.Counter
	untyped  []dto.Untyped

	metricsSet []*dto.Metric
	pairsSet   []*dto.LabelPair
}

var types = map[sensors.Kind]*dto.MetricType{
	sensors.Gauge:     dto.MetricType_GAUGE.Enum(),
	sensors.Counter:   dto.MetricType_COUNTER.Enum(),
	sensors.Untyped:   dto.MetricType_UNTYPED.Enum(),
	sensors.Histogram: dto.MetricType_HISTOGRAM.Enum(),
	sensors.Summary:   dto.MetricType_SUMMARY.Enum(),
}

// set sets the series of one family, which point into labels.
func (p *press) set(all []sample, labels []label) *dto.MetricFamily {
	f := all[0].family
	n := 0
	for i := range all {
		n += all[i].last - all[i].first
	}
	p.metrics, p.metricsSet = room(p.metrics, len(all)), room(p.metricsSet, len(all))
	p.pairs, p.pairsSet = room(p.pairs, n), room(p.pairsSet, n)
	switch f.kind {
	case sensors.Gauge:
		p.gauges = room(p.gauges, len(all))
	case sensors.Counter:
		p.counters = room(p.counters, len(all))
	case sensors.Untyped:
		p.untyped = room(p.untyped, len(all))
	}
	used := 0
	for i := range all {
		s, m := &all[i], &p.metrics[i]
		begin := used
		for j := s.first; j < s.last; j++ {
			pair := &p.pairs[used]
			pair.Name, pair.Value = &labels[j].name, &labels[j].value
			p.pairsSet[used] = pair
			used++
		}
		m.Label = p.pairsSet[begin:used:used]
		m.Gauge, m.Counter, m.Untyped, m.Histogram, m.Summary = nil, nil, nil, nil, nil
		switch f.kind {
		case sensors.Gauge:
			m.Gauge = &p.gauges[i]
			m.Gauge.Value = &s.value
		case sensors.Counter:
			m.Counter = &p.counters[i]
			m.Counter.Value = &s.value
		case sensors.Untyped:
			m.Untyped = &p.untyped[i]
			m.Untyped.Value = &s.value
		case sensors.Histogram:
			m.Histogram = histogram(s.dist)
		case sensors.Summary:
			m.Summary = summary(s.dist)
		}
		p.metricsSet[i] = m
	}
	p.family.Name, p.family.Help, p.family.Type = &f.family, &f.help, types[f.kind]
	p.family.Metric = p.metricsSet
	return &p.family
}

// room is s with n elements: whatever they hold is overwritten.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

func histogram(d *sensors.Distribution) *dto.Histogram {
	h := &dto.Histogram{SampleCount: new(d.Count), SampleSum: new(d.Sum)}
	for _, bound := range slices.Sorted(maps.Keys(d.Buckets)) {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(d.Buckets[bound])})
	}
	return h
}

func summary(d *sensors.Distribution) *dto.Summary {
	s := &dto.Summary{SampleCount: new(d.Count), SampleSum: new(d.Sum)}
	for _, quantile := range slices.Sorted(maps.Keys(d.Quantiles)) {
		s.Quantile = append(s.Quantile, &dto.Quantile{Quantile: new(quantile), Value: new(d.Quantiles[quantile])})
	}
	return s
}
