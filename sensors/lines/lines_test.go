package lines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"github.com/google/go-cmp/cmp"
)

func world(t testing.TB, driver string, texts map[string]string) (*sensors.Driver, *sensortest.Env, *sensortest.Line) {
	t.Helper()
	d := sensortest.Driver(t, driver)
	if texts["pin"] == "" {
		texts["pin"] = "GPIO27"
	}
	e := sensortest.New(t, d, texts)
	line := &sensortest.Line{}
	e.Lines["pin"] = line
	return d, e, line
}

func build(t testing.TB, d *sensors.Driver, e *sensortest.Env) sensors.Sensor {
	t.Helper()
	s, err := d.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sense reads and returns the values by quantity.
func sense(t testing.TB, d *sensors.Driver, s sensors.Sensor) map[string]float64 {
	t.Helper()
	readings, failures, err := sensortest.Sense(t.Context(), t, d, s)
	if err != nil || len(failures) > 0 {
		t.Fatalf("error %v, failures %v", err, failures)
	}
	values := map[string]float64{}
	for _, r := range readings {
		values[r.Quantity.Name] = r.Value
		if !r.At.IsZero() {
			values[r.Quantity.Name] = time.Duration(r.At).Seconds() // since the boot
		}
	}
	return values
}

// pulses drives n whole pulses, becoming active and inactive again.
func pulses(line *sensortest.Line, n int) {
	for range n {
		line.Drive(sensortest.Start, true)
		line.Drive(sensortest.Start, false)
	}
}

func TestLineConfig(t *testing.T) {
	for _, tc := range []struct {
		driver  string
		options map[string]string
		want    sensors.LineConfig
	}{
		{"switch", map[string]string{}, sensors.LineConfig{Edges: sensors.BothEdges, Debounce: 10 * time.Millisecond}},
		{"switch", map[string]string{"pull": "up", "active": "low", "debounce": "50ms"},
			sensors.LineConfig{Edges: sensors.BothEdges, Debounce: 50 * time.Millisecond, ActiveLow: true, Bias: sensors.PullUp}},
		{"switch", map[string]string{"transitions": "no", "pull": "down"}, sensors.LineConfig{Bias: sensors.PullDown}},
		{"pulse", map[string]string{"pull": "off"}, sensors.LineConfig{Edges: sensors.RisingEdge, Bias: sensors.BiasOff}},
		{"pulse", map[string]string{"edge": "falling", "debounce": "0s"}, sensors.LineConfig{Edges: sensors.FallingEdge}},
		{"pulse", map[string]string{"edge": "both", "debounce": "5ms"}, sensors.LineConfig{Edges: sensors.BothEdges, Debounce: 5 * time.Millisecond}},
	} {
		t.Run(fmt.Sprint(tc.driver, tc.options), func(t *testing.T) {
			d, e, line := world(t, tc.driver, tc.options)
			sense(t, d, build(t, d, e))
			if diff := cmp.Diff(tc.want, line.Config); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, tc := range []struct {
		driver  string
		options map[string]string
		want    string
	}{
		{"switch", map[string]string{}, "pin: is missing"},
		{"switch", map[string]string{"pin": "GPIO27", "pull": "high"}, "not one of up, down, off, as-is"},
		{"switch", map[string]string{"pin": "GPIO27", "debounce": "11s"}, "outside"},
		{"switch", map[string]string{"pin": "GPIO27", "debounce": "10ms", "transitions": "no"}, "leave one of the two out"},
		{"switch", map[string]string{"pin": "GPIO27", "wake": "room", "transitions": "no"}, "the line is not held"},
		{"switch", map[string]string{"pin": "GPIO27", "wake-limit": "5s"}, "no effect without wake"},
		{"switch", map[string]string{"pin": "GPIO27", "wake": "room", "wake-limit": "1ms"}, "outside"},
		{"switch", map[string]string{"pin": "GPIO27", "wake": ", "}, "names no sensor"},
		{"switch", map[string]string{"pin": "GPIO27", "wake": "room,a/b"}, `"a/b" is not a valid sensor name`},
		{"pulse", map[string]string{"pin": "GPIO22", "per-pulse": "1l"}, "needs quantity"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "volume"}, "per-pulse: is missing: how much volume is one pulse? (its unit: m³)"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "rotations"}, "a plain number"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "volume", "per-pulse": "1kWh"}, `per-pulse: "1kWh" has the unit "kWh"`},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "volume", "per-pulse": "0l"}, "more than nothing"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "volume", "per-pulse": "-1l"}, "more than nothing"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "volume", "per-pulse": "a lot"}, "not a number"},
		{"pulse", map[string]string{"pin": "GPIO22", "quantity": "temperature", "per-pulse": "1"}, "not one of precipitation"},
	} {
		t.Run(fmt.Sprint(tc.driver, tc.options), func(t *testing.T) {
			_, err := sensors.NewOptions(sensortest.Driver(t, tc.driver), tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestSwitchThatWakes(t *testing.T) {
	d, e, _ := world(t, "switch", map[string]string{})
	if _, ok := build(t, d, e).(sensors.Watcher); ok {
		t.Error("a switch without wake is watched")
	}
	d, e, line := world(t, "switch", map[string]string{"wake": "room, hall,room", "wake-limit": "5s"})
	s := build(t, d, e)
	watch := func() sensors.Watch { return s.(sensors.Watcher).Watch() }
	if w := watch(); w.Line != line || w.Changed || w.Limit != 5*time.Second || !slices.Equal(w.Wake, []string{"room", "hall"}) {
		t.Errorf("watch is %+v", w)
	}
	line.Drive(sensortest.Start, true)
	sense(t, d, s)
	if w := watch(); !w.Changed {
		t.Error("a change was read and isn't told")
	}
	sense(t, d, s)
	if w := watch(); w.Changed {
		t.Error("a change is told twice")
	}
	line.Drive(sensortest.Start, false)
	sense(t, d, s)
	line.Err = syscall.ENODEV
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); err == nil {
		t.Error("no error of a line that is gone")
	}
	if w := watch(); w.Line != nil || w.Changed {
		t.Errorf("watch of a line that is gone is %+v", w)
	}
}

func TestSwitchLevelOnly(t *testing.T) {
	d, e, line := world(t, "switch", map[string]string{"transitions": "no"})
	s := build(t, d, e)
	if _, holds := s.(sensors.Holder); holds || line.Opened > 0 {
		t.Errorf("the line is held between reads")
	}
	line.Drive(0, true)
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"active": 1}) {
		t.Errorf("got %v", got)
	}
	line.Drive(0, false)
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"active": 0}) {
		t.Errorf("got %v", got)
	}
	if line.Opened != 2 || line.Closed != 2 {
		t.Errorf("opened %d times and closed %d times, want 2 and 2", line.Opened, line.Closed)
	}
}

