package lines

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"github.com/google/go-cmp/cmp"
)

// wired is a world with a line for each option that names one.
func wired(t testing.TB, driver string, texts map[string]string, lines ...string) (*sensors.Driver, *sensortest.Env) {
	t.Helper()
	d := sensortest.Driver(t, driver)
	all := map[string]string{}
	for i, l := range lines {
		all[l] = fmt.Sprint("GPIO", 23+i)
	}
	for k, v := range texts {
		all[k] = v
	}
	e := sensortest.New(t, d, all)
	for _, l := range lines {
		e.Lines[l] = &sensortest.Line{}
	}
	return d, e
}

// square lets a signal run on the line from when it is listened to: n periods,
// beginning with its active part after a quarter of a period.
func square(e *sensortest.Env, pin string, n int, period time.Duration, duty float64) {
	line := e.Lines[pin]
	line.OnConfig = func(sensors.LineConfig) {
		at := e.Now().Add(period / 4)
		for range n {
			line.Drive(at, true)
			line.Drive(at.Add(time.Duration(duty*float64(period))), false)
			at = at.Add(period)
		}
	}
}

// fails reads and looks at the error.
func fails(t *testing.T, d *sensors.Driver, e *sensortest.Env, reason sensors.Reason, want string) {
	t.Helper()
	got, failures, err := sensortest.Read(t, d, e)
	if err == nil || len(failures) > 0 {
		t.Fatalf("no error, but %v and failures %v; want %q", got, failures, want)
	}
	if sensors.ReasonOf(err) != reason || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v (%s), want %q (%s)", err, sensors.ReasonOf(err), want, reason)
	}
}

// released tells whether every line of the world was closed as often as opened.
func released(t *testing.T, e *sensortest.Env) {
	t.Helper()
	for name, l := range e.Lines {
		if l.Opened != l.Closed {
			t.Errorf("line of %s: opened %d times and closed %d times", name, l.Opened, l.Closed)
		}
	}
}

func value(t *testing.T, d *sensors.Driver, e *sensortest.Env, q *sensors.Quantity) float64 {
	t.Helper()
	readings, failures, err := sensortest.Read(t, d, e)
	if err != nil || len(failures) > 0 {
		t.Fatalf("error %v, failures %v", err, failures)
	}
	return sensortest.Value(t, readings, q)
}

func TestFrequency(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options map[string]string
		periods int
		period  time.Duration
		want    float64
	}{
		{"no signal", nil, 0, time.Second, 0},
		{"two edges", nil, 2, 450 * time.Millisecond, 1 / 0.45},
		{"mains", nil, 50, 20 * time.Millisecond, 50},
		{"more edges than the buffer holds", nil, 5000, 200 * time.Microsecond, 5000},
		{"the fastest", nil, 10000, 100 * time.Microsecond, 10000},
		{"window", map[string]string{"window": "50ms"}, 50, time.Millisecond, 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "frequency", tc.options, "pin")
			square(e, "pin", tc.periods, tc.period, 0.5)
			if got := value(t, d, e, sensors.Frequency); math.Abs(got-tc.want) > 1e-9*tc.want {
				t.Errorf("got %v Hz, want %v", got, tc.want)
			}
			if want := (sensors.LineConfig{Edges: sensors.RisingEdge, Buffer: 1024}); e.Lines["pin"].Config != want {
				t.Errorf("line asked for as %+v", e.Lines["pin"].Config)
			}
			if want := []time.Duration{e.Options().Duration("window")}; !cmp.Equal(e.Waits, want) {
				t.Errorf("waits %v, want %v", e.Waits, want)
			}
			released(t, e)
		})
	}
}

