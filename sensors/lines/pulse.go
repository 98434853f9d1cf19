package lines

import (
	"context"
	"encoding/json"
	"fmt"

	"example.org/dormouse/sensors"
)

// counted are the quantities that pulses can stand for.
var counted = map[string]*sensors.Quantity{
	"precipitation": sensors.Precipitation,
	"volume":        sensors.Volume,
	"energy":        sensors.Energy,
	"rotations":     sensors.Rotations,
}

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "pulse",
		Summary:   "pulse counter on a GPIO line: rain gauge, water, gas or energy meter, anemometer; counted by the kernel, with no wake-up between reads",
		Datasheet: "Linux, Documentation/userspace-api/gpio/chardev.rst and include/uapi/linux/gpio.h (version 2): line_seqno",
		Wiring:    "3.3 V at most. A contact or an open collector (S0) between the line and ground: pull=up, active=low; long cables want a resistor of some kΩ to 3.3 V. Bouncing contacts want debounce",
		Timing:    "none: the kernel numbers every edge, and the read looks up the last number",
		Options: []sensors.Option{
			pinOption("the line: GPIO22, BOARD15, CHIP:OFFSET or a line's name"),
			pullOption(),
			activeOption(),
			debounceOption("0s", "how long a level must last to count: 10ms for a reed contact, none for an electronic output. The kernel rounds it up to its ticks of 4 or 10 ms, and pulses shorter than that are lost"),
			{Name: "edge", Type: sensors.EnumOption, Choices: []string{"rising", "falling", "both"}, Default: "rising",
				Help: "what counts: becoming active, becoming inactive, or each"},
			{Name: "quantity", Type: sensors.EnumOption, Choices: []string{"precipitation", "volume", "energy", "rotations"},
				Help: "what the pulses stand for; without it they are only counted"},
			{Name: "per-pulse", Type: sensors.TextOption,
				Help: "how much one pulse is, with its unit: 0.2794mm, 1l, 1.25Wh (a meter of 800 pulses per kWh), 0.5"},
		},
		Measures:     []*sensors.Quantity{sensors.Pulses, sensors.Precipitation, sensors.Volume, sensors.Energy, sensors.Rotations},
		Unverifiable: "no pulses and a cut wire look the same",
		Check: func(o *sensors.Options) error {
			_, err := perPulse(o)
			return err
		},
		New: newPulse,
	})
}

// perPulse is how much one pulse is, in the base unit of the quantity.
func perPulse(o *sensors.Options) (float64, error) {
	wrong := func(format string, args ...any) (float64, error) {
		return 0, &sensors.OptionError{Key: "per-pulse", Err: fmt.Errorf(format, args...)}
	}
	q := counted[o.Text("quantity")]
	text := o.Text("per-pulse")
	switch {
	case q == nil && text == "":
		return 0, nil
	case q == nil:
		return wrong("says how much of something that isn't named: add quantity, one of precipitation, volume, energy, rotations")
	case text == "":
		return wrong("is missing: how much %s is one pulse? (its unit: %s)", q.Name, unitName(q))
	}
	v, err := q.Unit.Parse(text)
	if err != nil {
		return 0, &sensors.OptionError{Key: "per-pulse", Err: err}
	}
	if v <= 0 {
		return wrong("%q must be more than nothing", text)
	}
	return v, nil
}

func unitName(q *sensors.Quantity) string {
	if q.Unit.Symbol == "" {
		return "none, a plain number"
	}
	return q.Unit.Symbol
}

// pulse is a counter and what it stands for.
type pulse struct {
	*counter
	quantity *sensors.Quantity // nil: pulses only
	each     float64
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
	n, err := newCounter(ctx, e, config)
	if err != nil {
		return nil, err
	}
	return &pulse{counter: n, quantity: counted[o.Text("quantity")], each: each}, nil
}

func (p *pulse) Sense(ctx context.Context, r *sensors.Report) error {
	if _, err := p.take(ctx); err != nil {
		return err
	}
	if _, _, err := p.drain(); err != nil {
		return err
	}
	// Older kernels have no edges of a chip that is gone, and no error either:
	// its level fails on all.
	if _, err := p.level(); err != nil {
		return err
	}
	r.Set(sensors.Pulses, float64(p.count))
	if p.quantity != nil {
		r.Set(p.quantity, p.total())
	}
	return nil
}

func (p *pulse) total() float64 { return p.offset + float64(p.count)*p.each }

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
	k := kept{Version: keptVersion, Pulses: p.count, Each: p.each, Offset: p.offset}
	if p.quantity != nil {
		k.Quantity = p.quantity.Name
	}
	return json.Marshal(k)
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
	switch {
	case p.quantity == nil:
	case p.quantity.Name != k.Quantity:
		p.offset = -float64(k.Pulses) * p.each
	case p.each == k.Each:
		p.offset = k.Offset
	default:
		p.offset = k.Offset + float64(k.Pulses)*(k.Each-p.each)
	}
	return nil
}
