package lines

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

// A meaning is what pulses can stand for.
type meaning struct {
	total *sensors.Quantity // that pulses add to; nil: none
	rate  *sensors.Quantity // that is had of the pulses per time; nil: none
	unit  *units.Unit       // of what one pulse is
	gust  *sensors.Quantity // that is had of the shortest gap; nil: none
}

var meanings = map[string]meaning{
	"precipitation": {total: sensors.Precipitation, unit: sensors.Precipitation.Unit},
	"volume":        {total: sensors.Volume, rate: sensors.Flow, unit: sensors.Volume.Unit},
	"energy":        {total: sensors.Energy, rate: sensors.Power, unit: sensors.Energy.Unit},
	"rotations":     {total: sensors.Rotations, rate: sensors.Frequency, unit: sensors.Rotations.Unit},
	"":              {rate: sensors.Frequency}, // pulses that stand for nothing
	// One pulse is the way that the air goes meanwhile: metres per second per hertz.
	"speed": {rate: sensors.Speed, gust: sensors.Gust, unit: units.Meters},
}

// mostGaps is how many edges the kernel keeps for one who looks at each: its
// own limit (GPIO_V2_LINES_MAX*16, drivers/gpio/gpiolib-cdev.c).
const mostGaps = 1024

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "pulse",
		Summary:   "pulse counter on a GPIO line: rain gauge, water, gas or energy meter, anemometer; counted by the kernel, with no wake-up between reads",
		Datasheet: "Linux, Documentation/userspace-api/gpio/chardev.rst and include/uapi/linux/gpio.h (version 2): line_seqno",
		Wiring:    "3.3 V at most. A contact or an open collector (S0) between the line and ground: pull=up, active=low; long cables need a resistor of some kΩ to 3.3 V. Bouncing contacts need debounce",
		Timing:    "none: the kernel numbers every edge, and the read looks up the last number",
		Options: []sensors.Option{
			pinOption("the line: GPIO22, BOARD15, CHIP:OFFSET or a line's name"),
			pullOption(),
			activeOption(),
			debounceOption("0s", "how long a level must last to count: 10ms for a reed contact, none for an electronic output. The kernel rounds it up to its ticks of 4 or 10 ms, and pulses shorter than that are lost"),
			{Name: "edge", Type: sensors.EnumOption, Choices: []string{"rising", "falling", "both"}, Default: "rising",
				Help: "what counts: becoming active, becoming inactive, or each"},
			{Name: "quantity", Type: sensors.EnumOption, Choices: []string{"precipitation", "volume", "energy", "rotations", "speed"},
				Help: "what the pulses stand for; without it they are only counted"},
			{Name: "per-pulse", Type: sensors.TextOption,
				Help: "how much one pulse is, with its unit: 0.2794mm, 1l, 1.25Wh (a meter of 800 pulses per kWh), 0.5; of speed the way of one pulse, 0.667m where 1 Hz is 0.667 m/s"},
			{Name: "gap", Type: sensors.BoolOption, Default: "no",
				Help: "also report the shortest time between two pulses, and of speed the gust that it stands for; absent where more than 1024 pulses came between two reads"},
		},
		Measures: []*sensors.Quantity{sensors.Pulses, sensors.Precipitation, sensors.Volume, sensors.Energy, sensors.Rotations,
			sensors.Frequency, sensors.Flow, sensors.Power, sensors.Speed, sensors.Gust, sensors.ShortestGap, sensors.CountedSince},
		Unverifiable: "no pulses and a cut wire look the same",
		Check: func(o *sensors.Options) error {
			_, err := perPulse(o)
			return err
		},
		Holds: func(*sensors.Options) bool { return true },
		New:   newPulse,
	})
}

// perPulse is how much one pulse is, in the base unit of the quantity.
func perPulse(o *sensors.Options) (float64, error) {
	wrong := func(format string, args ...any) (float64, error) {
		return 0, &sensors.OptionError{Key: "per-pulse", Err: fmt.Errorf(format, args...)}
	}
	name, text := o.Text("quantity"), o.Text("per-pulse")
	unit := meanings[name].unit
	switch {
	case unit == nil && text == "":
		return 0, nil
	case unit == nil:
		return wrong("needs quantity, which names what is counted: one of precipitation, volume, energy, rotations, speed")
	case text == "":
		return wrong("is missing: how much %s is one pulse? (its unit: %s)", name, unitName(unit))
	}
	v, err := unit.Parse(text)
	if err != nil {
		return 0, &sensors.OptionError{Key: "per-pulse", Err: err}
	}
	if v <= 0 {
		return wrong("%q must be more than nothing", text)
	}
	return v, nil
}

func unitName(u *units.Unit) string {
	if u.Symbol == "" {
		return "none, a plain number"
	}
	return u.Symbol
}

// pulse is a counter and what it stands for.
type pulse struct {
	*counter
	meaning
	each float64 // how much one pulse is; zero where it stands for nothing
	gaps bool    // are told

	// As of the read before.
	readAt    sensors.Instant // zero: there was none since the line was taken
	readCount uint64
	newest    sensors.Instant // pulse; zero: not known

	// offset is what the total holds beyond count*each: not zero only after
	// each was configured anew. Computed from the count, a total of a million
	// pulses has one rounding error and not a million.
	offset float64
}

