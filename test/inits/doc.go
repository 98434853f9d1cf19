// Package inits holds the tests of the whole program as a service: under System
// V init and systemd, each as process 1 of a root file system of its own, and on
// the test's machine after hostile starts, on disks that are full or gone, and
// under bursts of signals.
//
// The tests need root and run in a mount namespace of their own, so that nothing
// they mount is seen outside. The sensors are those of the simulated board, except
// where the unit's devices are the subject: there systemd runs in the machine of
// package test/rig, on real wires.
package inits
