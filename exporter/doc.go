// Package exporter renders a sensors.Snapshot for Prometheus (/metrics), as JSON
// (/readings.json), as a table for the terminal,
// and as a text file for node_exporter.
//
// It reads no sensor and has no schedule. A page is rendered by the first scrape
// that requests it after a change, and kept as bytes per format and encoding:
// further scrapes only write those bytes, and a wake without a scrape renders
// nothing. The HTTP server is exporter/web.
package exporter
