// Package sleep tests what happens while the daemon sleeps: the wall clock is
// set, and the machine is suspended. Its tests need the tag system, and run the
// real binary in a machine of package rig, whose clocks nobody else lives by.
package sleep