func TestFrequencyFails(t *testing.T) {
	d, e := wired(t, "frequency", nil, "pin")
	square(e, "pin", 20000, 50*time.Microsecond, 0.5)
	fails(t, d, e, sensors.OutOfRange, "GPIO23 (pin 16) has 20000 periods a second: above 10000 Hz")

	d, e = wired(t, "frequency", nil, "pin")
	line := e.Lines["pin"]
	line.OnConfig = func(sensors.LineConfig) {
		for _, active := range []bool{true, false, true} {
			line.Drive(e.Now(), active)
		}
	}
	fails(t, d, e, sensors.IO, "time stamps can't be right")
}

// TestSignalThroughout: there is a value only where the signal was there in the
// whole window.
func TestSignalThroughout(t *testing.T) {
	ms := time.Millisecond
	for _, tc := range []struct {
		name   string
		driver string
		first  time.Duration // edge
		period time.Duration
		n      int // periods
		want   string
	}{
		{"one edge", "frequency", 300 * ms, 800 * ms, 1, "had one edge in 1s, which gives no period"},
		{"began late", "frequency", 500 * ms, 10 * ms, 50, "was still for 500ms of the window of 1s, with a period of 10ms"},
		{"ended early", "frequency", 5 * ms, 10 * ms, 50, "was still for 505ms"},
		{"two edges of a burst", "frequency", 400 * ms, 100 * ms, 2, "was still for 500ms"},
		{"two slow edges", "frequency", 460 * ms, 400 * ms, 2, "was still for 460ms"},
		{"two slow edges", "frequency", 440 * ms, 400 * ms, 2, ""},
		{"none", "duty", 0, time.Second, 0, "had no edge in 1s"},
		{"one edge", "duty", 600 * ms, time.Second, 1, "had 1 edges and no whole period"},
		{"began late", "duty", 500 * ms, 10 * ms, 50, "was still for 500ms"},
		{"ended early", "duty", 5 * ms, 10 * ms, 50, "was still for 500ms"},
		{"three edges", "duty", 100 * ms, 600 * ms, 2, ""},
		{"a short burst", "duty", 100 * ms, 100 * ms, 2, "was still for 750ms"},
	} {
		t.Run(tc.driver+" "+tc.name, func(t *testing.T) {
			d, e := wired(t, tc.driver, nil, "pin")
			line := e.Lines["pin"]
			line.OnConfig = func(c sensors.LineConfig) {
				for i := range tc.n {
					at := e.Now().Add(tc.first + time.Duration(i)*tc.period)
					line.Drive(at, true)
					if c.Edges == sensors.RisingEdge || at.Add(tc.period/2).Before(e.Now().Add(time.Second)) {
						line.Drive(at.Add(tc.period/2), false)
					}
				}
			}
			if tc.want != "" {
				fails(t, d, e, sensors.NotReady, tc.want)
				return
			}
			q := map[string]*sensors.Quantity{"frequency": sensors.Frequency, "duty": sensors.Duty}[tc.driver]
			want := map[string]float64{"frequency": 1 / tc.period.Seconds(), "duty": 0.5}[tc.driver]
			if got := value(t, d, e, q); math.Abs(got-want) > 1e-9 {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestAnyWave: of any steady wave, however slow and wherever it stands when the
// window begins, there is the right value or none.
func TestAnyWave(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	values := 0
	for range 1000 {
		period := time.Duration(math.Pow(10, 4+6*random.Float64())) * time.Nanosecond * 10 // 0.1 ms to 100 s
		duty := 0.01 + 0.98*random.Float64()
		phase := time.Duration(random.Float64() * float64(period))
		for driver, want := range map[string]float64{"frequency": 1 / period.Seconds(), "duty": duty} {
			d, e := wired(t, driver, nil, "pin")
			line := e.Lines["pin"]
			line.Drive(0, float64(phase) < duty*float64(period)) // as it stands before
			line.OnConfig = func(sensors.LineConfig) {
				began := e.Now()
				end := began.Add(time.Second)
				for at := began.Add(-phase); at.Before(end); at = at.Add(period) {
					falls := at.Add(time.Duration(duty * float64(period)))
					if !at.Before(began) {
						line.Drive(at, true)
					}
					if !falls.Before(began) && falls.Before(end) {
						line.Drive(falls, false)
					}
				}
			}
			got, _, err := sensortest.Read(t, d, e)
			switch {
			case err == nil && driver == "frequency" && got[0].Value == 0 && period > time.Second: // less than one period in the window
			case err == nil && math.Abs(got[0].Value-want) > 1e-3*want:
				t.Errorf("%s of a wave of %v, duty %.3f, after %v of it: got %v, want %v", driver, period, duty, phase, got[0].Value, want)
			case err == nil:
				values++
			case period < 300*time.Millisecond:
				t.Errorf("%s of a wave of %v, duty %.3f: %v", driver, period, duty, err)
			}
		}
	}
	if values < 1000 {
		t.Errorf("%d values only", values)
	}
}

// A buffer that overflows while it is emptied loses edges from its middle; the
// numbers know of them.
func TestFrequencyOfRecordedEdges(t *testing.T) {
	d, e := wired(t, "frequency", nil, "pin")
	edges := append(edgesAt(90, true, 900_000, 901_000), edgesAt(190, true, 1_000_000)...)
	s, err := d.New(t.Context(), replay(e, edges))
	if err != nil {
		t.Fatal(err)
	}
	if got := sense(t, d, s)["frequency"]; math.Abs(got-1000) > 1e-9 {
		t.Errorf("got %v Hz, want 1000", got)
	}
}

func TestFrequencyOptions(t *testing.T) {
	d, e := wired(t, "frequency", map[string]string{"pull": "up", "active": "low", "debounce": "10ms"}, "pin")
	value(t, d, e, sensors.Frequency)
	if want := (sensors.LineConfig{Edges: sensors.RisingEdge, Buffer: 1024, Bias: sensors.PullUp, ActiveLow: true, Debounce: 10 * time.Millisecond}); e.Lines["pin"].Config != want {
		t.Errorf("line asked for as %+v", e.Lines["pin"].Config)
	}
}

func TestDuty(t *testing.T) {
	for _, tc := range []struct {
		name   string
		n      int
		period time.Duration
		duty   float64
	}{
		{"half", 100, 10 * time.Millisecond, 0.5},
		{"narrow", 100, 10 * time.Millisecond, 0.01},
		{"wide", 100, 10 * time.Millisecond, 0.99},
		{"two periods", 2, 400 * time.Millisecond, 0.25},
		{"more edges than the buffer holds", 5000, 200 * time.Microsecond, 0.75},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "duty", nil, "pin")
			square(e, "pin", tc.n, tc.period, tc.duty)
			if got := value(t, d, e, sensors.Duty); math.Abs(got-tc.duty) > 1e-9 {
				t.Errorf("got %v, want %v", got, tc.duty)
			}
			if want := (sensors.LineConfig{Edges: sensors.BothEdges, Buffer: 1024}); e.Lines["pin"].Config != want {
				t.Errorf("line asked for as %+v", e.Lines["pin"].Config)
			}
			released(t, e)
		})
	}
}

// A signal that may stand still has a duty cycle without an edge, too.
func TestDutyWithoutEdges(t *testing.T) {
	for _, high := range []bool{false, true} {
		d, e := wired(t, "duty", map[string]string{"still": "level"}, "pin")
		e.Lines["pin"].Level = func() bool { return high }
		if got := value(t, d, e, sensors.Duty); got != number(high) {
			t.Errorf("always %v: got %v", high, got)
		}
	}
}

// edgesAt are edges at so many microseconds, numbered as the kernel does.
func edgesAt(first uint32, active bool, us ...int) []sensors.Edge {
	var edges []sensors.Edge
	for i, at := range us {
		edges = append(edges, sensors.Edge{At: sensortest.Start.Add(time.Duration(at) * time.Microsecond), Active: active != (i%2 == 1), Seq: first + uint32(i)})
	}
	return edges
}

// replay is an environment whose line gives recorded edges.
func replay(e *sensortest.Env, edges []sensors.Edge) holding {
	return holding{e, &numbered{next: edges}}
}

func (n *numbered) Reconfigure(sensors.LineConfig) error { return nil }

func TestDutyOfRecordedEdges(t *testing.T) {
	whole := edgesAt(1, false, 0, 1000, 4000, 5000, 8000)
	gap := append(edgesAt(1, true, 0, 100), edgesAt(40, true, 2000, 3000, 6000, 7000, 10_000)...)
	missing := append(edgesAt(1, true, 0, 1000, 2000), edgesAt(4, true, 3000, 4000)...)
	late := edgesAt(1, true, 0, 1000, 500, 2000, 3000)
	fast := edgesAt(1, true, 0, 20, 50, 70, 100)
	for _, tc := range []struct {
		name  string
		edges []sensors.Edge
		want  float64
		err   string
	}{ // in a window of 10 ms
		{"from a falling edge on", whole, 0.75, ""},
		{"half a period more", edgesAt(1, true, 3000, 3500, 4000, 7000), 6. / 7, ""},
		{"only what follows a gap", gap, 0.25, ""},
		{"one edge", edgesAt(1, true, 5), 0, "had 1 edges and no whole period in 10ms: make window as long as two periods"},
		{"two edges", edgesAt(1, true, 5, 9), 0, "no whole period"},
		{"too few after a gap", append(edgesAt(1, true, 1, 2, 3), edgesAt(9, true, 5, 9)...), 0, "no whole period"},
		{"an edge is missing", missing, 0, "become active twice in a row"},
		{"time runs backwards", late, 0, "isn't newer"},
		{"too fast", fast, 0, "20000 periods a second"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "duty", map[string]string{"window": "10ms"}, "pin")
			s, err := d.New(t.Context(), replay(e, tc.edges))
			if err != nil {
				t.Fatal(err)
			}
			readings, _, err := sensortest.Sense(t.Context(), t, d, s)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := sensortest.Value(t, readings, sensors.Duty); math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestListenFails: every way in which the wire fails keeps its errno and lets
// go of the line.
func TestListenFails(t *testing.T) {
	for _, driver := range []string{"frequency", "duty"} {
		d, e := wired(t, driver, nil, "pin")
		e.Lines["pin"].OpenErr = syscall.EBUSY
		fails(t, d, e, sensors.Busy, "open line")

		d, e = wired(t, driver, nil, "pin")
		e.OnWait = func(int) { e.Lines["pin"].Err = syscall.ENODEV }
		fails(t, d, e, sensors.IO, "listen to GPIO23")
		released(t, e)

		// A kernel that has no edges of a chip that is gone, and no error.
		_, e = wired(t, driver, nil, "pin")
		h := replay(e, nil)
		h.line.errs.level = syscall.ENODEV
		s, err := d.New(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("%s: got %v, want ENODEV", driver, err)
		}
		h.line.errs.level, h.line.errs.close = nil, syscall.EBADF
		if _, _, err := sensortest.Sense(t.Context(), t, d, s); !errors.Is(err, syscall.EBADF) {
			t.Errorf("%s: got %v, want EBADF", driver, err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		d, e = wired(t, driver, nil, "pin")
		e.OnWait = func(int) { cancel() }
		if _, _, err := sensortest.ReadContext(ctx, t, d, e); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", driver, err)
		}
		released(t, e)
	}
}

func TestTimingOptionsRefused(t *testing.T) {
	for _, tc := range []struct {
		driver string
		texts  map[string]string
		want   string
	}{
		{"frequency", map[string]string{"pin": "5", "window": "5ms"}, "outside"},
		{"duty", map[string]string{"pin": "5", "window": "6m"}, "outside"},
		{"duty", map[string]string{"pin": "5", "debounce": "1ms"}, "is not a key of driver duty"},
		{"echo", map[string]string{"trigger": "5"}, "echo: is missing"},
		{"echo", map[string]string{"echo": "5"}, "trigger: is missing"},
		{"echo", map[string]string{"trigger": "5", "echo": "6", "bursts": "4"}, "bursts: 4 has no middle one"},
		{"echo", map[string]string{"trigger": "5", "echo": "6", "max": "7m"}, "outside 0.1000 m to 6.0000 m"},
		{"dht", map[string]string{"pin": "5", "model": "dht21"}, "not one of dht11, dht22, am2302"},
		{"hx711", map[string]string{"data": "5", "clock": "6"}, "factor: is missing"},
		{"hx711", map[string]string{"data": "5", "clock": "6", "factor": "0"}, "factor: can't be 0"},
		{"hx711", map[string]string{"data": "5", "clock": "6", "factor": "1", "samples": "2"}, "samples: 2 has no middle one"},
		{"hx711", map[string]string{"data": "5", "clock": "6", "factor": "1", "tare": "8388608"}, "outside"},
	} {
		_, err := sensors.NewOptions(sensortest.Driver(t, tc.driver), tc.texts)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %v: got %v, want %q in it", tc.driver, tc.texts, err, tc.want)
		}
	}
}

// sound is a module that answers each trigger after echoes, in turn; 0 is no
// answer, and a negative one never ends.
func sound(e *sensortest.Env, echoes ...time.Duration) {
	in, out := e.Lines["echo"], e.Lines["trigger"]
	n := 0
	out.OnSet = func(active bool) {
		if active || len(echoes) == 0 {
			return
		}
		took := echoes[n%len(echoes)]
		n++
		if took == 0 {
			return
		}
		at := e.Now().Add(450 * time.Microsecond)
		in.Drive(at, true)
		if took > 0 {
			in.Drive(at.Add(took), false)
		}
	}
}

func TestEcho(t *testing.T) {
	us := time.Microsecond
	for _, tc := range []struct {
		name    string
		options map[string]string
		celsius float64
		echoes  []time.Duration
		want    float64
		waits   int
	}{
		// µs·(331.3+0.606·T)/20000 cm
		{"one metre at 20 °C", nil, 0, []time.Duration{5824 * us}, 1.00004, 9},
		{"at 0 °C", map[string]string{"temperature": "air"}, 0, []time.Duration{5824 * us}, 0.96475, 9},
		{"at -10 °C", map[string]string{"temperature": "air"}, -10, []time.Duration{5824 * us}, 0.94710, 9},
		{"at 40 °C", map[string]string{"temperature": "air"}, 40, []time.Duration{5824 * us}, 1.03533, 9},
		{"nearest", nil, 0, []time.Duration{118 * us}, 0.02026, 9},
		{"farthest", nil, 0, []time.Duration{23 * time.Millisecond}, 3.94933, 9},
		{"six metres", map[string]string{"max": "6m"}, 0, []time.Duration{34 * time.Millisecond}, 5.83814, 9},
		{"the middle one", nil, 0, []time.Duration{20000 * us, 5824 * us, 200 * us}, 1.00004, 9},
		{"one of five", map[string]string{"bursts": "5"}, 0, []time.Duration{300 * us, 5824 * us, 9000 * us, 5800 * us, 5900 * us}, 1.00004, 15},
		{"two miss", nil, 0, []time.Duration{0, 5824 * us, 38 * time.Millisecond, 5824 * us, 5824 * us}, 1.00004, 15},
		{"a single burst", map[string]string{"bursts": "1"}, 0, []time.Duration{5824 * us}, 1.00004, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "echo", tc.options, "trigger", "echo")
			e.Values["air/temperature"] = tc.celsius
			sound(e, tc.echoes...)
			if got := value(t, d, e, sensors.Distance); math.Abs(got-tc.want) > 1e-5 {
				t.Errorf("got %.5f m, want %.5f", got, tc.want)
			}
			if want := []sensors.WireKind{sensors.LineWire}; !cmp.Equal(e.Alones, want) {
				t.Errorf("alone with %v, want %v", e.Alones, want)
			}
			if len(e.Waits) != tc.waits {
				t.Errorf("waits %v, want %d", e.Waits, tc.waits)
			}
			released(t, e)
		})
	}
}

// A burst that another sensor or process sent just before, whose read was then
// broken off, isn't taken for the echo.
func TestEchoAfterAnotherBurst(t *testing.T) {
	d, e := wired(t, "echo", map[string]string{"bursts": "1"}, "trigger", "echo")
	stray := e.Now().Add(4 * time.Millisecond) // is back
	e.Lines["trigger"].OnSet = func(active bool) {
		if active {
			return
		}
		rises := e.Now().Add(450 * time.Microsecond)
		falls := rises.Add(5824 * time.Microsecond)
		if stray.After(rises) && stray.Before(falls) {
			falls = stray
		}
		e.Lines["echo"].Drive(rises, true)
		e.Lines["echo"].Drive(falls, false)
	}
	if got := value(t, d, e, sensors.Distance); math.Abs(got-1.00004) > 1e-5 {
		t.Errorf("got %.5f m, want 1.00004", got)
	}
}

// TestEchoSequence: the trigger is low from the first moment on and at the
// end, and a burst begins each 60 ms, the first after 60 ms.
func TestEchoSequence(t *testing.T) {
	d, e := wired(t, "echo", map[string]string{"bursts": "3"}, "trigger", "echo")
	sound(e, 2*time.Millisecond)
	e.Lines["echo"].Drive(e.Now(), false)
	value(t, d, e, sensors.Distance)
	if want := []bool{false, true, false, true, false, true, false}; !cmp.Equal(e.Lines["trigger"].Sets, want) {
		t.Errorf("trigger driven %v, want %v", e.Lines["trigger"].Sets, want)
	}
	pulse, listen := 10*time.Microsecond, 45*time.Millisecond
	first, rest := 60*time.Millisecond, 60*time.Millisecond-pulse-listen
	if want := []time.Duration{first, pulse, listen, rest, pulse, listen, rest, pulse, listen}; !cmp.Equal(e.Waits, want) {
		t.Errorf("waits %v, want %v", e.Waits, want)
	}
	if want := (sensors.LineConfig{Output: true}); e.Lines["trigger"].Config != want {
		t.Errorf("trigger asked for as %+v", e.Lines["trigger"].Config)
	}
	if want := (sensors.LineConfig{Edges: sensors.BothEdges}); e.Lines["echo"].Config != want {
		t.Errorf("echo asked for as %+v", e.Lines["echo"].Config)
	}
}

func TestEchoFails(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options map[string]string
		breaks  func(e *sensortest.Env)
		reason  sensors.Reason
		want    string
	}{
		{"no answer", nil, func(e *sensortest.Env) { sound(e, 0) }, sensors.NoAnswer, "no answer on GPIO24 (pin 18) to a trigger on GPIO23"},
		{"38 ms", nil, func(e *sensortest.Env) { sound(e, 38*time.Millisecond) }, sensors.NoAnswer, "nothing is in range"},
		{"still high", map[string]string{"bursts": "1"}, func(e *sensortest.Env) { sound(e, -1) }, sensors.NoAnswer, "nothing is in range"},
		{"still high at the next bursts", nil, func(e *sensortest.Env) { sound(e, -1) }, sensors.NoAnswer, "nothing is in range"},
		{"another measures", nil, func(e *sensortest.Env) { e.AloneErr = sensors.Errorf(sensors.Busy, "another measures") }, sensors.Busy, "another measures"},
		{"stuck high", nil, func(e *sensortest.Env) { e.Lines["echo"].Drive(0, true) }, sensors.IO, "is high before the burst"},
		{"too near", nil, func(e *sensortest.Env) { sound(e, 100*time.Microsecond) }, sensors.OutOfRange, "an echo after 100µs is 0.017 m, outside 0.02 to 4 m"},
		{"too far", nil, func(e *sensortest.Env) { sound(e, 30*time.Millisecond) }, sensors.OutOfRange, "5.151 m, outside 0.02 to 4 m"},
		{"time runs backwards", nil, func(e *sensortest.Env) {
			in := e.Lines["echo"]
			e.Lines["trigger"].OnSet = func(active bool) {
				in.Drive(sensortest.Start, active)
			}
		}, sensors.IO, "ends before it begins"},
		{"noise", nil, func(e *sensortest.Env) {
			in := e.Lines["echo"]
			e.Lines["trigger"].OnSet = func(active bool) {
				for i := range 4 {
					in.Drive(e.Now().Add(time.Duration(i)*time.Millisecond), i%2 == 0)
				}
			}
		}, sensors.IO, "edges on GPIO24"},
		{"no temperature", map[string]string{"temperature": "air"}, func(e *sensortest.Env) { sound(e, time.Millisecond) }, sensors.NotReady, "sensor air has no temperature"},
		{"impossible temperature", map[string]string{"temperature": "air"}, func(e *sensortest.Env) { e.Values["air/temperature"] = 900 }, sensors.OutOfRange, "the temperature of sensor air is 900 °C"},
		{"no temperature that is a number", map[string]string{"temperature": "air"}, func(e *sensortest.Env) { e.Values["air/temperature"] = math.NaN() }, sensors.OutOfRange, "NaN"},
		{"echo is held", nil, func(e *sensortest.Env) { e.Lines["echo"].OpenErr = syscall.EBUSY }, sensors.Busy, "open line GPIO24"},
		{"trigger is held", nil, func(e *sensortest.Env) { e.Lines["trigger"].OpenErr = syscall.EBUSY }, sensors.Busy, "open line GPIO23"},
		{"trigger goes away", nil, func(e *sensortest.Env) { e.Lines["trigger"].Err = syscall.ENODEV }, sensors.IO, "pulse on GPIO23"},
		{"echo is gone", nil, func(e *sensortest.Env) { e.Lines["echo"].Err = syscall.ENODEV }, sensors.IO, "read the edges of GPIO24"},
		{"echo goes away", nil, func(e *sensortest.Env) {
			e.OnWait = func(n int) {
				if n == 1 {
					e.Lines["echo"].Err = syscall.ENODEV
				}
			}
		}, sensors.IO, "read the edges of GPIO24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, e := wired(t, "echo", tc.options, "trigger", "echo")
			tc.breaks(e)
			fails(t, d, e, tc.reason, tc.want)
			released(t, e)
		})
	}
}

