package lines

import (
	"context"
	"fmt"

	"example.org/dormouse/sensors"
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "switch",
		Summary:   "switch, reed contact, motion or float sensor on a GPIO line: its level, its changes and the time of the last",
		Datasheet: "Linux, Documentation/userspace-api/gpio/chardev.rst and include/uapi/linux/gpio.h (version 2)",
		Wiring:    "3.3 V at most. A contact between the line and ground: pull=up, active=low. Long cables need a resistor of some kΩ to 3.3 V instead of pull=up",
		Timing:    "none: the level is read as it is. Changes are numbered and time-stamped by the kernel as they happen and looked up at the read; only with wake do they wake the daemon",
		Options: []sensors.Option{
			pinOption("the line: GPIO27, BOARD13, CHIP:OFFSET or a line's name"),
			pullOption(),
			activeOption(),
			debounceOption("10ms", "how long a level must last to count as a change; the kernel rounds it up to its ticks of 4 or 10 ms"),
			{Name: "transitions", Type: sensors.BoolOption, Default: "yes",
				Help: "count changes, for which the line is held between reads; no opens it for the read alone"},
			{Name: "wake", Type: sensors.SensorsOption,
				Help: "sensors that are read at once when it changes, and the switch with them; its own name alone for no other sensor"},
			{Name: "wake-limit", Type: sensors.DurationOption, Default: "1s", Range: &sensors.Range{Min: 0.1, Max: 86400},
				Help: "least time between two such wakes: changes that come sooner are read when it has passed"},
		},
		Holds:        func(o *sensors.Options) bool { return o.Bool("transitions") },
		Measures:     []*sensors.Quantity{sensors.Active, sensors.Transitions, sensors.LastChange},
		Unverifiable: "a level is all there is: a cut or shorted wire reads as what pull or the short makes of it",
		Check: func(o *sensors.Options) error {
			if o.Given("debounce") && !o.Bool("transitions") {
				return &sensors.OptionError{Key: "debounce", Err: fmt.Errorf("has no effect with transitions=no: the level is read as it is; leave one of the two out")}
			}
			if o.Given("wake") && !o.Bool("transitions") {
				return &sensors.OptionError{Key: "wake", Err: fmt.Errorf("has no effect with transitions=no: the line is not held between reads; leave one of the two out")}
			}
			if o.Given("wake-limit") && !o.Given("wake") {
				return &sensors.OptionError{Key: "wake-limit", Err: fmt.Errorf("has no effect without wake: name the sensors to be read at a change")}
			}
			return nil
		},
		New: newSwitch,
	})
}

func newSwitch(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	config := input(e.Options())
	config.Debounce = e.Options().Duration("debounce")
	if !e.Options().Bool("transitions") {
		config.Debounce = 0 // a level lasts as long as it is looked at
		return &level{e, config}, nil
	}
	config.Edges = sensors.BothEdges
	n, err := newCounter(ctx, e, config)
	if err != nil {
		return nil, err
	}
	s := &watched{counter: n}
	if e.Options().Given("wake") {
		return &waking{s}, nil
	}
	return s, nil
}

// level is a switch that is looked at and released.
type level struct {
	env    sensors.Env
	config sensors.LineConfig
}

func (s *level) Sense(ctx context.Context, r *sensors.Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line, err := s.env.Line("pin", s.config)
	if err != nil {
		return err
	}
	active, err := line.Active()
	if closing := line.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("read the level of %s: %w", s.env.Options().Line("pin"), err)
	}
	r.Set(sensors.Active, number(active))
	return nil
}

// watched is a switch whose changes are counted.
type watched struct {
	*counter
	known   bool // whether there was a read before
	active  bool // at the last read
	changed bool // seen by the last read
	last    sensors.Instant
}

func (s *watched) Sense(ctx context.Context, r *sensors.Report) error {
	s.changed = false
	taken, err := s.take(ctx)
	if err != nil {
		return err
	}
	// A change between the two is a level that is right and a change that the
	// next read counts.
	newest, changed, err := s.drain()
	if err != nil {
		return err
	}
	s.changed = changed
	active, err := s.level()
	if err != nil {
		return err
	}
	switch {
	case changed:
		s.last = newest.At
	case taken && s.known && active != s.active:
		// It changed while nobody held the line: when, nobody knows.
		s.last = 0
	}
	s.known, s.active = true, active

	r.Set(sensors.Active, number(active))
	r.Set(sensors.Transitions, float64(s.count))
	r.SetTime(sensors.LastChange, s.last)
	return nil
}

// waking is a switch whose changes wake the daemon.
type waking struct{ *watched }

// Watch gives the line to wait on, unless it is lost.
func (s *waking) Watch() sensors.Watch {
	o := s.env.Options()
	w := sensors.Watch{Wake: o.List("wake"), Limit: o.Duration("wake-limit"), Changed: s.changed}
	if s.line != nil {
		w.Line = s.line
	}
	return w
}

func number(active bool) float64 {
	if active {
		return 1
	}
	return 0
}