// hasTime holds the reading to the moment; on a machine whose clock can't be true
// there must be none.
func hasTime(t *testing.T, got map[string]float64, reading string, at sensors.Instant) {
	t.Helper()
	if value, ok := got[reading]; !ok || value != time.Duration(at).Seconds() {
		t.Errorf("%s is %v s after the boot (%v), want %v", reading, value, ok, time.Duration(at).Seconds())
	}
}

func TestSwitchWatched(t *testing.T) {
	d, e, line := world(t, "switch", map[string]string{})
	s := build(t, d, e)
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"active": 0, "transitions": 0}) {
		t.Errorf("before the first change: %v", got)
	}
	// More changes than the kernel keeps, 30 s ago; then one 10 s ago.
	now := alarm.Now()
	for i := range 40 {
		line.Drive(now.Add(-30*time.Second), i%2 == 0)
	}
	at := now.Add(-10 * time.Second)
	line.Drive(at, true)
	got := sense(t, d, s)
	if got["active"] != 1 || got["transitions"] != 41 {
		t.Errorf("got %v, want active and 41 transitions", got)
	}
	hasTime(t, got, "last_change_timestamp", at)
	if again := sense(t, d, s); !cmp.Equal(again, got) {
		t.Errorf("nothing happened, and yet %v became %v", got, again)
	}
	line.Drive(at.Add(400*time.Millisecond), false)
	hasTime(t, sense(t, d, s), "last_change_timestamp", at.Add(400*time.Millisecond))
	if line.Opened != 1 || line.Closed != 0 {
		t.Errorf("opened %d times, closed %d times: it isn't held", line.Opened, line.Closed)
	}
	if err := s.(io.Closer).Close(); err != nil || line.Closed != 1 {
		t.Errorf("close: %v, closed %d times", err, line.Closed)
	}
	if err := s.(io.Closer).Close(); err != nil || line.Closed != 1 {
		t.Errorf("close again: %v, closed %d times", err, line.Closed)
	}
}

