// Command bench measures what sleeping costs: dormouse beside a floor written
// in C and beside every peer that is installed, in one run on one machine.
//
//	make bench                        # eight minutes
//	DORMOUSE_BENCH=long make bench    # an hour and a half, at true intervals
//
// Figures of one machine say little; ratios of programs that ran side by side
// carry over, which is why each is printed with the spread of its repetitions.
// Nothing here passes or fails: figures are for people to read.
//
// How it measures: /proc is read at the ends of a window and never within it.
// Wake-ups are the voluntary context switches of all threads. CPU time is the
// process's CPU clock, clock_getcpuclockid(3), which counts nanoseconds over
// all threads. A program that polls every 2 s gives the cost of a wake, one that never
// polls gives the base, and an interval's cost is base plus wakes; in the long
// run they poll every 10 s and every 300 s instead, and nothing is added up.
//
// It needs root, gcc and the Go toolchain. Where the machine has no thermal
// zone, one is shown in a mount namespace of its own, whose temperature is
// another sysfs attribute of the kernel's: reading it costs what reading a
// sensor's costs.
package main
