package lines

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// The HX711's clock: data sheet, section "serial interface", table 3 and
// figure 2. A clock that is high for 60 µs switches the chip off: a frame in
// which it was high for nearly as long isn't believed.
const (
	hxBits      = 24
	hxMostHigh  = 50 * time.Microsecond
	hxPowerDown = 100 * time.Microsecond
)

// hxPulses are the clock pulses of a frame by what the next conversion is to
// measure: input and gain (table 3).
var hxPulses = map[string]int{"A128": 25, "B32": 26, "A64": 27}

// hxRates are the times of a conversion. The filter needs four of them after
// power-up or a change of input or gain (section "key electrical
// characteristics", output settling time); the oscillator may be slow.
var hxRates = map[string]time.Duration{
	"10": 100 * time.Millisecond,
	"80": 12500 * time.Microsecond,
}

const hxSettling = 5 // conversions

// hxFirst are the pulses of what is measured after power-up.
const hxFirst = 25

const hxLowest, hxHighest = -1 << 23, 1<<23 - 1

// hxScatter is how far from the median most of the samples may be, in raw
// values: 0.1 % of the whole range. The chip's own noise is 90 nV at most, of an
// input range of ±20 mV at 5 V and ±10.5 mV at 2.7 V (section "key electrical
// characteristics"): 38 to 72 raw values, root mean square. A cell of 2 mV/V
// that moves by 0.4 % of its rated load in between is not at rest.
const hxScatter = 1 << 14

// taredMass is below zero where less is on the scale than the tare.
var taredMass = sensors.Mass.Within(-1e9, 1e9)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "hx711",
		Summary:   "HX711 amplifier of a load cell, 24 bits: mass",
		Datasheet: "Avia Semiconductor HX711, 24-bit analog-to-digital converter for weigh scales",
		Reasons:   []sensors.Reason{sensors.NotReady, sensors.Identity},
		Wiring:    "supply the chip's digital side (VDD) with 3.3 V; data (DOUT) to an input, clock (PD_SCK) to an output. The chip sleeps while its clock is high: a resistor of 100 kΩ from the clock to 3.3 V keeps it asleep where the kernel turns released outputs into inputs",
		Timing:    "0.8 s for 3 samples at 10 a second, asleep: the filter settles for five conversions (ten but for A128) and each sample takes one. The clock is driven from user space, and a frame in which one pulse lasted more than 50 µs fails the read: on a busy machine some do, so leave it its retries",
		Options: []sensors.Option{
			{Name: "data", Type: sensors.LineOption, Required: true, Help: "the input that DOUT is on: GPIO5, BOARD29, CHIP:OFFSET or a line's name"},
			{Name: "clock", Type: sensors.OutputOption, Required: true, Help: "the output that PD_SCK is on"},
			{Name: "input", Type: sensors.EnumOption, Choices: []string{"A128", "A64", "B32"}, Default: "A128", Help: "input and gain"},
			{Name: "rate", Type: sensors.EnumOption, Choices: []string{"10", "80"}, Default: "10", Help: "conversions a second, as the chip's RATE pin is wired; 80 is noisier"},
			{Name: "samples", Type: sensors.IntegerOption, Default: "3", Range: &sensors.Range{Min: 1, Max: 15}, Help: "odd number of samples whose median counts"},
			{Name: "scatter", Type: sensors.NumberOption, Unit: units.Grams, Range: &sensors.Range{Min: 1e-6, Max: 1e9}, Help: "how far from the median more than half of the samples may lie at most: a load that swings, a loose wire or a disturbed clock is an error. By default 16384 raw values, 0.1 % of the range and 200 times the chip's own noise"},
			{Name: "tare", Type: sensors.IntegerOption, Default: "0", Range: &sensors.Range{Min: hxLowest, Max: hxHighest}, Help: "the raw value of the empty scale: what is read with tare=0 and factor=1"},
			{Name: "factor", Type: sensors.NumberOption, Required: true, Help: "raw value for each gram: with factor=1 and tare set, what a known mass reads divided by its grams. Negative where the load lowers the value"},
		},
		Measures: []*sensors.Quantity{taredMass},
		Check: func(o *sensors.Options) error {
			if n := o.Integer("samples"); n%2 == 0 {
				return &sensors.OptionError{Key: "samples", Err: fmt.Errorf("%d has no middle one: give an odd number", n)}
			}
			if o.Number("factor") == 0 {
				return &sensors.OptionError{Key: "factor", Err: errors.New("can't be 0: raw value for each gram is meant")}
			}
			return nil
		},
		New: newHX711,
	})
}

type hx711 struct {
	env          sensors.Env
	data, clock  sensors.Line // during a read
	pulses       int
	period       time.Duration
	tare, factor float64
	scatter      float64 // raw
	samples      []int
	isReady      func() (bool, error)
}

func newHX711(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	s := &hx711{
		env: e, pulses: hxPulses[o.Text("input")], period: hxRates[o.Text("rate")],
		tare: float64(o.Integer("tare")), factor: o.Number("factor"),
		samples: make([]int, o.Integer("samples")),
		scatter: hxScatter,
	}
	if grams := o.Number("scatter"); grams > 0 {
		s.scatter = grams * math.Abs(s.factor)
	}
	s.isReady = func() (bool, error) {
		high, err := s.data.Active()
		return !high, err
	}
	return s, nil
}