func newPulse(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	each, err := perPulse(o)
	if err != nil {
		return nil, err
	}
	config := input(o)
	config.Debounce = o.Duration("debounce")
	config.Edges = map[string]sensors.EdgeKind{"rising": sensors.RisingEdge, "falling": sensors.FallingEdge, "both": sensors.BothEdges}[o.Text("edge")]
	config.Buffer = buffer(o)
	n, err := newCounter(ctx, e, config)
	if err != nil {
		return nil, err
	}
	return &pulse{counter: n, meaning: meanings[o.Text("quantity")], each: each, gaps: o.Bool("gap")}, nil
}

func (p *pulse) Sense(ctx context.Context, r *sensors.Report) error {
	taken, err := p.take(ctx)
	if err != nil {
		return err
	}
	if taken {
		p.readAt, p.newest = 0, 0
	}
	before := p.seq
	newest, _, err := p.drain()
	if err != nil {
		return err
	}
	now := p.env.Now()
	// Older kernels have no edges of a chip that is gone, and no error either:
	// its level fails on all.
	if _, err := p.level(); err != nil {
		return err
	}
	r.Set(sensors.Pulses, float64(p.count))
	if p.total != nil {
		r.Set(p.total, p.sum())
	}
	if passed := now.Sub(p.readAt).Seconds(); p.rate != nil && !p.readAt.IsZero() && passed > 0 {
		r.Set(p.rate, float64(p.count-p.readCount)*p.perPulse()/passed)
	}
	p.readAt, p.readCount = now, p.count
	if gap, ok := p.shortestGap(p.seq - before); ok && p.gaps {
		r.Set(sensors.ShortestGap, gap.Seconds())
		if p.gust != nil && gap > 0 {
			r.Set(p.gust, p.each/gap.Seconds())
		}
	}
	if len(p.edges) > 0 {
		p.newest = newest.At
	}
	r.SetTime(sensors.CountedSince, p.since)
	return nil
}

// shortestGap is the shortest time between two of the n pulses that came since
// the read before, and the one before them. It isn't known where one of them
// was lost, for that may have been the one, and where there aren't two.
func (p *pulse) shortestGap(n uint32) (gap time.Duration, ok bool) {
	if uint32(len(p.edges)) != n {
		return 0, false
	}
	last := p.newest
	for _, e := range p.edges {
		if d := e.At.Sub(last); !last.IsZero() && (!ok || d < gap) {
			gap, ok = d, true
		}
		last = e.At
	}
	return gap, ok
}

// perPulse is what one pulse adds to the rate.
func (p *pulse) perPulse() float64 {
	if p.unit == nil {
		return 1
	}
	return p.each
}

func (p *pulse) sum() float64 { return p.offset + float64(p.count)*p.each }

// kept is what outlives the process.
type kept struct {
	Version  int     `json:"version"`
	Pulses   uint64  `json:"pulses"`
	Quantity string  `json:"quantity,omitempty"`
	Each     float64 `json:"per_pulse,omitempty"` // in the quantity's base unit
	Offset   float64 `json:"offset,omitempty"`
}

const keptVersion = 1

// State is the count as of the last Sense.
func (p *pulse) State() ([]byte, error) {
	return json.Marshal(p.kept())
}

func (p *pulse) kept() kept {
	k := kept{Version: keptVersion, Pulses: p.count, Each: p.each, Offset: p.offset}
	if p.total != nil {
		k.Quantity = p.total.Name
	}
	return k
}

// Restore goes on from an earlier count. Where per-pulse is another now, the
// total goes on from where it was and grows by the new amount; where the
// quantity is another, its total begins at zero.
func (p *pulse) Restore(state []byte) error {
	var k kept
	if err := json.Unmarshal(state, &k); err != nil {
		return fmt.Errorf("kept count of %s: %w", p.env.Name(), err)
	}
	if k.Version != keptVersion {
		return fmt.Errorf("kept count of %s is of version %d, and version %d is understood", p.env.Name(), k.Version, keptVersion)
	}
	if k.Pulses > 1<<53 || k.Each < 0 || p.count > 0 {
		return fmt.Errorf("kept count of %s can't be true: %d pulses of %v", p.env.Name(), k.Pulses, k.Each)
	}
	p.count = k.Pulses
	p.adopt(k)
	return nil
}

// adopt makes the total go on from a count: that of k, which is p's too.
func (p *pulse) adopt(k kept) {
	p.offset = 0
	switch {
	case p.total == nil:
	case p.total.Name != k.Quantity:
		p.offset = -float64(k.Pulses) * p.each
	case p.each == k.Each:
		p.offset = k.Offset
	default:
		p.offset = k.Offset + float64(k.Pulses)*(k.Each-p.each)
	}
}

// Reconfigure goes on with another meaning of the pulses on the same line. The
// total goes on as after Restore. Gaps are told from what the kernel's buffer
// holds, which stays as short as it is until the line is taken again.
func (p *pulse) Reconfigure(o *sensors.Options) bool {
	old := p.env.Options()
	for _, name := range []string{"pin", "pull", "active", "edge", "debounce", "force"} {
		if !old.EqualValue(o, name) {
			return false
		}
	}
	each, err := perPulse(o)
	if err != nil {
		return false
	}
	k := p.kept()
	p.meaning, p.each, p.gaps = meanings[o.Text("quantity")], each, o.Bool("gap")
	p.config.Buffer = buffer(o)
	p.adopt(k)
	return true
}

// buffer is how many edges the kernel is to keep; 0: its default.
func buffer(o *sensors.Options) int {
	if o.Bool("gap") {
		return mostGaps
	}
	return 0
}
