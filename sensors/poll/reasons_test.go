package poll

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// A sensor has the reasons for which its driver and its wires can fail from the
// start, and no others.
func TestReasonsFromTheStart(t *testing.T) {
	in(t, func(w *world) {
		chip := w.sensor("chip", on(1, "0x20"), func(f *fake) {
			f.cfg.Driver.Reasons = []sensors.Reason{sensors.Checksum}
		})
		plain := w.sensor("plain")
		powered := w.sensor("powered", powered(supply("vcc", "GPIO17"), 0))
		w.run(chip.cfg, plain.cfg, powered.cfg)
		w.pass(time.Second)
		for name, want := range map[string][]sensors.Reason{
			"chip":    {sensors.Busy, sensors.Checksum, sensors.Identity, sensors.IO, sensors.NoAnswer, sensors.OutOfRange, sensors.Timeout},
			"plain":   {sensors.Busy, sensors.IO, sensors.NoAnswer, sensors.OutOfRange, sensors.Timeout},
			"powered": {sensors.Busy, sensors.IO, sensors.NoAnswer, sensors.OutOfRange, sensors.Timeout},
		} {
			if got := slices.Sorted(maps.Keys(w.result(name).Errors)); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	})
	// What a driver doesn't declare and gives all the same is counted.
	in(t, func(w *world) {
		var all []*config.Sensor
		for i, reason := range sensors.Reasons {
			all = append(all, w.sensor(fmt.Sprint(i), reporting(func(*sensors.Report) error { return sensors.Errorf(reason, "fails") })).cfg)
		}
		w.run(all...)
		for i, reason := range sensors.Reasons {
			if n := w.result(fmt.Sprint(i)).Errors[reason]; n != 1 {
				t.Errorf("%s is counted %d times", reason, n)
			}
		}
	})
}
