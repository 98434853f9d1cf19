package lines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// The timing of the HC-SR04 (its data sheet's timing diagram) and JSN-SR04T.
const (
	triggerPulse = 10 * time.Microsecond // at least
	longestEcho  = 38 * time.Millisecond // nothing in range
	echoWait     = 45 * time.Millisecond // the echo begins within some ms after the trigger
	echoCycle    = 60 * time.Millisecond // from one trigger to the next, so that an old echo has died away
)

// The module's range in metres: HC-SR04 from 2 cm, JSN-SR04T to 6 m.
const nearest, farthest = 0.02, 6

var distance = sensors.Distance.Within(nearest, farthest)

// The temperature's bounds: what the modules stand.
const (
	assumedTemperature = 20.     // °C
	coldest, hottest   = -40, 85 // °C
	oldestTemperature  = time.Hour
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "echo",
		Summary:   "ultrasonic distance sensor HC-SR04 or JSN-SR04T: 2 cm (JSN: 25 cm) to 4 m, ±3 mm and the air's temperature",
		Datasheet: "ElecFreaks HC-SR04 user guide, timing diagram; JSN-SR04T-2.0, mode 1",
		Reasons:   []sensors.Reason{sensors.NotReady},
		Wiring:    "trigger to an output, echo to an input. The module has 5 V: divide its echo by 1 kΩ and 2 kΩ to 3.3 V, or run a 3.3 V version (HC-SR04P)",
		Timing:    "60 ms for each burst and 45 ms more, asleep: the time until earlier echoes have decayed, 10 µs trigger, and up to 38 ms echo. The echo is measured by the kernel's time stamps of both edges. Sensors of this kind receive each other's bursts: all of a machine measure one after another, and timeout counts from when the sensor is due",
		Aliases:   map[string]string{"hcsr04": "", "hc-sr04": "", "jsnsr04t": "", "jsn-sr04t": ""},
		Options: []sensors.Option{
			{Name: "trigger", Type: sensors.OutputOption, Required: true, Help: "the output that starts a burst: GPIO23, BOARD16, CHIP:OFFSET or a line's name"},
			{Name: "echo", Type: sensors.LineOption, Required: true, Help: "the input that the echo comes back on"},
			{Name: "temperature", Type: sensors.SensorRefOption,
				Help: "sensor whose temperature the speed of sound follows, 0.17 % for each K; it must have been read within the last hour. Without it 20 °C are assumed"},
			{Name: "bursts", Type: sensors.IntegerOption, Default: "3", Range: &sensors.Range{Min: 1, Max: 9}, Help: "odd number of echoes whose median is the distance; one less than as many may stay out"},
			{Name: "max", Type: sensors.NumberOption, Unit: units.Meters, Default: "4m", Range: &sensors.Range{Min: 0.1, Max: farthest}, Help: "farthest distance that is accepted: 4m for an HC-SR04, 6m for a JSN-SR04T"},
		},
		Measures: []*sensors.Quantity{distance},
		Check: func(o *sensors.Options) error {
			if n := o.Integer("bursts"); n%2 == 0 {
				return &sensors.OptionError{Key: "bursts", Err: fmt.Errorf("%d has no middle one: give an odd number", n)}
			}
			return nil
		},
		New: newEcho,
	})
}

type echo struct {
	env    sensors.Env
	bursts int
	max    float64
	edges  []sensors.Edge
	times  []time.Duration // of the echoes
}

func newEcho(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	return &echo{env: e, bursts: o.Integer("bursts"), max: o.Number("max")}, nil
}

func (s *echo) Sense(ctx context.Context, r *sensors.Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	celsius, err := s.temperature()
	if err != nil {
		return err
	}
	if err := s.env.Alone(ctx, sensors.LineWire); err != nil {
		return err
	}
	took, err := s.measure(ctx)
	if err != nil {
		return err
	}
	// There and back at the speed of sound in m/s, linear about 0 °C.
	d := took.Seconds() / 2 * (331.3 + 0.606*celsius)
	if d < nearest || d > s.max {
		return sensors.Errorf(sensors.OutOfRange, "an echo after %v is %.3f m, outside %g to %g m: look for what stands before the sensor, or set max", took, d, nearest, s.max)
	}
	r.Set(distance, d)
	return nil
}

// temperature is that of the sensor that is named. Where it has none the
// distance would be wrong by centimetres and look right, so there is none.
func (s *echo) temperature() (celsius float64, err error) {
	name := s.env.Options().Text("temperature")
	if name == "" {
		return assumedTemperature, nil
	}
	v, at, ok := s.env.Value(name, sensors.Temperature.Name)
	switch {
	case !ok:
		return 0, sensors.Errorf(sensors.NotReady, "sensor %s has no temperature, which the speed of sound depends on: check that sensor, or leave temperature out", name)
	case s.env.Now().Sub(at) > oldestTemperature:
		return 0, sensors.Errorf(sensors.NotReady, "the temperature of sensor %s is older than %s: read it more often, or leave temperature out", name, duration.Format(oldestTemperature))
	case !(v >= coldest && v <= hottest):
		return 0, sensors.Errorf(sensors.OutOfRange, "the temperature of sensor %s is %v °C: the speed of sound is known for %d to %d °C", name, v, coldest, hottest)
	}
	return v, nil
}

