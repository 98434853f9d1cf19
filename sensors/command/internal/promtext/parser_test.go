package promtext

import (
	"fmt"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

// shown is a report as text, one reading a line.
func shown(r *sensors.Report) []string {
	var lines []string
	for _, x := range r.Readings() {
		var labels []string
		for i, l := range x.Quantity.Labels {
			labels = append(labels, l+"="+x.Labels[i])
		}
		value := fmt.Sprint(x.Value)
		if d := x.Dist; d != nil {
			value = fmt.Sprintf("%d %v %v %v", d.Count, d.Sum, d.Buckets, d.Quantiles)
		}
		lines = append(lines, fmt.Sprintf("%s %s{%s} %s", x.Quantity.Kind, x.Quantity.MetricName(), strings.Join(labels, ","), value))
	}
	for _, f := range r.Failures() {
		lines = append(lines, "failed: "+f.Err.Error())
	}
	return lines
}

func TestMetrics(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"gauge", "# HELP room_height_meters How high.\n# TYPE room_height_meters gauge\nroom_height_meters{room=\"a b\"} 2.5\n",
			[]string{"gauge room_height_meters{room=a b} 2.5"}},
		{"without a type", "x 1\n", []string{"untyped x{} 1"}},
		{"labels in any order", "x{b=\"2\",a=\"1\"} 1\nx{a=\"1\",b=\"3\"} 2\n",
			[]string{"untyped x{a=1,b=2} 1", "untyped x{a=1,b=3} 2"}},
		{"different labels", "x{a=\"1\"} 1\nx{b=\"\"} 2\n",
			[]string{"untyped x{a=1} 1", "untyped x{} 2"}},
		{"escapes", "x{a=\"q\\\"\\\\\\n#\"} 1\n", []string{"untyped x{a=q\"\\\n#} 1"}},
		{"comments, blanks, no values", "# hello\n\n  # TYPE y gauge\n x 1\n",
			[]string{"untyped x{} 1"}},
		{"counter", "# TYPE x_total counter\nx_total 1e9\n", []string{"counter x_total{} 1e+09"}},
		{"a counter below zero spoils only itself", "# TYPE x_total counter\nx_total{a=\"1\"} -1\nx_total{a=\"2\"} 1\n",
			[]string{"counter x_total{a=2} 1", `failed: x_total{a="1"} is a counter and below zero: -1`}},
		{"ours", "# TYPE sensor_temperature_celsius gauge\nsensor_temperature_celsius{place=\"roof\"} 21\n",
			[]string{"gauge sensor_temperature_celsius{place=roof} 21"}},
		{"ours, without a type", "sensor_pulses_total 3\n", []string{"counter sensor_pulses_total{} 3"}},
		{"ours as another type, which package families refuses", "# TYPE sensor_temperature_celsius counter\nsensor_temperature_celsius 1\n",
			[]string{"counter sensor_temperature_celsius{} 1"}},
		{"beside ours", "sensor_bees_count 3\n", []string{"untyped sensor_bees_count{} 3"}},
		{"histogram", `# TYPE h histogram
h_bucket{a="1",le="0.5"} 1
h_bucket{a="1",le="1"} 2
h_bucket{a="1",le="+Inf"} 3
h_sum{a="1"} 4.5
h_count{a="1"} 3
`, []string{"histogram h{a=1} 3 4.5 map[0.5:1 1:2] map[]"}},
		{"summary", `# TYPE s summary
s{quantile="0.5"} 1.5
s{quantile="0.9"} NaN
s_sum 4.5
s_count 3
`, []string{"summary s{} 3 4.5 map[] map[0.5:1.5]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p Parser
			var r sensors.Report
			if err := p.Parse([]byte(tc.text), &r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, shown(&r)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMetricsRefused(t *testing.T) {
	histogram := func(lines ...string) string {
		return "# TYPE h histogram\n" + strings.Join(lines, "\n") + "\n"
	}
	const bucket, infinite, sum, count = `h_bucket{le="1"} 2`, `h_bucket{le="+Inf"} 3`, `h_sum 4.5`, `h_count 3`
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "empty"},
		{"only comments", "# TYPE x gauge\n", "no metrics"},
		{"cut off", "x 1\ny 12", "cut off"},
		{"binary", "x\xff 1\n", "UTF-8"},
		{"an error message", "Traceback (most recent call last):\n", "line 1"},
		{"no value", "x\n", "line 1"},
		{"two lines on", "x 1\n# c\ny z\n", "line 3"},
		{"a blank behind the value", "x 1 \n", "line 1"},
		{"windows", "x 1\r\n", "line 1"},
		{"beyond ASCII", "{\"température\"} 1\n", "invalid metric name"},
		{"no name", "{} 1\n", "line 1"},
		{"only a label", "{a=\"b\"} 1\n", "line 1"},
		{"bad label", "x{1a=\"b\"} 1\n", "line 1"},
		{"the daemon's", "dormouse_x 1\n", "dormouse_"},
		{"the process's", "process_cpu_seconds_total 1\n", "process_"},
		{"Go's", "go_goroutines 1\n", "go_"},
		{"the daemon's, as a part", "# TYPE dormouse histogram\ndormouse_count 1\n", "dormouse_"},
		{"reserved label", "x{sensor=\"a\"} 1\n", "sensor is added by the daemon"},
		{"Prometheus' label", "x{instance=\"a\"} 1\n", "isn't yours"},
		{"internal label", "x{__a=\"a\"} 1\n", "isn't yours"},
		{"time stamp", "x 1 1700000000000\n", "time stamp"},
		{"twice", "x{a=\"1\",b=\"2\"} 1\nx{b=\"2\",a=\"1\"} 2\n", "is there twice"},
		{"twice, by an empty label", "x 1\nx{a=\"\"} 2\n", "is there twice"},
		{"label twice", "x{a=\"1\",a=\"2\"} 1\n", "line 1"},
		{"type after sample", "x 1\n# TYPE x gauge\n", "line 2"},
		{"two types", "# TYPE x gauge\n# TYPE x counter\nx 1\n", "line 2"},
		{"unknown type", "# TYPE x enum\nx 1\n", "line 1"},
		{"a type the format lacks", "# TYPE x gaugehistogram\nx_bucket{le=\"1\"} 1\n", "which the text format doesn't have"},
		{"histogram without count", histogram(bucket, infinite, sum), "_count or _sum is missing"},
		{"histogram without sum", histogram(bucket, infinite, count), "_count or _sum is missing"},
		{"histogram without infinity", histogram(bucket, sum, count), "+Inf"},
		{"histogram that disagrees", histogram(bucket, `h_bucket{le="+Inf"} 4`, sum, count), "the same thing"},
		{"histogram that falls", histogram(`h_bucket{le="0.5"} 3`, bucket, infinite, sum, count), "cumulative"},
		{"histogram above its count", histogram(`h_bucket{le="1"} 4`, infinite, sum, count), "cumulative"},
		{"half a count", histogram(bucket, infinite, sum, `h_count 2.5`), "no count"},
		{"a count below zero", histogram(`h_bucket{le="1"} -1`, infinite, sum, count), "line 2"},
		{"a huge count", histogram(bucket, infinite, sum, `h_count 1e300`), "no count"},
		{"bucket without bound", histogram(`h_bucket 2`, infinite, sum, count), "lacks the label le"},
		{"bucket without a number", histogram(`h_bucket{le="NaN"} 2`, infinite, sum, count), "le is no number"},
		{"one bound written twice", histogram(bucket, `h_bucket{le="1.0"} 2`, infinite, sum, count), "another bucket"},
		{"no part of it", histogram(bucket, infinite, sum, count, `h 5`), "not a part of"},
		{"a part with a life of its own", "# TYPE h_count gauge\nh_count 3\n" + histogram(bucket, infinite, sum), "rename one"},
		{"summary's half a count", "# TYPE s summary\ns_sum 1\ns_count 2.5\n", "no count"},
		{"summary's count below zero", "# TYPE s summary\ns_sum 1\ns_count -2\n", "no count"},
		{"quantile beyond", "# TYPE s summary\ns{quantile=\"1.5\"} 1\ns_sum 1\ns_count 2\n", "from 0 to 1"},
		{"quantile that is none", "# TYPE s summary\ns{quantile=\"NaN\"} 1\ns_sum 1\ns_count 2\n", "from 0 to 1"},
		{"summary without quantile", "# TYPE s summary\ns 1\ns_sum 1\ns_count 2\n", "lacks the label quantile"},
		{"quantile twice", "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.50\"} 2\ns_sum 1\ns_count 2\n", "twice"},
		{"too many", strings.Repeat("x 1\n", maxLines+1), "lines"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p Parser
			var r sensors.Report
			err := p.Parse([]byte(tc.text), &r)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it; reported %q", err, tc.want, shown(&r))
			}
			if err != nil && sensors.ReasonOf(err) != sensors.Command {
				t.Errorf("reason %s, want command", sensors.ReasonOf(err))
			}
			if len(r.Readings())+len(r.Failures()) > 0 {
				t.Errorf("an error, and yet %q", shown(&r))
			}
		})
	}
}

