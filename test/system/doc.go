// Package system tests the whole: the real binary in a machine with a real
// kernel (package test/rig), beside a real Prometheus, and as 32-bit ARM code.
// It holds tests only, which the build tag "system" switches on; make
// test-system runs them as root on Debian and docs/testing.md tells of them.
//
// What one room can show alone is tested in that room.
package system