// aged is an environment in which other sensors' values are old.
type aged struct {
	*sensortest.Env
	age time.Duration
}

func (a aged) Value(sensor, quantity string) (float64, sensors.Instant, bool) {
	v, at, ok := a.Env.Value(sensor, quantity)
	return v, at.Add(-a.age), ok
}

func TestEchoOldTemperature(t *testing.T) {
	for age, want := range map[time.Duration]string{time.Hour: "", time.Hour + time.Second: "older than 1h:"} {
		d, e := wired(t, "echo", map[string]string{"temperature": "air"}, "trigger", "echo")
		e.Values["air/temperature"] = 20
		sound(e, time.Millisecond)
		s, err := d.New(t.Context(), aged{e, age})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = sensortest.Sense(t.Context(), t, d, s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v old: %v, want %q", age, err, want)
		}
	}
}

// TestEchoCancelled: wherever the context ends, the trigger ends low.
func TestEchoCancelled(t *testing.T) {
	for at := range 8 {
		d, e := wired(t, "echo", nil, "trigger", "echo")
		sound(e, 2*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		e.OnWait = func(n int) {
			if n == at {
				cancel()
			}
		}
		if _, _, err := sensortest.ReadContext(ctx, t, d, e); !errors.Is(err, context.Canceled) {
			t.Errorf("wait %d: got %v", at, err)
		}
		sets := e.Lines["trigger"].Sets
		if sets[len(sets)-1] {
			t.Errorf("wait %d: the trigger stays high: %v", at, sets)
		}
		released(t, e)
	}
}
