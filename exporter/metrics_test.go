package exporter

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"example.org/dormouse/sensors"
)

// parse reads a page in the text format back.
func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("the page can't be read back: %v\n%s", err, text)
	}
	return families
}

// series are the lines of a page that begin with a prefix.
func series(page, prefix string) []string {
	var found []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

func scrape(e *Exporter) string { return get(e, "/metrics").Body.String() }

// everyQuantity is a snapshot with a reading of each built-in quantity.
func everyQuantity() *sensors.Snapshot {
	s := exampleSnapshot()
	r := sensors.Result{Name: "all", Driver: "all", Wiring: "none", Tried: true, Up: true}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		r.Readings = append(r.Readings, sensors.Reading{Quantity: q, Value: 1, Labels: slices.Repeat([]string{"x"}, len(q.Labels))})
	}
	s.Results = append(s.Results, r)
	return s
}

func TestPageIsLintFree(t *testing.T) {
	text := scrape(newExporter(everyQuantity(), newClock()))
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families := parse(t, text)
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		f := families[q.MetricName()]
		if f == nil {
			t.Errorf("%s is not on the page", q.MetricName())
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != q.Kind.String() || f.GetHelp() != q.Help {
			t.Errorf("%s is a %s with the help %q, want %s, %q", q.MetricName(), got, f.GetHelp(), q.Kind, q.Help)
		}
	}
}

// Every page holds the same series, whatever its format and encoding.
func TestFormats(t *testing.T) {
	e := newExporter(exampleSnapshot(), newClock())
	want := parse(t, scrape(e))
	for _, f := range formats {
		for _, encoding := range []string{"", "gzip"} {
			w := get(e, "/metrics", "Accept", string(f), "Accept-Encoding", encoding)
			h := w.Header()
			if got := h.Get("Content-Type"); !strings.HasPrefix(got, string(f)) {
				t.Errorf("%s: Content-Type is %q", f, got)
			}
			if got := h.Get("Content-Encoding"); got != encoding {
				t.Errorf("%s: Content-Encoding is %q, want %q", f, got, encoding)
			}
			if got := h.Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
				t.Errorf("%s: Content-Length is %s of %d bytes", f, got, w.Body.Len())
			}
			body := w.Body.Bytes()
			if encoding == "gzip" {
				body = unzip(t, body)
				plain := get(e, "/metrics", "Accept", string(f)).Body.Bytes()
				if !bytes.Equal(body, plain) {
					t.Errorf("%s: gzip and identity differ", f)
				}
			}
			if f.FormatType() == expfmt.TypeOpenMetrics {
				if !bytes.HasSuffix(body, []byte("\n# EOF\n")) {
					t.Errorf("%s doesn't end with # EOF", f)
				}
				continue
			}
			dec := expfmt.NewDecoder(bytes.NewReader(body), expfmt.Format(h.Get("Content-Type")))
			got := map[string]*dto.MetricFamily{}
			for {
				family := &dto.MetricFamily{}
				if err := dec.Decode(family); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				got[family.GetName()] = family
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("%s holds other families:\n%s", f, diff)
			}
			for name := range want {
				if len(want[name].Metric) != len(got[name].GetMetric()) {
					t.Errorf("%s: %s has %d series, want %d", f, name, len(got[name].GetMetric()), len(want[name].Metric))
				}
			}
		}
	}
}