// A histogram or summary with a value that is no number fails alone.
func TestDistributionThatIsNoNumber(t *testing.T) {
	const h, s = "# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\"} 2\nh_bucket{le=\"+Inf\",a=\"b\"} 3\nh_count{a=\"b\"} 3\n", "# TYPE s summary\ns_count 2\n"
	for _, tc := range []struct{ text, want string }{
		{h + "h_sum{a=\"b\"} NaN\n", `h_sum{a="b"} is NaN, which is not a number`},
		{h + "h_sum{a=\"b\"} +Inf\n", `h_sum{a="b"} is +Inf, which is not a number`},
		{s + "s_sum -Inf\n", `s_sum is -Inf, which is not a number`},
		{s + "s_sum 1\ns{quantile=\"0.5\"} +Inf\n", "the quantile 0.5 of a summary is +Inf, which is not a number"},
	} {
		var p Parser
		var r sensors.Report
		if err := p.Parse([]byte("x 1\n"+tc.text+"y 2\n"), &r); err != nil {
			t.Errorf("%s: the whole page is refused: %v", tc.text, err)
			continue
		}
		if len(r.Readings()) != 2 || len(r.Failures()) != 1 {
			t.Errorf("%s: %d readings and %d failures, want 2 and 1", tc.text, len(r.Readings()), len(r.Failures()))
			continue
		}
		if f := r.Failures()[0]; f.Err.Error() != tc.want || sensors.ReasonOf(f.Err) != sensors.OutOfRange {
			t.Errorf("%s: %v, reason %s\nwant %s", tc.text, f.Err, sensors.ReasonOf(f.Err), tc.want)
		}
	}
}

