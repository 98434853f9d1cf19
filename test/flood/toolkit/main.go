// Command toolkit is an exporter behind the server of the Prometheus
// exporter-toolkit, a peer for the flood test.
package main

import (
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: toolkit ADDRESS")
	}
	http.Handle("/metrics", promhttp.Handler())
	addresses, none, no := []string{os.Args[1]}, "", false
	log.Fatal(web.ListenAndServe(&http.Server{}, &web.FlagConfig{WebListenAddresses: &addresses, WebConfigFile: &none, WebSystemdSocket: &no},
		slog.New(slog.DiscardHandler)))
}