// measure takes both lines for one read.
func (s *echo) measure(ctx context.Context) (time.Duration, error) {
	in, err := s.env.Line("echo", sensors.LineConfig{Edges: sensors.BothEdges})
	if err != nil {
		return 0, err
	}
	out, err := s.env.Line("trigger", sensors.LineConfig{Output: true})
	if err != nil {
		return 0, errors.Join(err, in.Close())
	}
	took, err := s.median(ctx, out, in)
	return took, errors.Join(err, out.Close(), in.Close())
}

// median is the middle one of as many echoes as were asked for. A module
// misses one now and then: almost as many bursts may fail, and the last failure
// is told. Before each burst, the first too, an old echo has time to die away.
func (s *echo) median(ctx context.Context, out, in sensors.Line) (time.Duration, error) {
	s.times = s.times[:0]
	began := s.env.Now() // of the burst before: another sensor's may be in the air, whose read was broken off
	var missed error
	for failed := 0; ; {
		if err := s.env.Sleep(ctx, max(0, echoCycle-s.env.Now().Sub(began))); err != nil {
			return 0, err
		}
		began = s.env.Now()
		high, err := s.burst(ctx, out, in)
		if err != nil {
			return 0, err
		}
		took, err := s.heard(high)
		if high && missed == nothingInRange {
			err = missed // for as long as 200 ms some modules wait for it
		}
		if missed = err; missed == nil {
			s.times = append(s.times, took)
		} else if failed++; failed == s.bursts {
			return 0, missed
		}
		if len(s.times) == s.bursts {
			slices.Sort(s.times)
			return s.times[s.bursts/2], nil
		}
	}
}

// burst fills edges with those of one echo. Both are stamped by the kernel as
// they happen: when this process runs doesn't matter. There is no burst while
// the echo is high.
func (s *echo) burst(ctx context.Context, out, in sensors.Line) (high bool, err error) {
	ref := s.env.Options().Line("echo")
	if s.edges, err = in.Edges(s.edges[:0]); err != nil { // of before
		return false, fmt.Errorf("read the edges of %s: %w", ref, err)
	}
	if high, err = in.Active(); err != nil {
		return false, fmt.Errorf("read the level of %s: %w", ref, err)
	}
	if high {
		return true, nil
	}
	if err := s.trigger(ctx, out); err != nil {
		return false, err
	}
	if err := s.env.Sleep(ctx, echoWait); err != nil {
		return false, err
	}
	if s.edges, err = in.Edges(s.edges[:0]); err != nil {
		return false, fmt.Errorf("read the edges of %s: %w", ref, err)
	}
	return false, nil
}

// heard is the length of the echo in edges.
func (s *echo) heard(high bool) (time.Duration, error) {
	o, edges := s.env.Options(), s.edges
	switch {
	case high:
		return 0, sensors.Errorf(sensors.IO, "%s is high before the burst: is it the module's echo, and has the module its 5 V? Some copies stay so after a burst that never came back, until their supply is cut: give them power", o.Line("echo"))
	case len(edges) == 0:
		return 0, sensors.Errorf(sensors.NoAnswer, "no answer on %s to a trigger on %s: check the module's supply and both wires", o.Line("echo"), o.Line("trigger"))
	case len(edges) == 1 && edges[0].Active:
		return 0, nothingInRange
	case len(edges) != 2 || !edges[0].Active || edges[1].Active:
		return 0, sensors.Errorf(sensors.IO, "%d edges on %s where an echo has one up and one down: noise, or another sensor's burst", len(edges), o.Line("echo"))
	}
	took := edges[1].At.Sub(edges[0].At)
	switch {
	case took >= longestEcho:
		return 0, nothingInRange
	case took <= 0:
		return 0, sensors.Errorf(sensors.IO, "the echo on %s ends before it begins: the time stamps can't be right", o.Line("echo"))
	}
	return took, nil
}

var nothingInRange = sensors.Errorf(sensors.NoAnswer, "the burst never came back: nothing is in range, or what is there is soft or aslant")

// trigger drives the pulse. It may last longer than it must: the burst begins
// at its end. It ends whatever happens.
func (s *echo) trigger(ctx context.Context, out sensors.Line) error {
	err := out.SetActive(true)
	if err == nil {
		err = s.env.Sleep(ctx, triggerPulse)
	}
	if off := out.SetActive(false); err == nil {
		err = off
	}
	if err != nil {
		return fmt.Errorf("pulse on %s: %w", s.env.Options().Line("trigger"), err)
	}
	return nil
}