// TestNaN: a value that is no number is left to poll's check, which leaves out
// that series alone.
func TestNaN(t *testing.T) {
	var p Parser
	var r sensors.Report
	if err := p.Parse([]byte("x{a=\"1\"} NaN\nx{a=\"2\"} 1\n"), &r); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, x := range r.Readings() {
		if err := x.Quantity.Check(x.Value); err != nil {
			bad++
			if sensors.ReasonOf(err) != sensors.OutOfRange {
				t.Errorf("reason %s, want range", sensors.ReasonOf(err))
			}
		}
	}
	if bad != 1 || len(r.Readings()) != 2 {
		t.Errorf("%d of %d readings are refused, want 1 of 2", bad, len(r.Readings()))
	}
}

func TestRegisteredQuantity(t *testing.T) {
	var p Parser
	var r sensors.Report
	if err := p.Parse([]byte("# HELP sensor_humidity_ratio My own words.\nsensor_humidity_ratio{place=\"x\"} 50\n"), &r); err != nil {
		t.Fatal(err)
	}
	q := r.Readings()[0].Quantity
	if q.Help != sensors.Humidity.Help || q.Kind != sensors.Gauge {
		t.Errorf("help %q, kind %v: want those of the registered quantity", q.Help, q.Kind)
	}
	if q.Check(50) == nil {
		t.Error("a humidity of 5000 % is let through")
	}
	if len(sensors.Humidity.Labels) != 0 {
		t.Error("the registered quantity was changed")
	}
}