// TestLineLost: the chip goes away and comes back; the sensor fails meanwhile
// and then goes on from what it had counted.
func TestLineLost(t *testing.T) {
	for _, tc := range []struct{ driver, total string }{{"switch", "transitions"}, {"pulse", "pulses"}} {
		t.Run(tc.driver, func(t *testing.T) {
			d, e, line := world(t, tc.driver, map[string]string{})
			s := build(t, d, e)
			pulses(line, 10)
			before := sense(t, d, s)[tc.total]
			pulses(line, 3) // between the last read and the loss: gone with the line
			line.Err = syscall.ENODEV

			fails := func(errno syscall.Errno, want string) {
				t.Helper()
				_, _, err := sensortest.Sense(t.Context(), t, d, s)
				if !errors.Is(err, errno) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %v and %q", err, errno, want)
				}
			}
			fails(syscall.ENODEV, "GPIO27 (pin 13)")
			if line.Closed != 1 {
				t.Errorf("closed %d times, want once", line.Closed)
			}
			line.Err, line.OpenErr = nil, syscall.EBUSY
			fails(syscall.EBUSY, "open line")
			line.OpenErr = nil
			if got := sense(t, d, s)[tc.total]; got != before {
				t.Errorf("%v after it came back, want %v", got, before)
			}
			pulses(line, 2)
			perPulse := before / 10
			if got := sense(t, d, s)[tc.total]; got != before+2*perPulse {
				t.Errorf("%v, want %v: the kernel numbers from 1 again", got, before+2*perPulse)
			}
		})
	}
}

// TestChangedWhileLost: a change that nobody saw has no time.
func TestChangedWhileLost(t *testing.T) {
	d, e, line := world(t, "switch", map[string]string{})
	s := build(t, d, e)
	changed := alarm.Now()
	line.Drive(changed, true)
	hasTime(t, sense(t, d, s), "last_change_timestamp", changed)
	line.Err = syscall.ENODEV
	if _, _, err := sensortest.Sense(t.Context(), t, d, s); err == nil {
		t.Fatal("no error")
	}
	line.Err = nil
	line.Drive(alarm.Now(), false)
	if got := sense(t, d, s); !cmp.Equal(got, map[string]float64{"active": 0, "transitions": 1}) {
		t.Errorf("got %v, want no time", got)
	}
}

func TestCannotOpen(t *testing.T) {
	for _, options := range []map[string]string{{"driver": "switch"}, {"driver": "pulse"}, {"driver": "switch", "transitions": "no"}} {
		t.Run(fmt.Sprint(options), func(t *testing.T) {
			driver := options["driver"]
			delete(options, "driver")
			d, e, line := world(t, driver, options)
			line.OpenErr = syscall.EBUSY
			_, _, err := sensortest.Read(t, d, e)
			if !errors.Is(err, syscall.EBUSY) || sensors.ReasonOf(err) != sensors.Busy {
				t.Errorf("got %v, want EBUSY", err)
			}
		})
	}
}

func TestLevelFails(t *testing.T) {
	d, e, line := world(t, "switch", map[string]string{"transitions": "no"})
	line.Err = syscall.EIO
	_, _, err := sensortest.Read(t, d, e)
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "GPIO27") {
		t.Errorf("got %v, want EIO", err)
	}
	if line.Closed != 1 {
		t.Errorf("closed %d times, want once", line.Closed)
	}
}

// numbered is a line whose next edge has the number that a test gives.
type numbered struct {
	sensors.Line
	next []sensors.Edge
	errs struct{ level, close error }
}

func (n *numbered) Edges(buf []sensors.Edge) ([]sensors.Edge, error) {
	buf = append(buf, n.next...)
	n.next = nil
	return buf, nil
}
func (n *numbered) Active() (bool, error) { return false, n.errs.level }
func (n *numbered) Close() error          { return n.errs.close }

// holding is an environment with that line.
type holding struct {
	*sensortest.Env
	line *numbered
}

func (h holding) Line(string, sensors.LineConfig) (sensors.Line, error) { return h.line, nil }

