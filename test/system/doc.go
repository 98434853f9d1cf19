// Package system tests the whole: the real binary in a machine with a real
// kernel (package test/rig), beside a real Prometheus, and as a release of each
// architecture.
// It holds tests only, which the build tag "system" switches on; make
// test-system runs them as root on Debian and docs/testing.md tells of them.
//
// What one package can show alone is tested there.
package system
