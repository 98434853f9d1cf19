//go:build !release

package main

// gcSetting leaves the heap to the memory limit: once there was a collection,
// the runtime forces another every two minutes, and each wakes the process some
// ten times. A release has a better way: see runtime_release.go.
const gcSetting = "GOGC=off"
