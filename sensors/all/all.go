// Package all registers all built-in drivers: import it for its effect.
// A driver becomes known to the program by a file in one of these packages.
//
// Its test puts every registered driver through the faults of its wiring. The
// cases stand in one test file for each package; a driver without one fails it.
package all

import (
	_ "example.org/dormouse/sensors/chips"
	_ "example.org/dormouse/sensors/command"
	_ "example.org/dormouse/sensors/describe"
	_ "example.org/dormouse/sensors/kernel"
	_ "example.org/dormouse/sensors/lines"
	_ "example.org/dormouse/sensors/serial"
)
