package exporter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"example.org/dormouse/sensors"
)

// judged gives client_golang's registry what a layout was given.
type judged struct {
	*layout
	order []int
}

func (judged) Describe(chan<- *prometheus.Desc) {}

func (j judged) Collect(out chan<- prometheus.Metric) {
	for _, i := range j.order {
		s := j.samples[i]
		var names, values []string
		for _, l := range j.labels[s.first:s.last] {
			names, values = append(names, l.name), append(values, l.value)
		}
		d := prometheus.NewDesc(s.family.family, s.family.help, names, nil)
		switch s.family.kind {
		case sensors.Gauge:
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, s.value, values...)
		case sensors.Counter:
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, s.value, values...)
		case sensors.Untyped:
			out <- prometheus.MustNewConstMetric(d, prometheus.UntypedValue, s.value, values...)
		case sensors.Histogram:
			out <- prometheus.MustNewConstHistogram(d, s.dist.Count, s.dist.Sum, s.dist.Buckets, values...)
		case sensors.Summary:
			out <- prometheus.MustNewConstSummary(d, s.dist.Count, s.dist.Sum, s.dist.Quantiles, values...)
		}
	}
}

// crowded has families whose series differ in their labels' names, values and
// number.
func crowded() *sensors.Snapshot {
	s := fortySeries()
	q := sensors.Voltage.With("channel")
	for i := range s.Results {
		r := &s.Results[i]
		for range i % 3 {
			r.Labels = append(r.Labels, sensors.Label{Name: fmt.Sprintf("l%d", len(r.Labels)), Value: "a\"b\\c\nd é"})
		}
		for c := range i {
			r.Readings = append(r.Readings, sensors.Reading{Quantity: q, Value: float64(c), Labels: []string{fmt.Sprint(100 - c)}})
		}
	}
	return s
}

// TestLayoutAsTheRegistry holds each format's page against what client_golang's
// registry and Prometheus' encoders make of the same series in any order.
func TestLayoutAsTheRegistry(t *testing.T) {
	formats := []expfmt.Format{expfmt.FmtText, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim}
	var r renderer // for all of them: nothing of one page may stay in the next
	e := newExporter(house(), newClock())
	for _, s := range []*sensors.Snapshot{house(), crowded(), fortySeries(), {}, house()} {
		for _, format := range formats {
			e.Publish(s)
			v := e.view(e.current.Load().facts)
			v.resident = 1 << 20
			got := string(r.encode(format, v))
			if len(r.problems) > 0 {
				t.Errorf("left out: %v", r.problems)
			}
			j := judged{&r.collector.layout, rand.Perm(len(r.collector.samples))}
			registry := prometheus.NewRegistry()
			registry.MustRegister(j)
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			enc := expfmt.NewEncoder(&want, format)
			for _, f := range families {
				if err := enc.Encode(f); err != nil {
					t.Fatal(err)
				}
			}
			if err := enc.(expfmt.Closer).Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.String(), got); diff != "" {
				t.Errorf("%s (-registry +ours):\n%s", format, diff)
			}
		}
	}
}

// TestLayoutRefuses what the registry refuses, and nothing stays of it.
func TestLayoutRefuses(t *testing.T) {
	gauge := func(name string) *claim { return &claim{name, sensors.Gauge, "Help."} }
	tests := []struct {
		name   string
		family *claim
		labels []label
		want   string
	}{
		{"no metric name", gauge(""), nil, `"" is not a valid metric name`},
		{"bytes for a metric name", gauge("\xff"), nil, "is not a valid metric name"},
		{"no label name", gauge("x"), []label{{"", "v"}}, `"" is not a valid label name`},
		{"bytes for a label name", gauge("x"), []label{{"\xff", "v"}}, "is not a valid label name"},
		{"a name of Prometheus' own", gauge("x"), []label{{"__name__", "v"}}, "is not a valid label name"},
		{"a label twice, not side by side", gauge("x"), []label{{"b", "v"}, {"a", "v"}, {"b", "w"}}, `duplicate label names: "b"`},
		{"bytes for a value", gauge("x"), []label{{"a", "\xff"}}, "is not valid UTF-8"},
		{"a bucket's label", &claim{"x", sensors.Histogram, ""}, []label{{"le", "1"}}, `labels "le" of its own`},
		{"a quantile's label", &claim{"x", sensors.Summary, ""}, []label{{"quantile", "1"}}, `labels "quantile" of its own`},
		{"the same again", gauge("there"), []label{{"b", "2"}, {"a", "1"}}, errTwice.Error()},
	}
	for _, tt := range tests {
		var l layout
		l.reset()
		put := func(f *claim, labels ...label) error {
			l.begin(f, 1, nil)
			for _, pair := range labels {
				l.label(pair.name, pair.value)
			}
			return l.end()
		}
		there := gauge("there")
		if err := put(there, label{"a", "1"}, label{"b", "2"}); err != nil {
			t.Fatal(err)
		}
		if err := put(tt.family, tt.labels...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
		// What could be taken for it isn't it: "le" of a gauge, other splits of the same letters.
		for _, labels := range [][]label{{{"le", "1"}}, {{"a", "1b"}, {"b", "2"}}, {{"a", "1"}, {"b2", ""}}} {
			if err := put(there, labels...); err != nil {
				t.Errorf("%s, then %v: %v", tt.name, labels, err)
			}
		}
		l.sort()
		var names []string
		l.each(func(f *dto.MetricFamily) { names = append(names, fmt.Sprint(f.GetName(), len(f.Metric))) })
		if want := []string{"there4"}; !slices.Equal(names, want) {
			t.Errorf("%s: families %q, want %q", tt.name, names, want)
		}
	}
}

// What a render leaves to the garbage collector hardly grows with the page, but
// for the page itself: the registry makes 13 allocations for each series. The
// race detector has encoders throw away some of what they keep.
func TestRenderAllocatesLittle(t *testing.T) {
	few, many := fortySeries(), fortySeries()
	q := &sensors.Quantity{Name: "x", Metric: "x", Labels: []string{"number"}}
	for i := range many.Results {
		r := &many.Results[i]
		for c := range 100 {
			r.Readings = append(r.Readings, sensors.Reading{Quantity: q, Value: 1.5, Labels: []string{fmt.Sprint(c)}})
		}
	}
	allocations := func(s *sensors.Snapshot) float64 {
		e := newExporter(s, newClock())
		w, r := &sink{map[string][]string{}}, scraper()
		return testing.AllocsPerRun(20, func() {
			e.Publish(s)
			e.ServeHTTP(w, r)
		})
	}
	a, b := allocations(few), allocations(many)
	if a > 190 || b > a+700 {
		t.Errorf("a page of 40 readings makes %v allocations, one of 1,040 makes %v", a, b)
	}
}