func unzip(t *testing.T, body []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestNegotiation(t *testing.T) {
	const (
		text  = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
		utf8  = "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"
		om1   = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
		om1u  = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
		om0   = "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores"
		proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores"
	)
	tests := []struct{ accept, want string }{
		{"", text},
		{"*/*", text},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", text},
		{"text/plain", text},
		{"text/plain;version=0.0.4;escaping=allow-utf-8", utf8},
		{"application/openmetrics-text", om0},
		{"application/openmetrics-text;version=1.0.0", om1},
		{"application/openmetrics-text;version=0.0.1;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8", om0},
		{"text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5", text},
		{"application/openmetrics-text;version=1.0.0;q=0,text/plain;version=0.0.4;q=0.1", text},
		{"application/openmetrics-text;version=1.0.0;q=0", text},
		{"application/openmetrics-text; version=1.0.0 ; Q=0.0", text},
		{"application/openmetrics-text;version=1.0.0;q=nonsense", text},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", proto},
		{"application/json", text},
		// Prometheus 2.53 and 3.5, config.DefaultScrapeProtocols.
		{"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", om1},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", om1u},
	}
	for _, tt := range tests {
		if got := string(format(tt.accept)); got != tt.want {
			t.Errorf("Accept: %s\n got %s\nwant %s", tt.accept, got, tt.want)
		}
	}

	for header, want := range map[string]bool{
		"": false, "identity": false, "gzip": true, "GZIP": true, "deflate, gzip": true, "gzip;q=0": false,
		"gzip;q=0.0, *": false, "*": true, "*;q=0": false, "br;q=1, gzip; q=0.2": true, "gzippy": false, "zstd": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("Accept-Encoding: %s: gzip is %v, want %v", header, got, want)
		}
	}

	// Several lines are one list, and what is remembered stays bounded.
	var n negotiator
	key := n.page(http.Header{"Accept": {"text/plain;q=0.1", "application/openmetrics-text;version=1.0.0"}})
	if string(key.format) != om1 {
		t.Errorf("two Accept lines give %s", key.format)
	}
	for i := range 1000 {
		n.page(http.Header{"Accept": {fmt.Sprintf("x/%d", i)}})
	}
	if len(n.known) > mostKnown {
		t.Errorf("%d headers are remembered", len(n.known))
	}
}

func TestExpiry(t *testing.T) {
	clock := newClock()
	e := newExporter(exampleSnapshot(), clock)
	const temperature, up = `sensor_temperature_celsius{`, `dormouse_sensor_up{sensor="greenhouse"}`
	steps := []struct {
		at   time.Duration // since the wake
		here bool
	}{
		{30 * time.Second, true},
		{310*time.Second - 1, true},
		{310 * time.Second, false}, // greenhouse, beds and attic are due
		{609 * time.Second, false},
		{610 * time.Second, false}, // door, too
	}
	for _, step := range steps {
		clock.advance(boot.Add(step.at).Sub(clock.now))
		text := scrape(e)
		if got := len(series(text, temperature)) == 1; got != step.here {
			t.Errorf("after %s: the reading is there: %v", step.at, got)
		}
		want := up + " 0"
		if step.here {
			want = up + " 1"
		}
		if got := series(text, up); len(got) != 1 || got[0] != want {
			t.Errorf("after %s: %q, want %q", step.at, got, want)
		}
		if got := len(series(text, "sensor_active{")) == 1; got != (step.at < 610*time.Second) {
			t.Errorf("after %s: the door's reading is there: %v", step.at, got)
		}
	}
	// A sensor that was never read has no up, late or not.
	if got := series(scrape(e), `dormouse_sensor_up{sensor="backup"}`); got != nil {
		t.Errorf("never read: %q", got)
	}
	doc := JSON(exampleSnapshot(), clock)
	if s := doc.Sensors[0]; *s.Up || len(s.Readings) != 0 || s.Reason != "timeout" || !strings.Contains(s.Error, "daemon is late") {
		t.Errorf("the document says of an expired sensor: %+v", s)
	}
	// The wake comes at last.
	fresh := exampleSnapshot()
	fresh.Results[0].Expires = clock.now.Add(time.Minute)
	e.Publish(fresh)
	if got := series(scrape(e), temperature); len(got) != 1 {
		t.Errorf("after the wake: %q", got)
	}
}

