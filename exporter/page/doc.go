// Package page is the status page for people, "/": the sensors with their
// readings, ages and curves of the last day, failing ones first; the header with
// its wiring; the daemon's own state. It is rendered when it is requested, and
// never otherwise.
package page
