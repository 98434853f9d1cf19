package exporter

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.org/dormouse/sensors"
)

// fortySeries has 40 readings of 10 sensors.
func fortySeries() *sensors.Snapshot {
	s := &sensors.Snapshot{At: boot}
	quantities := []*sensors.Quantity{sensors.Temperature, sensors.Humidity, sensors.Pressure, sensors.Voltage}
	for i := range 10 {
		r := sensors.Result{Name: fmt.Sprintf("sensor%d", i), Driver: "bme280", Wiring: "I2C bus 1, address 0x76", Tried: true, Up: true}
		for j, q := range quantities {
			r.Readings = append(r.Readings, sensors.Reading{Quantity: q, Value: float64(i) + float64(j)/10})
		}
		s.Results = append(s.Results, r)
	}
	return s
}

// usual is how an exporter of the same readings is usually made: gauges in a
// registry with the default collectors, behind promhttp.
func usual() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauges := map[string]*prometheus.GaugeVec{}
	for _, r := range fortySeries().Results {
		for _, g := range r.Readings {
			name := g.Quantity.MetricName()
			if gauges[name] == nil {
				gauges[name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: g.Quantity.Help}, []string{"sensor"})
				registry.MustRegister(gauges[name])
			}
			gauges[name].WithLabelValues(r.Name).Set(g.Value)
		}
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// sink is a ResponseWriter that keeps nothing, and is used again.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// scraper is a request as Prometheus sends it.
func scraper() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("User-Agent", "Prometheus/3.5.0")
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	return r
}

func TestScrapeAllocatesNothing(t *testing.T) {
	e := newExporter(fortySeries(), newClock())
	w, r := &sink{http.Header{}}, scraper()
	if n := testing.AllocsPerRun(100, func() { e.ServeHTTP(w, r) }); n > 1 {
		t.Errorf("a scrape of a page that is there makes %v allocations", n)
	}
}

func TestPublishAllocatesLittle(t *testing.T) {
	e := newExporter(fortySeries(), newClock())
	s := fortySeries()
	if n := testing.AllocsPerRun(100, func() { e.Publish(s) }); n > 2 {
		t.Errorf("publishing makes %v allocations", n)
	}
}

// BenchmarkScrape is one scrape of 40 series within the process: of a page
// that is there, of one that is rendered for it, and of the usual exporter.
// times-cheaper is how much cheaper than the usual one ours is.
func BenchmarkScrape(b *testing.B) {
	scrape := func(h http.Handler) func(*testing.B) {
		return func(b *testing.B) {
			w, r := &sink{http.Header{}}, scraper()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		}
	}
	e := newExporter(fortySeries(), newClock())
	b.Run("kept", scrape(e))
	b.Run("rendered", func(b *testing.B) {
		s := fortySeries()
		w, r := &sink{http.Header{}}, scraper()
		b.ReportAllocs()
		for b.Loop() {
			e.Publish(s)
			e.ServeHTTP(w, r)
		}
	})
	b.Run("publish", func(b *testing.B) {
		s := fortySeries()
		b.ReportAllocs()
		for b.Loop() {
			e.Publish(s)
		}
	})
	b.Run("promhttp", scrape(usual()))
}

// BenchmarkKeptAlive is one scrape over a kept-alive connection, client
// included, of ours and of the usual exporter.
func BenchmarkKeptAlive(b *testing.B) {
	run := func(b *testing.B, h http.Handler) time.Duration {
		server := httptest.NewServer(h)
		defer server.Close()
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		request := scraper()
		request.RequestURI = ""
		request.URL.Scheme, request.URL.Host = "http", server.Listener.Addr().String()
		b.ReportAllocs()
		for b.Loop() {
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				b.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				b.Fatal(err)
			}
		}
		return b.Elapsed() / time.Duration(b.N)
	}
	var ours, theirs time.Duration
	b.Run("kept", func(b *testing.B) { ours = run(b, newExporter(fortySeries(), newClock())) })
	b.Run("promhttp", func(b *testing.B) {
		theirs = run(b, usual())
		if ours > 0 {
			b.ReportMetric(float64(theirs)/float64(ours), "times-dearer")
		}
	})
}
