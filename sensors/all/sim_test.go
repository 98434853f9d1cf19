package all

import (
	"context"
	"math"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/sensortest"
)

// clock lets the simulated board live in the environment's virtual time.
type clock struct{ *sensortest.Env }

func (c clock) SleepUntil(ctx context.Context, at sensors.Instant) error {
	return c.Sleep(ctx, at.Sub(c.Now()))
}

// TestSimulatedChips reads the simulated board's chips with the drivers: two
// readings of the data sheets, made apart, must agree on the bytes, on the
// times and on the arithmetic.
func TestSimulatedChips(t *testing.T) {
	world := sim.Values{
		GreenhouseTemperature: 21.5, GreenhouseHumidity: 48, Pressure: 100800,
		OfficeTemperature: -3.25, OfficeHumidity: 91,
		CellarTemperature: 0,
		Inputs:            [4]float64{1.25, 3.7, 0.001, 0},
	}
	for _, tc := range []struct {
		driver string
		texts  map[string]string
		want   map[string]float64 // by quantity and channel
		within float64            // of the value
	}{
		{"bme280", nil, map[string]float64{"temperature": 21.5, "humidity": 0.48, "pressure": 100800}, 1e-3},
		{"bme280", map[string]string{"oversampling": "16"}, map[string]float64{"temperature": 21.5, "humidity": 0.48, "pressure": 100800}, 1e-3},
		{"sht4x", nil, map[string]float64{"temperature": -3.25, "humidity": 0.91}, 1e-3},
		{"sht4x", map[string]string{"precision": "low"}, map[string]float64{"temperature": -3.25, "humidity": 0.91}, 1e-3},
		{"tmp102", nil, map[string]float64{"temperature": 0}, 0},
		{"ads1115", map[string]string{"addr": "0x4a"}, map[string]float64{"voltage a0": 1.25, "voltage a1": 3.7, "voltage a2": 0.001, "voltage a3": 0}, 1e-3},
		{"ads1115", map[string]string{"addr": "0x4a", "a0-a3.gain": "2.048V", "rate": "860"}, map[string]float64{"voltage a0-a3": 1.25}, 1e-3},
	} {
		d := sensortest.Driver(t, tc.driver)
		e := sensortest.New(t, d, tc.texts)
		board := sim.New(clock{e}, 1)
		board.SetValues(func(sensors.Instant) sim.Values { return world })
		bus, err := board.OpenBus(sim.BusNumber)
		if err != nil {
			t.Fatal(err)
		}
		e.Bus = bus
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Errorf("%s %v: %v", tc.driver, tc.texts, err)
			continue
		}
		for range 3 { // one wake after the other, on a chip that was left asleep
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 || len(got) != len(tc.want) {
				t.Errorf("%s %v: %d readings, failures %v, error %v", tc.driver, tc.texts, len(got), failures, err)
			}
			for _, r := range got {
				name := r.Quantity.Name
				for _, l := range r.Labels {
					name += " " + l
				}
				want, ok := tc.want[name]
				if !ok || math.Abs(r.Value-want) > tc.within*max(1, math.Abs(want)) {
					t.Errorf("%s %v: %s is %v, want %v", tc.driver, tc.texts, name, r.Value, want)
				}
			}
			e.NextWake(60e9)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
	}
}
