// Package web is the HTTP server of the pages: listeners, TLS, passwords and
// rate limits. It serves any http.Handler and knows nothing of sensors.
//
// The web configuration file of the Prometheus exporter-toolkit, with the
// certificates that it names, is read at start and at a reload, and served from
// memory. The server arms no timer, so that an idle process stays asleep while
// a client keeps its connection open.
package web
