// Package sensors is the vocabulary of the house: what is measured (Quantity,
// Unit, Reading), who measures it (Sensor, Driver and the options a driver
// takes), through what (the wires: I2C, Line, Files), and what one wake
// brought (Snapshot). It holds the registry of drivers and the configuration,
// which reads the --sensor flags and the YAML file into one structure.
//
// It opens nothing and waits for nothing: the wires themselves are in
// sensors/board, the schedule is in sensors/poll, and each driver is one file
// in sensors/chips, lines, kernel or command.
package sensors

import "example.org/dormouse/daemon/alarm"

// Instant is a moment on CLOCK_BOOTTIME, which counts suspend and which no
// step of the wall clock moves. It becomes wall-clock time only where it is
// shown, and then only once the wall clock is plausible.
type Instant = alarm.Instant
