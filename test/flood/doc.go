// Package flood attacks dormouse's server and two servers as they are usually
// written, in the same run: promhttp alone, and promhttp behind the
// exporter-toolkit. Meanwhile each is scraped. The test prints the table of
// docs/testing.md.
package flood
