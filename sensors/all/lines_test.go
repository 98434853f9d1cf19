package all

import (
	"syscall"

	"example.org/dormouse/sensors/sensortest"
)

func init() {
	// That the line is busy, missing or gone is in every line's faults.
	broken := sensortest.Fault{Name: "line gives EIO", Break: func(e *sensortest.Env) { e.Lines["pin"].Err = syscall.EIO }}
	pin := map[string]string{"pin": "GPIO27"}
	addCases(map[string][]sensortest.Case{
		"switch": {
			{Options: pin, World: lineWorld, Faults: []sensortest.Fault{broken}},
			{Options: map[string]string{"pin": "GPIO27", "transitions": "no"}, World: lineWorld, Faults: []sensortest.Fault{broken}},
		},
		"pulse": {
			{Options: pin, World: lineWorld, Faults: []sensortest.Fault{broken}},
			{Options: map[string]string{"pin": "GPIO22", "quantity": "volume", "per-pulse": "1l"}, World: lineWorld, Faults: []sensortest.Fault{broken}},
		},
	})
}

func lineWorld(e *sensortest.Env) { e.Lines["pin"] = &sensortest.Line{} }
