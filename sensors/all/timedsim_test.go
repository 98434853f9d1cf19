package all

import (
	"math"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/sensortest"
)

// onHeader is an environment with the simulated board's lines.
type onHeader struct {
	*sensortest.Env
	board *sim.Board
}

func (h onHeader) Line(option string, c sensors.LineConfig) (sensors.Line, error) {
	return h.board.OpenLine(h.Options().Line(option), c, "test")
}

// TestSimulatedTiming reads what answers in time on the simulated board, as
// TestSimulatedChips does its chips.
func TestSimulatedTiming(t *testing.T) {
	world := sim.Values{ShedTemperature: -3.5, ShedHumidity: 65.2, CisternDistance: 1.25, BeehiveMass: 31500}
	for _, tc := range []struct {
		driver string
		texts  map[string]string
		want   map[string]float64
		within float64 // of the value
	}{
		{"dht", map[string]string{"pin": "GPIO4"}, map[string]float64{"temperature": -3.5, "humidity": 0.652}, 1e-9},
		{"echo", map[string]string{"trigger": "GPIO12", "echo": "GPIO13", "temperature": "shed"}, map[string]float64{"distance": 1.25}, 1e-5},
		{"hx711", map[string]string{"data": "GPIO20", "clock": "GPIO21", "tare": "-84213", "factor": "21.37"}, map[string]float64{"mass": 31500}, 1e-5},
		{"hx711", map[string]string{"data": "GPIO20", "clock": "GPIO21", "input": "A64", "factor": "1"}, map[string]float64{"mass": 588942}, 1e-5},
		{"frequency", map[string]string{"pin": "GPIO5"}, map[string]float64{"frequency": 0}, 0},
		{"duty", map[string]string{"pin": "GPIO5", "pull": "up", "still": "level"}, map[string]float64{"duty": 1}, 0},
	} {
		d := sensortest.Driver(t, tc.driver)
		e := sensortest.New(t, d, tc.texts)
		e.Values["shed/temperature"] = -3.5
		board := sim.New(clock{e}, 1)
		board.SetValues(func(sensors.Instant) sim.Values { return world })
		s, err := d.New(t.Context(), onHeader{e, board})
		if err != nil {
			t.Errorf("%s: %v", tc.driver, err)
			continue
		}
		for range 3 {
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 || len(got) != len(tc.want) {
				t.Errorf("%s: %d readings, failures %v, error %v", tc.driver, len(got), failures, err)
			}
			for _, r := range got {
				if want, ok := tc.want[r.Quantity.Name]; !ok || math.Abs(r.Value-want) > tc.within*math.Abs(want) {
					t.Errorf("%s: %s is %v, want %v", tc.driver, r.Quantity.Name, r.Value, want)
				}
			}
			e.NextWake(10 * time.Second)
		}
	}
}

// TestSimulatedWind holds what the driver says of the anemometer's minute
// against the edges of the same minute on an equal board.
func TestSimulatedWind(t *testing.T) {
	d := sensortest.Driver(t, "frequency")
	texts := map[string]string{"pin": "GPIO26", "window": "1m"}
	measured, counted := sensortest.New(t, d, texts), sensortest.New(t, d, texts)
	s, err := d.New(t.Context(), onHeader{measured, sim.New(clock{measured}, 1)})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := sensortest.Sense(t.Context(), t, d, s)
	if err != nil {
		t.Fatal(err)
	}
	line, err := onHeader{counted, sim.New(clock{counted}, 1)}.Line("pin", sensors.LineConfig{Edges: sensors.RisingEdge, Buffer: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	counted.NextWake(time.Minute)
	edges, err := line.Edges(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := len(edges)
	if n < 60 {
		t.Fatalf("%d edges in a minute", n)
	}
	want := float64(n-1) / edges[n-1].At.Sub(edges[0].At).Seconds()
	if f := sensortest.Value(t, got, sensors.Frequency); math.Abs(f-want) > 1e-9 {
		t.Errorf("got %v Hz, want %v", f, want)
	}
}