func (s *hx711) Sense(ctx context.Context, r *sensors.Report) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.data, err = s.env.Line("data", sensors.LineConfig{}); err != nil {
		return err
	}
	// Asleep from the first moment on.
	if s.clock, err = s.env.Line("clock", sensors.LineConfig{Output: true, Active: true}); err != nil {
		return errors.Join(err, s.data.Close())
	}
	raw, err := s.measure(ctx)
	// Asleep again, on every way out.
	asleep := s.clock.SetActive(true)
	if err := errors.Join(err, asleep, s.clock.Close(), s.data.Close()); err != nil {
		return fmt.Errorf("HX711 on %s and %s: %w", s.env.Options().Line("data"), s.env.Options().Line("clock"), err)
	}
	r.Set(taredMass, (float64(raw)-s.tare)/s.factor)
	return nil
}

// measure wakes the chip and returns the median of the samples.
func (s *hx711) measure(ctx context.Context) (int, error) {
	// However it was left: only a clock that was high long enough resets it.
	if err := s.env.Sleep(ctx, hxPowerDown); err != nil {
		return 0, err
	}
	if err := s.clock.SetActive(false); err != nil {
		return 0, err
	}
	if err := s.env.Sleep(ctx, hxSettling*s.period); err != nil {
		return 0, err
	}
	if s.pulses != hxFirst { // a frame chooses what the next conversions measure
		if _, err := s.frame(ctx); err != nil {
			return 0, err
		}
		if err := s.env.Sleep(ctx, hxSettling*s.period); err != nil {
			return 0, err
		}
	}
	for i := range s.samples {
		raw, err := s.sample(ctx)
		if err != nil {
			return 0, err
		}
		if raw == hxLowest || raw == hxHighest {
			return 0, sensors.Errorf(sensors.OutOfRange, "the input is at an end of its range (%d): overload, or a wire of the bridge is off", raw)
		}
		s.samples[i] = raw
		if i < len(s.samples)-1 {
			if err := s.env.Sleep(ctx, s.period*8/10); err != nil {
				return 0, err
			}
		}
	}
	return s.median()
}

// sample is a frame. One of equal bits is what a chip sends that loses its supply
// as the frame begins (all ones), or whose line is held low for its length: so
// the next one counts.
func (s *hx711) sample(ctx context.Context) (int, error) {
	raw, err := s.frame(ctx)
	if err != nil || raw != 0 && raw != -1 {
		return raw, err
	}
	if err := s.env.Sleep(ctx, s.period*8/10); err != nil {
		return 0, err
	}
	return s.frame(ctx)
}

// median refuses samples of which half or more are far from it. Of a single
// one nothing can be told.
func (s *hx711) median() (int, error) {
	slices.Sort(s.samples)
	median, near := s.samples[len(s.samples)/2], 0
	for _, v := range s.samples {
		if math.Abs(float64(v-median)) <= s.scatter {
			near++
		}
	}
	if near <= len(s.samples)/2 {
		return 0, sensors.Errorf(sensors.OutOfRange, "the samples scatter from %d to %d, and only %d of %d are within %.0f of the median: the load moves, a wire is loose or the supply is noisy; scatter sets another limit",
			s.samples[0], s.samples[len(s.samples)-1], near, len(s.samples), s.scatter)
	}
	return median, nil
}

// frame waits until the chip has converted, which it shows by a low data
// line, and clocks the value out, most significant bit first.
func (s *hx711) frame(ctx context.Context) (int, error) {
	most := 2 * s.period
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.env.Poll(ctx, most, s.period/10, s.isReady); err != nil {
		if sensors.ReasonOf(err) == sensors.NotReady {
			return 0, sensors.Errorf(sensors.NoAnswer, "the chip has no value after %s (data stays high): check its supply, data and clock: %w", duration.Format(most), err)
		}
		return 0, err
	}
	value, began := 0, s.env.Now()
	var high bool
	for i := range s.pulses {
		if err := s.pulse(); err != nil {
			return 0, err
		}
		// The bit stands from the pulse's beginning to that of the next.
		var err error
		if high, err = s.data.Active(); err != nil {
			return 0, err
		}
		if i < hxBits {
			value <<= 1
			if high {
				value |= 1
			}
		}
	}
	if took := s.env.Now().Sub(began); took > s.period/2 {
		return 0, sensors.Errorf(sensors.NotReady, "a frame took %v: the chip may have converted again meanwhile; the machine was busy, and the frame is given up", took)
	}
	// After the frame the chip holds the line high until it has converted
	// again: a line that is shorted to ground doesn't, and would read as zero.
	if !high {
		return 0, sensors.Errorf(sensors.Identity, "data is low after a whole frame: it is shorted to ground, or no HX711's")
	}
	if value >= 1<<(hxBits-1) {
		value -= 1 << hxBits
	}
	return value, nil
}

// pulse clocks once, and measures from before to after how long the clock can
// have been high at most.
func (s *hx711) pulse() error {
	began := s.env.Now()
	if err := s.clock.SetActive(true); err != nil {
		return err
	}
	if err := s.clock.SetActive(false); err != nil {
		return err
	}
	if took := s.env.Now().Sub(began); took > hxMostHigh {
		return sensors.Errorf(sensors.NotReady, "a clock pulse lasted up to %v: after 60 µs the chip is off; the machine was busy, and the frame is given up", took)
	}
	return nil
}
