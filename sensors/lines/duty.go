package lines

import (
	"context"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "duty",
		Summary:   "duty cycle of a signal on a GPIO line up to 10 kHz: the share of the time that it is active, by the kernel's time stamps",
		Datasheet: "Linux, Documentation/userspace-api/gpio/chardev.rst and include/uapi/linux/gpio.h (version 2): timestamp_ns, line_seqno",
		Reasons:   []sensors.Reason{sensors.NotReady},
		Wiring:    "3.3 V at most: divide a 5 V signal by two resistors",
		Timing:    "the window, 1 s, asleep: the share is that of the whole periods in it, or in the last 1024 edges where there were more. The signal must be there all the time: without a whole period, or with a first or last edge more than one period away from the window's ends, the read fails. Pulses below some 50 µs may be missed; where that shows, the read fails",
		Options: []sensors.Option{
			pinOption("the line: GPIO23, BOARD16, CHIP:OFFSET or a line's name"),
			pullOption(),
			activeOption(),
			windowOption("how long to listen: two periods of the signal at least. Less than timeout"),
			{Name: "still", Type: sensors.EnumOption, Choices: []string{"error", "level"}, Default: "error",
				Help: "what a window without an edge means: error, for it may be a signal slower than the window; or level, 0 or 1 by the line's level, for a signal that may stand still"},
		},
		Measures:     []*sensors.Quantity{sensors.Duty},
		Unverifiable: "with still=level a cut or shorted wire reads as what pull or the short makes of it, and so does a signal slower than the window",
		New: func(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
			config := input(e.Options())
			config.Edges = sensors.BothEdges
			return &dutyMeter{newListener(e, config)}, nil
		},
	})
}

type dutyMeter struct{ listener }

func (m *dutyMeter) Sense(ctx context.Context, r *sensors.Report) error {
	active, err := m.listen(ctx)
	if err != nil {
		return err
	}
	if len(m.edges) == 0 {
		if m.env.Options().Text("still") != "level" {
			return sensors.Errorf(sensors.NotReady, "%s had no edge in %s: make window as long as two periods; for a signal that may stand still set still=level", m.ref(), duration.Format(m.window))
		}
		r.Set(sensors.Duty, number(active))
		return nil
	}
	edges := unbroken(m.edges)
	if len(edges) < 3 {
		return sensors.Errorf(sensors.NotReady, "%s had %d edges and no whole period in %s: make window as long as two periods", m.ref(), len(edges), duration.Format(m.window))
	}
	duty, err := m.share(edges[(len(edges)-1)%2:]) // an even number of intervals is whole periods
	if err != nil {
		return err
	}
	if err := m.throughout(edges, longestPeriod(edges, 2)); err != nil {
		return err
	}
	r.Set(sensors.Duty, duty)
	return nil
}

// share is the part of the time between the first and the last edge in which
// the line was active.
func (m *dutyMeter) share(edges []sensors.Edge) (float64, error) {
	var on, all float64
	for i, e := range edges[1:] {
		before := edges[i]
		if e.Active == before.Active {
			return 0, sensors.Errorf(sensors.IO, "an edge of %s is missing: the kernel saw it become %s twice in a row; its pulses are too short (some 50 µs it takes) or noisy", m.ref(), stateName(e.Active))
		}
		took := e.At.Sub(before.At).Seconds()
		if took <= 0 {
			return 0, sensors.Errorf(sensors.IO, "an edge of %s isn't newer than the one before it: the time stamps can't be right", m.ref())
		}
		all += took
		if before.Active {
			on += took
		}
	}
	if f := float64(len(edges)/2) / all; f > fastest {
		return 0, tooFast(m.ref(), f)
	}
	return on / all, nil
}

// unbroken are the newest edges without a gap. A buffer that overflows loses
// its oldest; while it is emptied more may be lost from its middle.
func unbroken(edges []sensors.Edge) []sensors.Edge {
	for i := len(edges) - 1; i > 0; i-- {
		if edges[i].Seq != edges[i-1].Seq+1 {
			return edges[i:]
		}
	}
	return edges
}

func stateName(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}
