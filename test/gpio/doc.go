// Package gpio tests lines and power in a machine with a real kernel (package
// test/rig): the kernel's gpio-sim is the chip, and its own trace and interrupt
// counters are what the daemon's numbers are held against. It holds tests only,
// which the build tag "system" switches on.
//
// What wires besides lines do is test/system's business.
package gpio
