package rails

import (
	"errors"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
)

// A rail is a line like others: neither raising it nor switching off what an
// earlier process may have left on takes a pin from its peripheral.
func TestRailOnAPeripheralsPin(t *testing.T) {
	scl, err := sensors.ParseLine("GPIO3")
	if err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		for _, use := range []func(*Rails) error{
			func(r *Rails) error { return r.Rest(func(string) bool { return false }) },
			func(r *Rails) error { return r.Up(t.Context(), "r", 0) },
		} {
			b := sim.New(fakeClock(), 1)
			r := New([]*sensors.Rail{{Name: "r", Line: scl, Force: force}}, b, fakeClock())
			err := errors.Join(use(r), r.AllDown())
			if refused := err != nil && strings.Contains(err.Error(), "SCL of I2C bus 1"); refused == force {
				t.Errorf("force %t: %v", force, err)
			}
			info, err := b.LineInfo(scl)
			if taken := info.Function.IsZero(); err != nil || taken != force {
				t.Errorf("force %t: SCL was taken: %t (%v)", force, taken, err)
			}
		}
	}
}
