// Command usual is an exporter as it is usually written in Go, a peer for the
// benchmark: client_golang's default registry and handler, and a ticker.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// temperature and others are 40 series together.
var (
	temperature = promauto.NewGauge(prometheus.GaugeOpts{Name: "sensor_temperature_celsius", Help: "Temperature."})
	others      = promauto.NewGaugeVec(prometheus.GaugeOpts{Name: "bench_reading", Help: "A reading."}, []string{"number"})
)

func read(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		log.Fatal(err)
	}
	temperature.Set(v / 1000)
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: usual ADDRESS INTERVAL FILE")
	}
	every, err := time.ParseDuration(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	for i := range 39 {
		others.WithLabelValues(fmt.Sprint(i)).Set(float64(i) + 0.5)
	}
	read(os.Args[3])
	go func() {
		for range time.Tick(every) {
			read(os.Args[3])
		}
	}()
	http.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
