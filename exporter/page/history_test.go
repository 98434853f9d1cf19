package page

import (
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.org/dormouse/sensors"
)

// one is a Snapshot of one sensor with a temperature.
func one(at sensors.Instant, v float64) *sensors.Snapshot {
	return &sensors.Snapshot{At: at, Results: []sensors.Result{{
		Name: "a", Up: true, LastRead: at, LastSuccess: at, Readings: []sensors.Reading{{Quantity: sensors.Temperature, Value: v}},
	}}}
}

var temperature = &sensors.Reading{Quantity: sensors.Temperature}

// known are the points that aren't NaN, by how many slots ago they are.
func known(points []float64) map[int]float64 {
	m := map[int]float64{}
	for i, v := range points {
		if !math.IsNaN(v) {
			m[slots-1-i] = v
		}
	}
	return m
}

func TestPoints(t *testing.T) {
	start := sensors.Instant(1000 * slotTime)
	at := func(slot float64) sensors.Instant { return start.Add(time.Duration(slot * float64(slotTime))) }
	for _, tt := range []struct {
		name  string
		reads map[float64]float64 // value by moment in slots
		order []float64
		now   float64
		want  map[int]float64
	}{
		{"the mean of a slot", map[float64]float64{0: 1, 0.3: 2, 0.9: 6}, []float64{0, 0.3, 0.9}, 0.95, map[int]float64{0: 3}},
		{"a gap is a gap", map[float64]float64{0: 1, 3: 4}, []float64{0, 3}, 3.5, map[int]float64{0: 4, 3: 1}},
		{"nothing since", map[float64]float64{0: 1}, []float64{0}, 10, map[int]float64{10: 1}},
		{"older than a day", map[float64]float64{0: 1}, []float64{0}, 48, map[int]float64{}},
		{"the ring after a long pause", map[float64]float64{0: 1, 1: 2, 100: 3}, []float64{0, 1, 100}, 100, map[int]float64{0: 3}},
		{"the last moment of a day", map[float64]float64{0: 1, 47: 2}, []float64{0, 47}, 47, map[int]float64{0: 2, 47: 1}},
	} {
		h := newHistory()
		for _, slot := range tt.order {
			h.Add(one(at(slot), tt.reads[slot]))
		}
		if diff := cmp.Diff(tt.want, known(h.Points("a", temperature, at(tt.now), time.Time{}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Readings that stand while a read fails, or while others are read, count once;
// counters and moments have no curve; a sensor that is gone is forgotten.
func TestWhatIsTaken(t *testing.T) {
	h := newHistory()
	start := sensors.Instant(1000 * slotTime)
	h.Add(one(start, 1))
	h.Add(one(start, 1)) // another sensor's wake
	failed := one(start.Add(time.Minute), 1)
	failed.Results[0].LastSuccess = start // keep-failed
	h.Add(failed)
	h.Add(one(start.Add(2*time.Minute), 4))
	if got := known(h.Points("a", temperature, start, time.Time{})); got[0] != 2.5 {
		t.Errorf("the mean of 1 and 4 is %v", got)
	}
	s := one(start, 1)
	s.Results[0].Name = "b"
	s.Results[0].Readings[0].Quantity = sensors.Pulses
	h.Add(s)
	if p := h.Points("b", &sensors.Reading{Quantity: sensors.Pulses}, start, time.Time{}); p != nil {
		t.Errorf("a counter has the curve %v", p)
	}
	if p := h.Points("a", temperature, start, time.Time{}); p != nil {
		t.Errorf("a sensor that is gone has the curve %v", p)
	}
}

// Curves outlast a clean end, by the wall clock: in the next boot the time since
// boot is another.
func TestCurvesAreKept(t *testing.T) {
	h := newHistory()
	start := sensors.Instant(1000 * slotTime)
	wall := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	h.Add(one(start.Add(-2*slotTime), 5))
	h.Add(one(start, 7))
	data, err := h.Save(start, wall, true)
	if err != nil {
		t.Fatal(err)
	}
	next := newHistory()
	if err := next.Restore(data); err != nil {
		t.Fatal(err)
	}
	now := sensors.Instant(3 * slotTime) // of the next boot
	next.Add(one(now, 9))
	for _, tt := range []struct {
		name string
		wall time.Time
		want map[int]float64
	}{
		{"four slots later", wall.Add(4 * slotTime), map[int]float64{0: 9, 4: 7, 6: 5}},
		{"a day later", wall.Add(24*time.Hour + slotTime), map[int]float64{0: 9}},
		{"the clock isn't set yet", time.Unix(0, 0), map[int]float64{0: 9}},
	} {
		if diff := cmp.Diff(tt.want, known(next.Points("a", temperature, now, tt.wall)), cmpopts.EquateApprox(0, 1e-6)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	// The next clean end keeps what is still of the last day.
	data, err = next.Save(now, wall.Add(4*slotTime), true)
	if err != nil {
		t.Fatal(err)
	}
	third := newHistory()
	if err := third.Restore(data); err != nil {
		t.Fatal(err)
	}
	third.Add(one(now.Add(slotTime), 11))
	if diff := cmp.Diff(map[int]float64{0: 11, 1: 9, 5: 7, 7: 5}, known(third.Points("a", temperature, now.Add(slotTime), wall.Add(5*slotTime)))); diff != "" {
		t.Errorf("after a second end (-want +got):\n%s", diff)
	}
	if data, err := h.Save(start, wall, false); err != nil || data != nil {
		t.Errorf("without a true clock %q is kept, %v", data, err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	for _, text := range []string{`[`, `{"curves": {"a": [1, 2]}}`, `{"curves": {"a": ["x"]}}`} {
		if err := newHistory().Restore([]byte(text)); err == nil || !strings.Contains(err.Error(), "curves of an earlier run") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Ten sensors of three readings take less than 100 kB for ever, and a wake
// allocates nothing.
func TestMemoryOfCurves(t *testing.T) {
	var before, after runtime.MemStats
	snapshot := func(i int) *sensors.Snapshot {
		s := &sensors.Snapshot{}
		at := sensors.Instant(i) * sensors.Instant(time.Minute)
		for n := range 10 {
			s.Results = append(s.Results, sensors.Result{Name: string(rune('a' + n)), Up: true, LastRead: at, LastSuccess: at, Readings: []sensors.Reading{
				{Quantity: sensors.Temperature, Value: float64(i)}, {Quantity: sensors.Humidity, Value: 0.5}, {Quantity: sensors.Pressure, Value: 1e5}}})
		}
		return s
	}
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := newHistory()
	for i := range 5000 {
		h.Add(snapshot(i + 1))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 100_000 {
		t.Errorf("%d bytes are held", grown)
	}
	i := 6000
	s := snapshot(i)
	if n := testing.AllocsPerRun(100, func() {
		i++
		for k := range s.Results {
			s.Results[k].LastRead = sensors.Instant(i) * sensors.Instant(time.Minute)
			s.Results[k].LastSuccess = s.Results[k].LastRead
		}
		h.Add(s)
	}); n != 0 {
		t.Errorf("a wake allocates %v times", n)
	}
	runtime.KeepAlive(h)
}

func TestSparkline(t *testing.T) {
	nan := math.NaN()
	points := make([]float64, slots)
	for i := range points {
		points[i] = nan
	}
	title := func(low, high float64) string {
		return "<t> " + sensors.Temperature.Format(low) + " " + sensors.Temperature.Format(high)
	}
	if got := sparkline(points, 0, title); got != "" {
		t.Errorf("no points: %s", got)
	}
	points[3] = 5
	if got := sparkline(points, 0, title); got != "" {
		t.Errorf("one point: %s", got)
	}
	points[4], points[5], points[8] = 5, 10, 0
	// A level stretch, a rise, and after a gap a point alone.
	want := `<svg class="curve" role="img" viewBox="-1 -1 96 22"><title>&lt;t&gt; 0.00 °C 10.00 °C</title><path d="M6 10h0h2l2 -10M16 20h0"/></svg>`
	if got := string(sparkline(points, 0, title)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// A sensor that is read every hour and a half has its points joined.
	if got := string(sparkline(points, 2, title)); !strings.Contains(got, "l6 20") {
		t.Errorf("joined: %s", got)
	}
	// A program may print the largest numbers there are.
	points[5], points[8] = math.MaxFloat64, -math.MaxFloat64
	if got := string(sparkline(points, 0, title)); !strings.Contains(got, `d="M6 10h0h2l2 -10M16 20h0"`) {
		t.Errorf("the largest numbers: %s", got)
	}
}
