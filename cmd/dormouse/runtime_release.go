//go:build release

package main

import _ "unsafe" // for go:linkname

// forceGCPeriod is the runtime's own variable: how long after a garbage
// collection the next one is forced. Half of it is how long sysmon, the
// runtime's monitor thread, sleeps at most while nothing runs, so its 120 s
// wake an idle process each minute (runtime/proc.go, func sysmon, Go 1.26).
// Linkers refuse such a reference unless told not to check: `make build` sets
// -ldflags=-checklinkname=0 together with this file's build tag.
//
// Tried with Go 1.26.0, 1.26.8 and 1.27.1, by TestMonitorThread, which fails
// where a release of Go has changed this.
//
//go:linkname forceGCPeriod runtime.forcegcperiod
var forceGCPeriod int64

// eighteenYears in nanoseconds, doubled, still counts as seconds of 32 bits.
const eighteenYears = 1 << 59

func init() { forceGCPeriod = 2 * eighteenYears }

// gcSetting keeps the heap small. The runtime forces no collection any more, so
// that nothing but allocation brings one about.
const gcSetting = "GOGC=25"