func TestNumbersWrap(t *testing.T) {
	_, e, _ := world(t, "pulse", map[string]string{})
	e.Debug = true
	line := &numbered{}
	s, err := newPulse(t.Context(), holding{e, line})
	if err != nil {
		t.Fatal(err)
	}
	want := 0.
	for _, step := range []struct {
		seqs []uint32
		more float64
	}{
		{[]uint32{1}, 1},
		{nil, 0},
		{[]uint32{985, 1000}, 999}, // the kernel dropped those between
		{[]uint32{math.MaxUint32}, math.MaxUint32 - 1000},
		{[]uint32{math.MaxUint32, 0, 1, 2}, 3},
	} {
		for _, seq := range step.seqs {
			line.next = append(line.next, sensors.Edge{Seq: seq})
		}
		want += step.more
		var r sensors.Report
		if err := s.Sense(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.Readings()[0].Value; got != want {
			t.Errorf("after the edges %v: %v, want %v", step.seqs, got, want)
		}
	}
}

// TestLostTwice: a line whose level fails is given up even where it can't be
// closed properly, and that is said.
func TestLostTwice(t *testing.T) {
	_, e, _ := world(t, "pulse", map[string]string{})
	e.Debug = true
	line := &numbered{}
	line.errs.level, line.errs.close = syscall.EIO, syscall.EBADF
	s, err := newPulse(t.Context(), holding{e, line})
	if err != nil {
		t.Fatal(err)
	}
	var r sensors.Report
	if err := s.Sense(t.Context(), &r); !errors.Is(err, syscall.EIO) || len(r.Readings()) > 0 {
		t.Errorf("got %v and %d readings, want EIO", err, len(r.Readings()))
	}
	if !strings.Contains(e.Logged(), "bad file descriptor") {
		t.Errorf("the log says nothing of it: %s", e.Logged())
	}
}

func TestPulseQuantities(t *testing.T) {
	for _, tc := range []struct {
		quantity, per string
		pulses        int
		want          float64
	}{
		{"precipitation", "0.2794mm", 500, 0.1397},
		{"volume", "1l", 1234, 1.234},
		{"energy", "1.25Wh", 800, 3.6e6},
		{"energy", "3600", 2, 7200},
		{"rotations", "0.5", 7, 3.5},
	} {
		t.Run(tc.quantity+tc.per, func(t *testing.T) {
			d, e, line := world(t, "pulse", map[string]string{"quantity": tc.quantity, "per-pulse": tc.per})
			s := build(t, d, e)
			pulses(line, tc.pulses)
			got := sense(t, d, s)
			if got["pulses"] != float64(tc.pulses) || math.Abs(got[tc.quantity]/tc.want-1) > 1e-12 {
				t.Errorf("got %v, want %v of %s", got, tc.want, tc.quantity)
			}
		})
	}
}

func TestPulseEdges(t *testing.T) {
	for edge, want := range map[string]float64{"rising": 5, "falling": 4, "both": 9} {
		d, e, line := world(t, "pulse", map[string]string{"edge": edge})
		s := build(t, d, e)
		pulses(line, 4)
		line.Drive(0, true)
		if got := sense(t, d, s)["pulses"]; got != want {
			t.Errorf("edge=%s counts %v of 4½ pulses, want %v", edge, got, want)
		}
	}
}

// TestCountsBeforeTheFirstRead: counting begins when the line is taken.
func TestCountsBeforeTheFirstRead(t *testing.T) {
	d, e, line := world(t, "pulse", map[string]string{})
	s := build(t, d, e)
	pulses(line, 500)
	if got := sense(t, d, s)["pulses"]; got != 500 {
		t.Errorf("got %v, want 500", got)
	}
}

// TestCloseCountsTheRest: what the kernel has counted since the last read isn't
// lost at a clean end.
func TestCloseCountsTheRest(t *testing.T) {
	d, e, line := world(t, "pulse", map[string]string{})
	s := build(t, d, e)
	pulses(line, 5)
	sense(t, d, s)
	pulses(line, 100)
	if err := s.(sensors.Holder).Close(); err != nil {
		t.Fatal(err)
	}
	state, err := s.(sensors.Keeper).State()
	if want := `{"version":1,"pulses":105}`; err != nil || string(state) != want {
		t.Errorf("state %s, %v, want %s", state, err, want)
	}
}

// Another meaning of the pulses doesn't need the line anew, and the total goes on.
func TestPulsesOfAnotherMeaning(t *testing.T) {
	d, e, line := world(t, "pulse", map[string]string{"quantity": "precipitation", "per-pulse": "0.2mm"})
	s := build(t, d, e)
	pulses(line, 1000)
	sense(t, d, s)
	options := func(texts map[string]string) *sensors.Options {
		texts["pin"] = "GPIO27"
		o, err := sensors.NewOptions(d, texts)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	r := s.(sensors.Reconfigurer)
	for _, other := range []map[string]string{{"edge": "both"}, {"debounce": "5ms"}, {"pull": "up"}, {"active": "low"}} {
		if r.Reconfigure(options(other)) {
			t.Errorf("%v is taken without the line", other)
		}
	}
	for _, tt := range []struct {
		options map[string]string
		total   string
		want    float64 // ten pulses later
	}{
		{map[string]string{"quantity": "precipitation", "per-pulse": "0.5mm", "gap": "yes"}, "precipitation", 0.205},
		{map[string]string{"quantity": "volume", "per-pulse": "1l"}, "volume", 0.010},
		{map[string]string{"gap": "yes"}, "pulses", 1030},
	} {
		if !r.Reconfigure(options(tt.options)) {
			t.Fatalf("%v isn't taken", tt.options)
		}
		pulses(line, 10)
		if got := sense(t, d, s); math.Abs(got[tt.total]-tt.want) > 1e-12 {
			t.Errorf("%v gives %v, want %v", tt.options, got, tt.want)
		}
	}
	if line.Opened != 1 || line.Closed != 0 {
		t.Errorf("the line was opened %d times and closed %d times", line.Opened, line.Closed)
	}
}

func TestKeptCount(t *testing.T) {
	rain := map[string]string{"quantity": "precipitation", "per-pulse": "0.2mm"}
	d, e, line := world(t, "pulse", rain)
	first := build(t, d, e)
	pulses(line, 1000)
	before := sense(t, d, first)
	state, err := first.(sensors.Keeper).State()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"version":1,"pulses":1000,"quantity":"precipitation","per_pulse":0.0002}`; string(state) != want {
		t.Errorf("state %s, want %s: other versions have to read it", state, want)
	}
	for _, tc := range []struct {
		name        string
		options     map[string]string
		total       string
		zero, tenth float64 // right after the restart, and ten pulses later
	}{
		{"the same", rain, "precipitation", before["precipitation"], 0.202},
		{"another amount", map[string]string{"quantity": "precipitation", "per-pulse": "0.5mm"}, "precipitation", 0.2, 0.205},
		{"another quantity", map[string]string{"quantity": "volume", "per-pulse": "1l"}, "volume", 0, 0.01},
		{"no quantity", map[string]string{}, "pulses", 1000, 1010},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e, line := world(t, "pulse", tc.options)
			s := build(t, d, e)
			if err := s.(sensors.Keeper).Restore(state); err != nil {
				t.Fatal(err)
			}
			got := sense(t, d, s)
			if got["pulses"] != 1000 || math.Abs(got[tc.total]-tc.zero) > 1e-12 {
				t.Errorf("got %v, want 1000 pulses and %v", got, tc.zero)
			}
			pulses(line, 10)
			got = sense(t, d, s)
			if got["pulses"] != 1010 || math.Abs(got[tc.total]-tc.tenth) > 1e-12 {
				t.Errorf("got %v, want 1010 pulses and %v", got, tc.tenth)
			}
			// A second restart continues the same total.
			again, err := s.(sensors.Keeper).State()
			if err != nil {
				t.Fatal(err)
			}
			d, e, _ = world(t, "pulse", tc.options)
			s = build(t, d, e)
			if err := s.(sensors.Keeper).Restore(again); err != nil {
				t.Fatal(err)
			}
			if last := sense(t, d, s); !cmp.Equal(last, got) {
				t.Errorf("a second restart makes %v of %v", last, got)
			}
		})
	}
}

func TestKeptCountRefused(t *testing.T) {
	for state, want := range map[string]string{
		"":                           "unexpected end",
		"garbage":                    "invalid character",
		`{"version":2,"pulses":5}`:   "version 2",
		`{"pulses":5}`:               "version 0",
		`{"version":1,"pulses":-5}`:  "cannot unmarshal",
		`{"version":1,"pulses":1e3}`: "cannot unmarshal",
		`{"version":1,"pulses":9007199254740993}`:     "can't be true",
		`{"version":1,"pulses":5,"per_pulse":-0.001}`: "can't be true",
	} {
		d, e, _ := world(t, "pulse", map[string]string{})
		s := build(t, d, e)
		if err := s.(sensors.Keeper).Restore([]byte(state)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", state, err, want)
		}
		if got := sense(t, d, s)["pulses"]; got != 0 {
			t.Errorf("%q was refused and yet %v pulses are counted", state, got)
		}
	}
}

func BenchmarkPulse(b *testing.B) {
	d := sensortest.Driver(b, "pulse")
	e := sensortest.New(b, d, map[string]string{"pin": "22", "quantity": "volume", "per-pulse": "1l"})
	line := &sensortest.Line{}
	e.Lines["pin"] = line
	sensortest.Bench(b, d, e, func() { pulses(line, 20) })
}

func TestNoAllocations(t *testing.T) {
	for _, driver := range []string{"switch", "pulse"} {
		d, e, line := world(t, driver, map[string]string{})
		s := build(t, d, e)
		var r sensors.Report
		ctx := context.Background()
		line.Drive(alarm.Now(), true)
		allocs := testing.AllocsPerRun(100, func() {
			r.Reset()
			if err := s.Sense(ctx, &r); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations in a read", driver, allocs)
		}
	}
}
