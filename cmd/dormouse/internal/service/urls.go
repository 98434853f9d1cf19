package service

import (
	"fmt"
	"strings"

	"example.org/dormouse/exporter/web"
)

// URLs are those of the server's root at its addresses, as a browser on this
// machine opens them: "http://localhost:9367".
func URLs(addresses []string, c *web.Config) []string {
	scheme := "http://"
	if c.UsesTLS() {
		scheme = "https://"
	}
	var urls []string
	for _, address := range addresses {
		urls = append(urls, scheme+web.Reachable(address))
	}
	return urls
}

// Served tells in words where the status page and the metrics are.
func Served(urls []string, telemetryPath string) string {
	all := func(path string) string {
		return strings.Join(urls, path+" and ") + path
	}
	return fmt.Sprintf("its page is at %s, its metrics are at %s", all("/"), all(telemetryPath))
}