func TestNoTimesBeforeTheClockIsSet(t *testing.T) {
	clock := newClock()
	clock.blind = true
	e := newExporter(exampleSnapshot(), clock)
	for line := range strings.Lines(scrape(e)) {
		if strings.HasPrefix(line, "dormouse_") && strings.Contains(line, "timestamp_seconds") || strings.HasPrefix(line, "process_start_time_seconds") {
			t.Errorf("a time is told while the clock can't be true: %s", line)
		}
	}
	if doc := JSON(exampleSnapshot(), clock); doc.Time != nil || doc.Sensors[0].LastRead != nil {
		t.Error("the document tells a time while the clock can't be true")
	}
	// NTP answers: the page is rendered anew, with no wake.
	clock.blind = false
	if got := series(scrape(e), "dormouse_sensor_last_success_timestamp_seconds{sensor=\"door\"}"); len(got) != 1 || !strings.HasSuffix(got[0], " 1.795176e+09") {
		t.Errorf("the clock was set: %q", got)
	}
	clock.wall = clock.wall.Add(time.Hour)
	if got := series(scrape(e), "dormouse_sensor_last_success_timestamp_seconds{sensor=\"door\"}"); len(got) != 1 || !strings.HasSuffix(got[0], " 1.7951796e+09") {
		t.Errorf("the clock was stepped: %q", got)
	}
}

func TestOneRenderPerChange(t *testing.T) {
	clock := newClock()
	e := newExporter(exampleSnapshot(), clock)
	before := e.current.Load()
	first := get(e, "/metrics").Body.String()
	pages := fmt.Sprintf("%p", before.pages)
	clock.advance(time.Minute)
	if second := get(e, "/metrics").Body.String(); second != first || fmt.Sprintf("%p", e.current.Load().pages) != pages {
		t.Error("a scrape rendered a page that was there")
	}
	get(e, "/metrics", "Accept-Encoding", "gzip")
	if n := len(before.pages); n != 2 {
		t.Errorf("%d pages are kept, want 2", n)
	}
	reloaded := series(scrape(e), "dormouse_config_last_reload_success_timestamp_seconds")
	e.SetReload(false, clock.now)
	text := scrape(e)
	if got := series(text, "dormouse_config_last_reload_success_timestamp_seconds"); got[0] != reloaded[0] {
		t.Errorf("a failed reload is %q, the last good one was %q", got, reloaded)
	}
	if got := series(text, "dormouse_config_last_reload_successful"); len(got) != 1 || !strings.HasSuffix(got[0], " 0") {
		t.Errorf("after a failed reload: %q", got)
	}
	e.SetReload(true, clock.now)
	if got := series(scrape(e), "dormouse_config_last_reload_success_timestamp_seconds"); got[0] == reloaded[0] {
		t.Errorf("after a reload: still %q", got)
	}
	if got := series(scrape(e), "dormouse_config_last_reload_successful"); len(got) != 1 || !strings.HasSuffix(got[0], " 1") {
		t.Errorf("after a reload: %q", got)
	}
}

