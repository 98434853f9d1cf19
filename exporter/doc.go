// Package exporter turns a sensors.Snapshot into what people and Prometheus
// read: the page /metrics, /readings.json, a status page, the terminal's table
// and the text file for node_exporter. It also holds the server: listeners,
// TLS and passwords.
//
// It reads no sensor and has no schedule. A page is rendered by the first
// scrape that asks for it after a change, and kept as bytes per format and
// encoding: further scrapes only write those bytes, and a wake that nobody
// scrapes renders nothing.
package exporter
