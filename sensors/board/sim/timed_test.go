package sim

import (
	"testing"
	"time"

	"example.org/dormouse/sensors"
)

// The edges of each answer, to the microsecond, as the data sheets draw them.
func TestSonar(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(exactly(Values{CisternDistance: 1.7171, ShedTemperature: 20})) // 10 ms there and back
	echo := openLine(t, b, "GPIO13", sensors.LineConfig{Edges: sensors.BothEdges})
	trigger := openLine(t, b, "GPIO12", sensors.LineConfig{Output: true})
	pulse := func(d time.Duration) sensors.Instant {
		check(t, trigger.SetActive(true))
		clock.Advance(d)
		check(t, trigger.SetActive(false))
		return clock.Now()
	}
	at := pulse(10 * time.Microsecond)
	clock.Advance(5 * time.Millisecond)
	if high, err := echo.Active(); err != nil || !high {
		t.Errorf("in the midst of the echo: %t, %v", high, err)
	}
	pulse(10 * time.Microsecond) // is ignored
	clock.Advance(55 * time.Millisecond)
	edges, err := echo.Edges(nil)
	check(t, err)
	if len(edges) != 2 || edges[0].At.Sub(at) != 450*time.Microsecond || edges[1].At.Sub(edges[0].At).Round(time.Microsecond) != 10*time.Millisecond || !edges[0].Active || edges[1].Active {
		t.Errorf("edges %+v", edges)
	}
	if high, err := echo.Active(); err != nil || high {
		t.Errorf("after the echo: %t, %v", high, err)
	}
	pulse(9 * time.Microsecond) // is too short
	clock.Advance(time.Second)
	if edges, err = echo.Edges(edges[:0]); err != nil || len(edges) > 0 {
		t.Errorf("after a short pulse: %+v, %v", edges, err)
	}
	check(t, trigger.Close())
	check(t, echo.Close())
}

func TestDHT22(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(exactly(Values{ShedTemperature: -10.1, ShedHumidity: 65.2}))
	ask := func(low time.Duration) []sensors.Edge {
		l := openLine(t, b, "GPIO4", sensors.LineConfig{Output: true, Buffer: 128})
		clock.Advance(low)
		check(t, l.Reconfigure(sensors.LineConfig{Edges: sensors.BothEdges}))
		clock.Advance(10 * time.Millisecond)
		edges, err := l.Edges(nil)
		check(t, err)
		if high, err := l.Active(); err != nil || !high {
			t.Errorf("the line rests low: %v", err)
		}
		check(t, l.Close())
		return edges
	}
	edges := ask(time.Millisecond)
	if len(edges) != 84 {
		t.Fatalf("%d edges, want 84", len(edges))
	}
	var frame uint64
	for i := 3; i < 83; i += 2 { // from each rising edge to the falling one
		high := edges[i+1].At.Sub(edges[i].At)
		low := edges[i].At.Sub(edges[i-1].At)
		if !edges[i].Active || low != 50*time.Microsecond || high != 26*time.Microsecond && high != 70*time.Microsecond {
			t.Errorf("edge %d: %v low, %v high", i, low, high)
		}
		frame <<= 1
		if high == 70*time.Microsecond {
			frame |= 1
		}
	}
	if frame != 0x028c806573 {
		t.Errorf("frame %010x, want 028c806573", frame)
	}
	if n := len(ask(time.Millisecond)); n != 0 {
		t.Errorf("asked again at once it sends %d edges", n)
	}
	clock.Advance(2 * time.Second)
	if n := len(ask(900 * time.Microsecond)); n != 0 {
		t.Errorf("after a short start it sends %d edges", n)
	}
	clock.Advance(2 * time.Second)
	if n := len(ask(2 * time.Millisecond)); n != 84 {
		t.Errorf("after the pause it sends %d edges", n)
	}
}

func TestScale(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(exactly(Values{}))
	data := openLine(t, b, "GPIO20", sensors.LineConfig{})
	sck := openLine(t, b, "GPIO21", sensors.LineConfig{Output: true, Active: true})
	level := func() bool {
		t.Helper()
		high, err := data.Active()
		check(t, err)
		return high
	}
	pulse := func() bool {
		check(t, sck.SetActive(true))
		clock.Advance(time.Microsecond)
		check(t, sck.SetActive(false))
		return level()
	}
	clock.Advance(60 * time.Microsecond)
	if !level() {
		t.Error("asleep, data is low")
	}
	check(t, sck.SetActive(false))
	clock.Advance(399 * time.Millisecond)
	if !level() {
		t.Error("data is low before the filter has settled")
	}
	clock.Advance(time.Millisecond)
	if level() {
		t.Error("data is high after four conversions")
	}
	value := 0
	for range 24 {
		value <<= 1
		if pulse() {
			value |= 1
		}
	}
	if value != 1<<24-84213 {
		t.Errorf("the empty scale reads %d, want %d", value-1<<24, -84213)
	}
	if !pulse() {
		t.Error("data is low after the frame")
	}
	clock.Advance(100 * time.Millisecond)
	if level() {
		t.Error("data is high after another conversion")
	}
	check(t, sck.Close())
	check(t, data.Close())
}