func TestConflicts(t *testing.T) {
	reading := func(name string, k sensors.Kind, help string) sensors.Reading {
		q := &sensors.Quantity{Name: name, Metric: name, Kind: k, Help: help}
		r := sensors.Reading{Quantity: q, Value: 1}
		if k == sensors.Histogram || k == sensors.Summary {
			r.Dist = &sensors.Distribution{Count: 1, Sum: 1}
		}
		return r
	}
	labelled := func(q *sensors.Quantity, labels ...string) sensors.Reading {
		return sensors.Reading{Quantity: q, Value: 1, Labels: labels}
	}
	const good = `good{sensor="two"} 1`
	tests := []struct {
		name     string
		one, two sensors.Reading
		want     string // in the log; empty: no conflict
	}{
		{"another type", reading("a", sensors.Gauge, "A."), reading("a", sensors.Counter, "A."), "has the type counter here, but sensor one exports it with the type gauge"},
		{"another help", reading("a", sensors.Gauge, "A."), reading("a", sensors.Gauge, "B."), ""},
		{"a histogram's sum", reading("a", sensors.Histogram, "A."), reading("a_sum", sensors.Gauge, "B."), "its series a_sum would be taken for one of a"},
		{"a summary over a count", reading("a_count", sensors.Gauge, "A."), reading("a", sensors.Summary, "B."), "its series a_count would be taken for one of a_count"},
		{"a counter's name in OpenMetrics", reading("a_total", sensors.Counter, "A."), reading("a", sensors.Gauge, "B."), "would be taken for one of a_total"},
		{"a built-in family", reading("b", sensors.Gauge, "B."), reading("sensor_temperature_celsius", sensors.Counter, "A."), "has the type counter here, but dormouse exports it with the type gauge"},
		{"a family of ours", reading("b", sensors.Gauge, "B."), reading("dormouse_sensor_up", sensors.Gauge, "A."), "reserved"},
		{"a reserved name", reading("b", sensors.Gauge, "B."), reading("process_cpu_seconds_total", sensors.Counter, "A."), "reserved"},
		{"no name", reading("b", sensors.Gauge, "B."), labelled(&sensors.Quantity{Name: "x", Metric: " \xff"}), "not a valid metric name"},
		{"a label twice", reading("b", sensors.Gauge, "B."), labelled(&sensors.Quantity{Name: "x", Labels: []string{"sensor"}}, "x"), "duplicate label names"},
		{"a label that isn't text", reading("b", sensors.Gauge, "B."), labelled(&sensors.Quantity{Name: "x", Labels: []string{"y"}}, "\xff"), "is not valid UTF-8"},
		{"a label too few", reading("b", sensors.Gauge, "B."), labelled(&sensors.Quantity{Name: "x", Labels: []string{"y"}}), "0 label values"},
		{"a histogram without buckets", reading("b", sensors.Gauge, "B."), labelled(&sensors.Quantity{Name: "x", Kind: sensors.Histogram}), "reported as something else"},
	}
	for _, tt := range tests {
		var log bytes.Buffer
		e := New(Options{Clock: newClock(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		s := &sensors.Snapshot{Results: []sensors.Result{
			{Name: "one", Readings: []sensors.Reading{tt.one}},
			{Name: "two", Readings: []sensors.Reading{tt.two, reading("good", sensors.Gauge, "G.")}},
		}}
		e.Publish(s)
		text := scrape(e)
		get(e, "/metrics", "Accept", string(expfmt.FmtOpenMetrics_1_0_0))
		e.Publish(s)
		scrape(e)
		parse(t, text)
		if got := series(text, "good{"); len(got) != 1 || got[0] != good {
			t.Errorf("%s: the sensor's other reading is %q, want %q", tt.name, got, good)
		}
		left := 0
		if tt.want != "" {
			left = 1
			if n := strings.Count(log.String(), tt.want); n != 1 {
				t.Errorf("%s: the log says it %d times, want once:\n%s", tt.name, n, log.String())
			}
			if !strings.Contains(log.String(), "sensor=two") {
				t.Errorf("%s: the log doesn't name the sensor: %s", tt.name, log.String())
			}
		} else if log.Len() != 0 {
			t.Errorf("%s: the log says %s", tt.name, log.String())
		}
		if got, want := series(text, "dormouse_rejected_series"), fmt.Sprintf("dormouse_rejected_series %d", left); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
		}
		// It is mended, and broken again: that is news.
		e.Publish(&sensors.Snapshot{})
		scrape(e)
		e.Publish(s)
		scrape(e)
		if n := strings.Count(log.String(), "dropped from /metrics"); n != 2*left {
			t.Errorf("%s: the second time isn't in the log:\n%s", tt.name, log.String())
		}
	}
}

func TestDuplicateSeries(t *testing.T) {
	e := New(Options{Clock: newClock()})
	r := sensors.Reading{Quantity: sensors.Temperature, Value: 20}
	e.Publish(&sensors.Snapshot{Results: []sensors.Result{{Name: "a", Readings: []sensors.Reading{r, r}}}})
	text := scrape(e)
	if got := series(text, "sensor_temperature_celsius{"); len(got) != 1 {
		t.Errorf("%q, want one series", got)
	}
	if got := series(text, "dormouse_rejected_series"); got[0] != "dormouse_rejected_series 1" {
		t.Errorf("%q", got)
	}
}

// NaN, which each format writes in its own way, comes through.
func TestSpecialValues(t *testing.T) {
	q := &sensors.Quantity{Name: "x", Metric: "x", Help: "X."}
	e := New(Options{Clock: newClock()})
	e.Publish(&sensors.Snapshot{Results: []sensors.Result{{Name: "a", Readings: []sensors.Reading{{Quantity: q, Value: math.NaN()}}}}})
	if got := series(scrape(e), "x{"); len(got) != 1 || got[0] != `x{sensor="a"} NaN` {
		t.Errorf("%q", got)
	}
	w := get(e, "/readings.json")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"value": null`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestConcurrentScrapes(t *testing.T) {
	clock := newClock()
	e := newExporter(exampleSnapshot(), clock)
	var scrapes sync.WaitGroup
	for i := range 8 {
		scrapes.Go(func() {
			for range 15 {
				w := get(e, "/metrics", "Accept", string(formats[i%len(formats)]), "Accept-Encoding", []string{"gzip", ""}[i%2])
				if w.Code != http.StatusOK || w.Body.Len() == 0 {
					t.Errorf("status %d, %d bytes", w.Code, w.Body.Len())
				}
				get(e, "/readings.json")
				get(e, "/")
			}
		})
	}
	for i := range 100 {
		s := exampleSnapshot()
		s.Results[0].Readings[0].Value = float64(i)
		e.Publish(s)
		e.SetReload(i%2 == 0, clock.now)
	}
	scrapes.Wait()
	if got := series(scrape(e), "sensor_temperature_celsius{"); len(got) != 1 || !strings.HasSuffix(got[0], " 99") {
		t.Errorf("the last reading is %q", got)
	}
}

func TestEndpoints(t *testing.T) {
	clock := newClock()
	empty := New(Options{Build: build, Clock: clock})
	full := newExporter(exampleSnapshot(), clock)
	moved := New(Options{Clock: clock, TelemetryPath: "m"})
	paged := New(Options{Clock: clock, Page: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { plain(w, 200, "for people") })})
	var reloadErr error
	reloads := 0
	lively := New(Options{Clock: clock, Reload: func() error { reloads++; return reloadErr }, Read: func(context.Context) error { return nil }})
	broken := New(Options{Clock: clock, Reload: func() error { return fmt.Errorf("dormouse.yml:3: unknown driver") }})
	tests := []struct {
		e            *Exporter
		method, path string
		status       int
		body, allow  string
	}{
		{empty, "GET", "/-/healthy", 200, "healthy", ""},
		{empty, "GET", "/-/ready", 503, "not read its sensors yet", ""},
		{empty, "GET", "/readings.json", 503, "not read its sensors yet", ""},
		{empty, "GET", "/metrics", 200, "dormouse_build_info", ""},
		{full, "GET", "/-/ready", 200, "ready", ""},
		{full, "GET", "/", 404, "no status page here: the metrics are at /metrics", ""},
		{paged, "GET", "/", 200, "for people", ""},
		{paged, "POST", "/", 405, "", "GET, HEAD"},
		{full, "GET", "/nowhere", 404, "the metrics are at /metrics", ""},
		{full, "GET", "/metrics/", 404, "", ""},
		{full, "POST", "/metrics", 405, "", "GET, HEAD"},
		{moved, "GET", "/m", 200, "dormouse_build_info", ""},
		{moved, "GET", "/metrics", 404, "the metrics are at /m", ""},
		{full, "POST", "/-/reload", 403, "--web.enable-lifecycle", ""},
		{full, "POST", "/-/read", 403, "send it SIGUSR1", ""},
		{lively, "GET", "/-/read", 405, "", "POST, PUT"},
		{lively, "GET", "/-/reload", 405, "", "POST, PUT"},
		{lively, "POST", "/-/reload", 200, "was reloaded", ""},
		{lively, "PUT", "/-/reload", 200, "was reloaded", ""},
		{broken, "POST", "/-/reload", 500, "the previous one stays in use: dormouse.yml:3: unknown driver", ""},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		tt.e.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q:\n%s\nwant %d, %q, %q", tt.method, tt.path, w.Code, w.Header().Get("Allow"), w.Body, tt.status, tt.allow, tt.body)
		}
	}
	if reloads != 2 {
		t.Errorf("%d reloads, want 2", reloads)
	}
}

// A page of another site can't have a browser reload the configuration, or read
// the sensors.
func TestCrossSiteReload(t *testing.T) {
	reloads := 0
	e := New(Options{Clock: newClock(), Reload: func() error { reloads++; return nil },
		Read: func(context.Context) error { t.Error("the sensors were read"); return nil }})
	for _, tt := range []struct {
		header, value string
		want          int
	}{
		{"", "", 200}, // curl, Prometheus' tools
		{"Sec-Fetch-Site", "same-origin", 200},
		{"Sec-Fetch-Site", "none", 200},
		{"Sec-Fetch-Site", "same-site", 403},
		{"Sec-Fetch-Site", "cross-site", 403},
		{"Origin", "http://pi:9367", 200},
		{"Origin", "http://evil.example", 403},
		{"Origin", "null", 403},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://pi:9367/-/reload", nil)
		if tt.header != "" {
			r.Header.Set(tt.header, tt.value)
		}
		before := reloads
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != tt.want || (reloads > before) != (tt.want == 200) {
			t.Errorf("%s: %s: status %d, %d reloads", tt.header, tt.value, w.Code, reloads-before)
		}
		if tt.want == 403 {
			r.URL.Path = "/-/read"
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if w.Code != 403 {
				t.Errorf("%s: %s: a read has status %d", tt.header, tt.value, w.Code)
			}
		}
	}
}

// Reads that are asked for by HTTP have a pause between them, and lead a browser
// back to the page.
func TestReadByHTTP(t *testing.T) {
	clock := newClock()
	reads, failure := 0, error(nil)
	e := New(Options{Clock: clock, Read: func(context.Context) error { reads++; return failure }})
	for _, step := range []struct {
		after   time.Duration
		failure error
		want    int
		text    string
		header  [2]string
	}{
		{0, nil, 303, "were read", [2]string{"Location", "/"}},
		{0, nil, 429, "again in 10 s", [2]string{"Retry-After", "10"}},
		{0, nil, 429, "again in 10 s", [2]string{"Refresh", "10; url=/"}},
		{9500 * time.Millisecond, nil, 429, "again in 1 s", [2]string{"Retry-After", "1"}},
		{500 * time.Millisecond, nil, 303, "were read", [2]string{"Location", "/"}},
		{time.Minute, errors.New("the daemon is stopping"), 500, "not read: the daemon is stopping", [2]string{"Refresh", "10; url=/"}},
	} {
		clock.now = clock.now.Add(step.after)
		failure = step.failure
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/-/read", nil))
		if w.Code != step.want || !strings.Contains(w.Body.String(), step.text) || w.Header().Get(step.header[0]) != step.header[1] {
			t.Errorf("%+v: %d %s %v", step, w.Code, w.Body, w.Header())
		}
	}
	if reads != 3 {
		t.Errorf("%d reads, want 3", reads)
	}
}