// TestQuantitiesStay: one series has one quantity from wake to wake, and those
// of series that are gone aren't kept.
func TestQuantitiesStay(t *testing.T) {
	var p Parser
	read := func(text string) []sensors.Reading {
		var r sensors.Report
		if err := p.Parse([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r.Readings()
	}
	first := read("# TYPE x gauge\nx{a=\"1\"} 1\nx{a=\"2\"} 2\ny 3\n")
	second := read("# TYPE x gauge\nx{a=\"2\"} 5\n")
	if first[0].Quantity != first[1].Quantity || first[0].Quantity != second[0].Quantity {
		t.Error("one family has several quantities")
	}
	if len(p.known) != 1 {
		t.Errorf("%d quantities are kept, want 1", len(p.known))
	}
	if again := read("# TYPE x counter\nx{a=\"2\"} 5\n"); again[0].Quantity == first[0].Quantity || again[0].Quantity.Kind != sensors.Counter {
		t.Error("a changed type isn't seen")
	}
}

func FuzzOutput(f *testing.F) {
	for _, seed := range []string{
		"21.5\n",
		"# HELP x Help \\n.\n# TYPE x gauge\nx{a=\"b\\\"\"} 1.5\n",
		"# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n",
		"# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 1\ns_count 2\n",
		"{\"x\",a=\"b\"} 1\n", "{} 1\n", "x 1 1700000000000\n", "x{} +Inf\n", "sensor_temperature_celsius 1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Parser
		var r sensors.Report
		if err := p.Parse(text, &r); err != nil {
			if len(r.Readings())+len(r.Failures()) > 0 {
				t.Errorf("%q gives %v and yet %q", text, err, shown(&r))
			}
			return
		}
		if len(r.Readings())+len(r.Failures()) == 0 {
			t.Errorf("%q gives neither error nor reading", text)
		}
		series := map[string]bool{}
		for _, x := range r.Readings() {
			q := x.Quantity
			name := q.MetricName()
			if !model.LegacyValidation.IsValidMetricName(name) {
				t.Errorf("metric %q", name)
			}
			for _, prefix := range reserved {
				if strings.HasPrefix(name, prefix) {
					t.Errorf("metric %q", name)
				}
			}
			if len(q.Labels) != len(x.Labels) {
				t.Fatalf("%s: labels %q with values %q", name, q.Labels, x.Labels)
			}
			key := name
			for i, l := range q.Labels {
				if !model.LegacyValidation.IsValidLabelName(l) || l == "sensor" || x.Labels[i] == "" {
					t.Errorf("%s: label %q=%q", name, l, x.Labels[i])
				}
				key += fmt.Sprintf("%q=%q", l, x.Labels[i])
			}
			if series[key] {
				t.Errorf("%s is there twice", key)
			}
			series[key] = true
			if (x.Dist != nil) != (q.Kind == sensors.Histogram || q.Kind == sensors.Summary) {
				t.Errorf("%s is a %v with distribution %v", name, q.Kind, x.Dist)
			}
		}
	})
}

func BenchmarkMetrics(b *testing.B) {
	var text strings.Builder
	text.WriteString("# HELP x Help.\n# TYPE x gauge\n")
	for i := range 40 {
		fmt.Fprintf(&text, "x{a=\"%d\"} %d\n", i, i)
	}
	var p Parser
	var r sensors.Report
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if err := p.Parse([]byte(text.String()), &r); err != nil {
			b.Fatal(err)
		}
	}
}
