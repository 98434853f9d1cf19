// Package lines tests the drivers of package sensors/lines against things that
// answer in real time: signals, an HC-SR04 and DHTs, each a program in the
// machine of package test/rig that drives the far end of gpio-sim's lines
// while the real binary reads the near one. It holds tests only, which the
// build tag "system" switches on.
//
// The machine counts its time in instructions (QEMU's -icount), so that a busy
// host can't stretch a pulse of 26 µs. What no program can answer in time, the
// clock of an HX711, is left to the modelled chip of that driver's own tests.
package lines
