// Package sensors is the vocabulary that the other packages share: what is
// measured (Quantity, Reading), what measures it (Sensor, Driver and the
// options a driver takes), through what (I2C, Line, Rail, Files), and the
// result of one wake (Snapshot). It holds the registry of drivers.
//
// It opens nothing and waits for nothing: the configuration is read by
// sensors/config, the wires themselves are in sensors/board, the schedule is in
// sensors/poll, and each driver is one file in sensors/chips, lines, kernel or
// command.
package sensors

import "example.org/dormouse/daemon/alarm"

// Instant is a moment on CLOCK_BOOTTIME, which counts suspend and which no
// step of the wall clock moves. It becomes wall-clock time only where it is
// shown, and then only once the wall clock is plausible.
type Instant = alarm.Instant
