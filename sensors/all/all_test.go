package all

import (
	"maps"
	"slices"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// cases tells what the fault test must know of each driver. A room's cases
// stand in a file of their own, whose init adds them.
var cases = map[string][]sensortest.Case{}

func addCases(more map[string][]sensortest.Case) { maps.Copy(cases, more) }

// TestFaults holds every registered driver to the first rule: a failed read
// never becomes a value. What came of all the faults stands in docs/sensors.md.
func TestFaults(t *testing.T) {
	tallies := map[string]sensortest.Tally{}
	for _, d := range sensors.Drivers() {
		t.Run(d.Name, func(t *testing.T) {
			if len(cases[d.Name]) == 0 {
				t.Fatalf("the driver %s has no case: add one to this package's tests", d.Name)
			}
			sum := sensortest.Tally{}
			for _, c := range cases[d.Name] {
				for kind, count := range sensortest.Faults(t, d, c) {
					total := sum[kind]
					total.Add(count)
					sum[kind] = total
				}
			}
			for _, kind := range sensortest.Kinds {
				if wrong := sum[kind].Wrong; wrong > 0 && d.Unverifiable == "" {
					t.Errorf("%d wrong values after the fault %q, and Unverifiable says nothing of them", wrong, kind)
				}
			}
			tallies[d.Name] = sum
		})
	}
	if len(tallies) == len(sensors.Drivers()) && !t.Failed() && sensortest.Thin(t) == 1 {
		compareDocument(t, tallies)
	}
}

func TestCasesAreOfDrivers(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		if _, ok := sensors.DriverByName(name); !ok {
			t.Errorf("there is a case for %s, which no driver is called", name)
		}
	}
}
